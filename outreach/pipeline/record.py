"""Records: what the relay said becomes each message's state, its attempt's outcome and its audit entry, together."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, update

from outreach.domain.eligibility import Reason
from outreach.domain.message import GIVE_UP_AFTER, retry_delay
from outreach.mail.transport import Outcome, Result
from outreach.services.context import Context
from outreach.store.audit import Entry, record
from outreach.store.messages import Settled, end_attempts, hold, settle
from outreach.store.schema.campaigns import message
from outreach.store.schema.people import suppression

_SENDABLE_ONCE_MORE = 2


def keep_evidence(ctx: Context, evidence: dict[int, bytes]) -> None:
    """Keep boxed confirmations as they are about to be sent, by message id: part of the proof of double opt-in."""
    if evidence:
        with ctx.db.transaction() as conn:
            rows = [{"mid": message_id, "box": box} for message_id, box in evidence.items()]
            conn.execute(
                update(message).where(message.c.id == bindparam("mid")).values(body_box=bindparam("box")), rows
            )


def record_outcomes(ctx: Context, outcomes: Sequence[Outcome]) -> None:
    """Write what became of a batch, set-wise, in one transaction."""
    if not outcomes:
        return
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        held = hold(conn, [one.message_id for one in outcomes], "attempted")
        mine = [one for one in outcomes if one.message_id in held]
        end_attempts(conn, now, [_attempt(one) for one in mine])
        settled = [_settled(one, held[one.message_id], now) for one in mine]
        settle(conn, now, [one for one in settled if one is not None], "attempted")
        again = [(one, held[one.message_id]) for one, end in zip(mine, settled, strict=True) if end is None]
        for outcome, row in again:
            _try_again(conn, now, outcome, row)
        _suppress(conn, now, [held[one.message_id] for one in mine if one.bad_address])


def _attempt(outcome: Outcome) -> dict[str, Any]:
    name = "put back" if outcome.result is Result.PUT_BACK else str(outcome.result)
    return {"mid": outcome.message_id, "outcome": name, "code": outcome.code, "reply": outcome.reply[:500]}


def _settled(outcome: Outcome, row: Any, now: int) -> Settled | None:
    """The final state this outcome leads to; None when the message will be tried again."""
    match outcome.result:
        case Result.SENT:
            return Settled(outcome.message_id, "sent", counted=now, code=outcome.code)
        case Result.FAILED:
            reason = "address" if outcome.bad_address else "refused" if outcome.code is not None else "unsendable"
            return Settled(outcome.message_id, "failed", reason, code=outcome.code)
        case Result.UNKNOWN if row.origin == "confirmation" and row.attempts < _SENDABLE_ONCE_MORE:
            return None  # a confirmation is simply sent once more
        case Result.UNKNOWN:
            return Settled(outcome.message_id, "unknown", "no_reply", counted=row.lease)
        case Result.DEFERRED if now - row.first_attempt >= GIVE_UP_AFTER:
            return Settled(outcome.message_id, "failed", "gave_up", code=outcome.code)
    return None


def _try_again(conn: Connection, now: int, outcome: Outcome, row: Any) -> None:
    values: dict[str, Any] = {"state": "planned", "worker": None, "lease": None}
    if outcome.result is Result.PUT_BACK:
        values["attempts"] = message.c.attempts - 1  # it was never begun
    else:
        values["due"] = now + retry_delay(row.attempts, reached=outcome.code is not None)
    if outcome.code is not None and outcome.result is not Result.PUT_BACK:
        body = {"attempt": row.attempts, "code": outcome.code, "due": values["due"]}
        entry = Entry(kind="message.deferred", actor="engine", contact=row.contact, topic=row.topic,
                      campaign=row.campaign, message=row.ref, body=body)  # fmt: skip
        record(conn, now, entry)
    conn.execute(update(message).where(message.c.id == outcome.message_id).values(values))


def _suppress(conn: Connection, now: int, rows: Sequence[Any]) -> None:
    """A mailbox that does not exist (RFC 3463 5.1.1) is not written to again until an officer lifts the bar."""
    for row in rows:
        known = select(suppression.c.id).where(
            suppression.c.key == row.address_key, suppression.c.kind == "bounce", suppression.c.lifted.is_(None)
        )
        if conn.execute(known).first() is None:
            conn.execute(
                insert(suppression).values(
                    key=row.address_key, scope="address", kind="bounce", lift="officer", since=now
                )
            )
            body = {"kind": str(Reason.BOUNCE)}
            record(conn, now, Entry(kind="contact.suppressed", actor="engine", contact=row.contact, body=body))
