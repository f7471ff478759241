"""A reader called our mail spam: every consent in the channel ends at once, as does what they were asked and had not
answered yet, and nothing is sent to them any more.

Reports come in ARF (RFC 5965), to the address a mail of ours names (CFBL, RFC 9477 §3.5) or by a feedback loop.
Whoever sends one must have proved which domain they are, and that must be one that speaks for the reader's provider;
the ticket says which of our mails it is about.
"""

from dataclasses import replace

from sqlalchemy import Connection

from outreach.domain.actors import RECIPIENT
from outreach.domain.consent import LIVE, Event
from outreach.services import notices
from outreach.services.consents import Change, apply_changes
from outreach.services.context import Context
from outreach.services.intake.bounces import entry_of
from outreach.services.intake.questions import close_questions
from outreach.store import consents, suppressions
from outreach.store import inbound as store
from outreach.store.audit import Entry, record
from outreach.store.inbound import Report, Told

UNPROVED = "unproved-complaint"
"""Kind of a report nobody vouched for who may: it is kept, and changes nothing."""


def complain(conn: Connection, ctx: Context, now: int, told: Told, domains: str) -> None:
    """Act on a complaint about one message. The caller holds the contact. `domains`: who vouched for the report."""
    for report in store.add_reports(conn, now, [told]):
        ended = _withdraw_all(conn, ctx, now, report, domains)
        closed = close_questions(conn, ctx, now, report)
        notices.switch_off(conn, ctx, now, report.message_ref, [report.contact])
        _, mailbox_key = consents.bar_keys(conn, report.contact)
        bar = suppressions.put_one(conn, now, suppressions.Bar(mailbox_key, "mailbox", "complaint", "officer"))
        store.note(conn, report.id, did="withdrew", changed=ended, bar=bar)
        record(conn, now, entry_of(report, "withdrew", consents=ended, questions=closed))
        if bar is not None:
            body = {"kind": "complaint", "report": report.ref.hex()}
            entry = Entry(kind="contact.suppressed", actor=RECIPIENT.name, contact=report.contact_ref, body=body)
            record(conn, now, entry)


def note_unproved(conn: Connection, now: int, told: Told) -> None:
    """Keep a complaint without a valid signature of the reader's provider, for an officer to see."""
    for report in store.add_reports(conn, now, [replace(told, kind=UNPROVED, did="unproved")]):
        record(conn, now, entry_of(report, "unproved"))


def _withdraw_all(conn: Connection, ctx: Context, now: int, report: Report, domains: str) -> int:
    evidence = {"act": "their mail provider reported a complaint (RFC 5965)", "report": report.ref.hex()}
    changes = [
        Change(
            contact=report.contact,
            topic=row.topic,
            event=Event.COMPLAINED,
            text=row.text,
            evidence=evidence | {"vouched_for_by": domains},
            message_ref=report.message_ref,
        )
        for row in consents.held(conn, [report.contact])
        if row.state in LIVE
    ]
    apply_changes(conn, ctx, now, actor=RECIPIENT, changes=changes)
    return len(changes)
