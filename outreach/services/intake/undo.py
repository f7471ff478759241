"""Undoing a report that was wrong: an officer's act, with a reason, that puts back exactly what the report changed.

A bar it put up is lifted, a rest it began ends, consents it ended live again as they were, mails it stopped come again,
and what it answered no to is asked again, unless something happened to them since. From then on it counts for nothing:
neither towards a bar, nor in any rate.
"""

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, Row

from outreach.domain.actors import Actor, Role
from outreach.domain.consent import LIVE, Event, State
from outreach.domain.errors import ConflictError, NotFoundError
from outreach.mail.inbound.incoming import Kind
from outreach.services import notices, streams
from outreach.services.consents import Change, apply_changes
from outreach.services.context import Context
from outreach.services.intake.questions import ask_again
from outreach.services.reasons import check_reason
from outreach.store import address_moves, consents, suppressions
from outreach.store import inbound as store
from outreach.store.audit import Entry, record

_SWITCHES_OFF = frozenset({Kind.UNSUBSCRIBE, Kind.COMPLAINT})
_ENDED_BY = frozenset({Event.COMPLAINED, Event.WITHDRAWN})


def undo_report(ctx: Context, actor: Actor, ref: bytes, reason: str) -> int:
    """Put back what a report changed. Returns how many consents live again.

    Raises InvalidInputError (field "reason"), NotFoundError, ConflictError where it was undone before, or led its
    reader to refuse invitations for good, which only they can take back.
    """
    actor.must_be(Role.OFFICER)
    said = check_reason(reason, "why the report is wrong", "Nothing was changed.")
    with ctx.db.transaction() as conn:
        row = store.find_report(conn, ref)
        if row is None:
            raise NotFoundError("There is no such report.")
        people = address_moves.trail(conn, row.contact)  # as the stop itself reached them
        consents.lock_contacts(conn, people)
        row = store.lock_report(conn, ref)
        if row is None or row.undone is not None:
            raise ConflictError("This report was undone already. Nothing was changed.")
        if row.kind == Kind.UNSUBSCRIBE and row.invitation is not None:
            raise ConflictError("They asked for no more invitations, and only they can take that back.")
        now = ctx.db.now(conn)
        restored = _restore(conn, ctx, now, actor, row, people)
        asked = ask_again(conn, ctx, now, actor, row) if row.kind == Kind.COMPLAINT else 0
        resumed = _resume(conn, ctx, now, actor, row, people) if row.kind in _SWITCHES_OFF else 0
        lifted = row.bar is not None and suppressions.lift(conn, now, row.bar)
        rests = row.rested is not None and store.end_rest(conn, row.contact, row.rested, row.rest_before)
        store.note(conn, row.id, undone=now, undone_reason=said)
        body = {"report": ref.hex(), "kind": row.kind, "reason": said, "restored": restored}
        body |= {"questions": asked, "streams": resumed}
        body |= {"bar": row.bar.hex() if lifted else None, "rest": rests}
        record(conn, now, _entry("report.undone", actor, row, body))
        if lifted:
            barred = {"bar": row.bar.hex(), "kind": _BAR[row.kind], "reason": said}
            record(conn, now, _entry("contact.bar-lifted", actor, row, barred))
        return restored


_BAR = {Kind.HARD_BOUNCE.value: "bounce", Kind.COMPLAINT.value: "complaint"}


def _resume(conn: Connection, ctx: Context, now: int, actor: Actor, row: Row[Any], people: Collection[int]) -> int:
    """What came under no consent, and came no more."""
    stream = streams.resume(conn, ctx, now, row.message_ref, row.at, actor=actor)
    return stream + notices.switch_on_again(conn, now, row.message_ref, people, row.at, actor=actor)


def _restore(conn: Connection, ctx: Context, now: int, actor: Actor, row: Row[Any], people: Collection[int]) -> int:
    """Consents whose last event is the one this report made, as they were."""
    facts = row._mapping
    changes = []
    for event in consents.events_of_act(conn, people, facts["message_ref"], facts["at"]):
        latest = consents.last_event(conn, event.contact, event.topic)
        is_last = latest is not None and latest.id == event.id
        before = State(event.from_state)
        if is_last and event.event in _ENDED_BY and before in LIVE:
            evidence = {"act": "an officer undid a report", "report": facts["ref"].hex(), "undoes": event.ref.hex()}
            changes.append(
                Change(
                    contact=event.contact,
                    topic=event.topic,
                    event=Event.RESTORED,
                    text=event.text,
                    evidence=evidence,
                    message_ref=facts["message_ref"],
                    before=before,
                )
            )
    apply_changes(conn, ctx, now, actor=actor, changes=changes)
    return len(changes)


def _entry(kind: str, actor: Actor, row: Row[Any], body: dict[str, Any]) -> Entry:
    facts = row._mapping
    return Entry(
        kind=kind,
        actor=actor.name,
        contact=facts["contact_ref"],
        topic=facts["topic_ref"],
        campaign=facts["campaign_ref"],
        message=facts["message_ref"],
        body=body,
    )
