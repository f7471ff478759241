"""What is known of a mail since it was handed over, and what follows for its mailbox: the one policy about bounces.

Whether the relay said so in its dialogue, or a report came by mail: it is kept once for each message and kind. A
mailbox that does not exist is barred after as many messages as the policy says; one that takes nothing for now is given
a rest by campaigns, after as many in a row. What a server refuses for our sake (RFC 3463, X.7.X) says nothing of the
mailbox.
"""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection

from outreach.domain.actors import ENGINE
from outreach.domain.eligibility import Reason
from outreach.domain.policies import Name
from outreach.mail.inbound.incoming import Kind
from outreach.services.policies.versions import current
from outreach.store import consents, suppressions
from outreach.store import inbound as store
from outreach.store.audit import Entry, record
from outreach.store.inbound import Report, Told

UNPROVED = "unproved-bounce"
"""Kind of a report that did not come as a mail server's does: it is kept, and changes nothing."""

_DAY = 86_400_000_000
_MAILBOX_FULL = ".2.2"
_LASTING = {"address": Kind.HARD_BOUNCE, "refused": Kind.BLOCKED, "gave_up": Kind.SOFT_BOUNCE}


def told_by_relay(message: int, reason: str | None, code: int | None, enhanced: str, reply: str) -> Told | None:
    """What a relay's last word on a message says. `reason`: why the message failed, as the record has it.

    None where no server spoke. A full mailbox (RFC 3463 X.2.2) is one that takes nothing for now, whatever the class.
    """
    kind = _LASTING.get(reason or "")
    if kind is None or code is None:
        return None
    if kind is Kind.BLOCKED and enhanced.endswith(_MAILBOX_FULL):
        kind = Kind.SOFT_BOUNCE
    return Told(message=message, kind=kind, status=enhanced, words=reply, by_mail=False)


def note_unproved(conn: Connection, now: int, told: Told) -> None:
    """Keep what anybody may have written in a mail server's name, for an officer to see."""
    take_reports(conn, now, [replace(told, kind=UNPROVED, did="unproved")])


def take_reports(conn: Connection, now: int, told: Sequence[Told]) -> list[Report]:
    """Keep what is new of `told`, act on it and enter it in the log. Returns what was new.

    For whoever holds the contacts, or settles their messages, in the caller's transaction.
    """
    made = store.add_reports(conn, now, told)
    for report in made:
        did = _hard(conn, now, report) or _soft(conn, now, report) or report.did
        record(conn, now, entry_of(report, did))
    return made


def entry_of(report: Report, did: str, **body: int) -> Entry:
    """The log's entry about a report: its kind, the server's code, and what was done."""
    return Entry(
        kind="report.received",
        actor=ENGINE.name,
        contact=report.contact_ref,
        topic=report.topic_ref,
        campaign=report.campaign_ref,
        message=report.message_ref,
        body={"report": report.ref.hex(), "kind": report.kind, "status": report.status, "did": did, **body},
    )


def _hard(conn: Connection, now: int, report: Report) -> str:
    if report.kind != Kind.HARD_BOUNCE:
        return ""
    address_key, _ = consents.bar_keys(conn, report.contact)
    if store.hard_since_lifted(conn, report.contact, address_key) < current(conn, Name.BOUNCES, now)["hard"]:
        return ""
    bar = suppressions.put_one(conn, now, suppressions.Bar(address_key, "address", "bounce", "officer"))
    if bar is None:
        return ""
    store.note(conn, report.id, did="barred", bar=bar)
    body = {"kind": str(Reason.BOUNCE), "report": report.ref.hex()}
    record(conn, now, Entry(kind="contact.suppressed", actor=ENGINE.name, contact=report.contact_ref, body=body))
    return "barred"


def _soft(conn: Connection, now: int, report: Report) -> str:
    """A rest after so many in a row. One more after the rest is over is another rest: still in a row."""
    if report.kind != Kind.SOFT_BOUNCE:
        return ""
    policy = current(conn, Name.BOUNCES, now)
    if store.soft_in_a_row(conn, report.contact, policy["soft"]) < policy["soft"]:
        return ""
    until = now + policy["rest_days"] * _DAY
    before = store.rest(conn, report.contact, until)
    store.note(conn, report.id, did="rested", rested=until, rest_before=before)
    body = {"until": until, "report": report.ref.hex()}
    record(conn, now, Entry(kind="contact.rested", actor=ENGINE.name, contact=report.contact_ref, body=body))
    return "rested"
