"""The names of kinds, states, parts and facts in the reader's language, for pages about one's own data."""

from flask_babel import gettext


def kinds() -> dict[str, str]:
    """What can be asked for."""
    return {
        "access": gettext("Everything held about you"),
        "portability": gettext("What you gave us, to take elsewhere"),
        "correction": gettext("Correction"),
        "erasure": gettext("Erasure"),
        "objection": gettext("Objection to mail"),
        "restriction": gettext("Restriction"),
    }


def states() -> dict[str, str]:
    """Where a request stands."""
    return {
        "open": gettext("being looked at"),
        "carrying-out": gettext("under way"),
        "done": gettext("done"),
        "refused": gettext("refused; the reason was mailed to you"),
    }


def parts() -> dict[str, str]:
    """The parts of what is handed over."""
    return {
        "controller": gettext("Who holds it"),
        "you": gettext("You"),
        "consents": gettext("What you agreed to"),
        "events": gettext("What happened to it, and the proof of it"),
        "questions": gettext("Questions we asked you by mail"),
        "messages": gettext("Mails to you, sent or not"),
        "reports": gettext("What was reported about our mails to you"),
        "accounts": gettext("Your account"),
        "invitations_made": gettext("Invitations you made"),
        "invitations_received": gettext("Invitations to you"),
        "connections": gettext("Connections"),
        "connect_links": gettext("Your connect links"),
        "appeals": gettext("Appeals"),
        "conversations": gettext("What you wrote to us, and our answers"),
        "address_changes": gettext("Changes of your address"),
        "bars": gettext("What bars mail to you"),
        "requests": gettext("Your requests about your data"),
        "read_by_staff": gettext("When staff looked at your data"),
        "log": gettext("What the log tells of you"),
        "receipts": gettext("Your receipts, signed; the file for machines has them whole"),
    }


def facts() -> dict[str, str]:
    """The names of single facts; one without a name here is shown as the file names it."""
    return _of_people() | _of_agreements() | _of_mails()


def _of_people() -> dict[str, str]:
    return {
        "address": gettext("Address"),
        "reference": gettext("Reference"),
        "fields": gettext("Details"),
        "name": gettext("Name"),
        "language": gettext("Language"),
        "time_zone": gettext("Time zone"),
        "mail_provider": gettext("Mail provider"),
        "held_since": gettext("Held since"),
        "own_limit": gettext("Your own limit"),
        "limit_when_agreed": gettext("Limit when you agreed"),
        "postal_address": gettext("Postal address"),
        "write_to": gettext("Write to"),
        "senders": gettext("Senders"),
        "account": gettext("Account"),
        "created": gettext("Made"),
        "closed": gettext("Closed"),
        "sessions": gettext("Sessions"),
        "seen": gettext("Last seen"),
        "browser": gettext("Browser"),
        "network": gettext("Network"),
        "roles": gettext("Roles"),
        "code": gettext("Code"),
    }


def _of_agreements() -> dict[str, str]:
    return {
        "topic": gettext("Topic"),
        "topics": gettext("Topics"),
        "purpose": gettext("Purpose"),
        "state": gettext("State"),
        "since": gettext("Since"),
        "expires": gettext("Expires"),
        "paused_until": gettext("Paused until"),
        "kept_days_after_it_ends": gettext("Days it is kept after it ends"),
        "stands_on_purchase_of": gettext("No consent: stands on a purchase of"),
        "ground": gettext("Stands on"),
        "bought": gettext("What you bought or asked about"),
        "objecting": gettext("How objecting was offered"),
        "similar": gettext("For"),
        "text": gettext("Text"),
        "title": gettext("Title"),
        "version": gettext("Version"),
        "wording": gettext("Wording"),
        "you_get": gettext("You get"),
        "sender": gettext("Sender"),
        "kinds": gettext("Kinds"),
        "limit": gettext("Limit"),
        "mails": gettext("Mails"),
        "in_seconds": gettext("In seconds"),
        "published": gettext("Published"),
        "event": gettext("Event"),
        "receipt": gettext("Receipt"),
        "before": gettext("Before"),
        "after": gettext("After"),
        "evidence": gettext("Proof"),
    }


def _of_mails() -> dict[str, str]:
    return {
        "planned": gettext("Planned"),
        "origin": gettext("Origin"),
        "kind": gettext("Kind"),
        "campaign": gettext("Campaign"),
        "subject": gettext("Subject"),
        "reason": gettext("Reason"),
        "settled": gettext("Settled"),
        "attempts": gettext("Attempts"),
        "outcome": gettext("Outcome"),
        "answer": gettext("Answer"),
        "answered": gettext("Answered"),
        "asked": gettext("Asked"),
        "requested": gettext("Requested"),
        "about": gettext("About"),
        "way": gettext("Way"),
        "to": gettext("To"),
        "from": gettext("From"),
        "with": gettext("With"),
        "by": gettext("By"),
        "on": gettext("On"),
        "relationship": gettext("Relationship"),
        "note": gettext("Note"),
        "ended": gettext("Ended"),
        "muted": gettext("Muted"),
        "lifted": gettext("Lifted"),
        "may_be_lifted_by": gettext("May be lifted by"),
        "you_showed": gettext("What you showed"),
        "mails_you_wrote": gettext("Mails you wrote there"),
        "octets": gettext("Size in bytes"),
        "waits_for_you": gettext("Waits for you"),
        "what": gettext("What"),
        "until": gettext("Until"),
        "at": gettext("At"),
        "opened": gettext("Came in"),
        "due": gettext("Answered by"),
        "finished": gettext("Answered on"),
        "extended": gettext("Extended"),
        "words": gettext("Words"),
        "via": gettext("Came by"),
        "posts": gettext("What was said"),
        "quoted": gettext("Quoted"),
        "files": gettext("Files"),
        "sorted_as": gettext("Sorted as"),
        "true": gettext("yes"),
        "false": gettext("no"),
    }
