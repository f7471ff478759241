"""The names of states, kinds and reasons in the reader's language, for people's own rooms: the whole truth, to them."""

from flask_babel import gettext

from outreach.domain.errors import InvalidInputError
from outreach.web.sentences import sentence


def refusal(error: InvalidInputError) -> str:
    """What is wrong with something chosen, by the field the service names."""
    told = {
        "cap": gettext("Choose less than was promised to you."),
        "days": gettext("Choose one of the lengths offered, or a day."),
        "until": gettext("Choose a day from tomorrow on, within a year."),
        "quiet_from": gettext("Give both times, as hours and minutes."),
        "quiet_to": gettext("Leave at least two hours a day in which mail may come."),
    }
    return told.get(error.field) or sentence(error)


def states() -> dict[str, str]:
    """What became of a mail."""
    return {
        "waiting": gettext("waits"),
        "planned": gettext("on its way"),
        "attempted": gettext("on its way"),
        "sent": gettext("sent"),
        "withheld": gettext("not sent"),
        "failed": gettext("not delivered"),
        "unknown": gettext("handed over, without an answer"),
    }


def origins() -> dict[str, str]:
    """What a mail without a subject of its own is."""
    return {
        "campaign": gettext("A mail you agreed to"),
        "confirmation": gettext("A question whether you would like mail"),
        "invitation": gettext("An invitation from a member"),
        "notice": gettext("A message about something you did or asked for"),
        "reply": gettext("An answer to you"),
        "test": gettext("A test of a mail being written"),
    }


def kinds() -> dict[str, str]:
    """What a mail is for."""
    return {
        "promotional": gettext("an offer"),
        "informational": gettext("information"),
        "service": gettext("service"),
    }


def reason(name: str) -> str:
    """Why a mail was not sent, was not delivered, or waits: all of it, for it is this person's own."""
    known = _bars() | _agreement() | _limits() | _invitations() | _delivery()
    return known.get(name) or gettext("For a reason the log names “%(name)s”.", name=name.replace("_", " "))


def _bars() -> dict[str, str]:
    return {
        "erased": gettext("You asked to be erased."),
        "deceased": gettext("We were told that whoever read this mailbox has died."),
        "never": gettext("You asked that nobody here ever writes to you again."),
        "restricted": gettext("You asked that everything is held back."),
        "complaint": gettext("You, or your mail provider for you, complained about mail from here."),
        "imported": gettext("You had asked for no more mail before, at the system your data came from."),
        "bounce": gettext("Your mail server said that this address does not work."),
    }


def _agreement() -> dict[str, str]:
    return {
        "no_consent": gettext("You had not agreed to it."),
        "withdrawn": gettext("You had stopped it."),
        "expired": gettext("Your consent had run out."),
        "paused": gettext("You had paused it."),
        "kind": gettext("The text you agreed to does not speak of this kind of mail."),
        "cancelled": gettext("Whoever wrote it took it back."),
        "conversation_ended": gettext("The conversation it belonged to is no longer there."),
        "connection_ended": gettext("The connection it came through had ended."),
        "muted": gettext("You had muted the connection it came through; it waits there."),
        "held_settled": gettext("You had decided about the mail it warned of already."),
        "request_ended": gettext("The request it was about had been answered, or its time was over."),
        "budget": gettext("Your mailbox had had enough of such questions that day."),
        "staff_ended": gettext("It was about an account that no longer wants or needs such mails."),
        "same_mailbox": gettext("You got it already, under another spelling of your address."),
    }


def _limits() -> dict[str, str]:
    return {
        "cap_promise": gettext("You had had as many as the text you agreed to promises."),
        "cap_own": gettext("You had had as many as you chose yourself."),
        "cap_total": gettext("You had had as many as anybody may get from all topics together."),
        "cap_promotional": gettext("You had had as many offers as anybody may get."),
        "ratio": gettext("You had not had enough useful mails since the last offer."),
        "quiet": gettext("It waits until your quiet hours are over."),
        "resting": gettext("Your mail server turned several mails away, so this address rests for some days."),
    }


def _invitations() -> dict[str, str]:
    return {
        "own_address": gettext("It was sent to its writer's own address."),
        "invited_before": gettext("The same member had invited you before: once is all."),
        "connected": gettext("You are connected with that member already."),
        "cap_invitations": gettext("You had had as many invitations as anybody may get."),
        "inviter_stopped": gettext("That member was stopped, or invitations by mail were switched off."),
        "invitation_ended": gettext("It was answered, taken back, or past its time."),
    }


def _delivery() -> dict[str, str]:
    return {
        "refused": gettext("Your mail server refused it."),
        "gave_up": gettext("Your mail server did not take it for days."),
        "address": gettext("Your mail server said that this address does not work."),
        "unsendable": gettext("It could not be made."),
        "lost": gettext("It never arrived, as was found out later; it is not sent again."),
        "no_reply": gettext("Your mail server took it and never said whether it arrived."),
    }
