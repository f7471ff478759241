"""What a complaint does to questions its reader has not answered: they are answered no, and undoing it asks them again.

Another address on its way to them is not touched: that is somebody's own move, and has its own end.
"""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.engine import Row

from outreach.domain.actors import RECIPIENT, Actor
from outreach.domain.consent import Event, State
from outreach.services.consents import Change, apply_changes
from outreach.services.context import Context
from outreach.store import consents, requests
from outreach.store.audit import Entry, record
from outreach.store.inbound import Report
from outreach.store.schema.consents import confirmation

_ASKED = ("topics", "renewal", "account")


def close_questions(conn: Connection, ctx: Context, now: int, report: Report) -> int:
    """Answer every open question of the report's reader with no. Returns how many. The caller holds the contact."""
    mine = (confirmation.c.contact == report.contact, confirmation.c.answered.is_(None))
    evidence = {"act": "their mail provider reported a complaint (RFC 5965)", "report": report.ref.hex()}
    found = _questions(conn, *mine)
    for question in found:
        changes = [
            Change(
                contact=report.contact,
                topic=topic,
                event=Event.DECLINED,
                text=asked.text,
                evidence=evidence,
                message_ref=report.message_ref,
            )
            for topic, asked in requests.asked_topics(conn, question.id).items()
        ]
        apply_changes(conn, ctx, now, actor=RECIPIENT, changes=changes)
        requests.change_confirmation(conn, question.id, answered=now, answer="declined")
        body = {"answer": "declined", "topics": [], "report": report.ref.hex()}
        _tell(conn, now, RECIPIENT, "confirmation.answered", report.contact_ref, question, body)
    return len(found)


def ask_again(conn: Connection, ctx: Context, now: int, actor: Actor, report: Row[Any]) -> int:
    """Open what a complaint closed, in the state it was, unless its time is over or the same was asked since. Returns
    how many questions. The caller holds the contact.
    """
    facts = report._mapping
    whose = confirmation.c.contact == facts["contact"]
    closed = (confirmation.c.answered == facts["at"], confirmation.c.answer == "declined", confirmation.c.expires > now)
    newer = {question.about for question in _questions(conn, whose, confirmation.c.answered.is_(None))}
    found = [question for question in _questions(conn, whose, *closed) if question.about not in newer]
    pending = list(_pending_before(conn, facts["contact"], facts["message_ref"], facts["at"]))
    evidence = {"act": "an officer undid a report", "report": facts["ref"].hex()}
    for question in found:
        asked = requests.asked_topics(conn, question.id)
        changes = [
            Change(
                contact=event.contact,
                topic=event.topic,
                event=Event.REQUESTED,
                text=event.text,
                evidence=evidence | {"undoes": event.ref.hex()},
                message_ref=facts["message_ref"],
            )
            for event in pending
            if event.topic in asked
        ]
        apply_changes(conn, ctx, now, actor=actor, changes=changes)
        requests.change_confirmation(conn, question.id, answered=None, answer=None)
        _tell(conn, now, actor, "confirmation.reopened", facts["contact_ref"], question, {"report": facts["ref"].hex()})
    return len(found)


def _questions(conn: Connection, *conditions: Any) -> list[Row[Any]]:
    query = select(confirmation).where(confirmation.c.about.in_(_ASKED), *conditions)
    return list(conn.execute(query.order_by(confirmation.c.id).with_for_update()))


def _pending_before(conn: Connection, contact_id: int, message_ref: bytes, at: int) -> Iterator[Row[Any]]:
    """What the report declined that had been pending, where nothing happened since."""
    for event in consents.events_of_act(conn, [contact_id], message_ref, at):
        latest = consents.last_event(conn, contact_id, event.topic)
        was_pending = event.event == Event.DECLINED and event.from_state == State.PENDING
        if was_pending and latest is not None and latest.id == event.id:
            yield event


def _tell(
    conn: Connection, now: int, actor: Actor, kind: str, person: bytes, question: Row[Any], body: dict[str, Any]
) -> None:
    body = {"confirmation": question.ref.hex(), **body}
    record(conn, now, Entry(kind=kind, actor=actor.name, contact=person, body=body))
