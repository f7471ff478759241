"""Reaps: settles what a dead worker left, from its journal, so that nobody is lost and nobody is mailed twice.

not begun → planned · replied → that outcome · final dot without reply → unknown, held for review.
"""

from pathlib import Path

from sqlalchemy import select, update

from outreach.mail.transport import Outcome, Result
from outreach.pipeline.journal import DeadJournal, dead_journals
from outreach.pipeline.record import record_outcomes
from outreach.services.context import Context
from outreach.store.schema.campaigns import message

_BATCH = 500


def reap_dead(ctx: Context, folder: Path) -> int:
    """Settle the messages of workers of this machine that are gone, at once. Returns how many messages."""
    return sum(_settle_journal(ctx, journal) for journal in dead_journals(folder))


def reap_expired(ctx: Context) -> int:
    """Settle messages whose lease ran out and whose journal nobody here holds: another machine's, or lost."""
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        query = select(message.c.id, message.c.state).where(
            message.c.state.in_(["claimed", "attempted"]), message.c.lease <= now
        )
        rows = conn.execute(query.limit(_BATCH)).all()
    _return_claimed(ctx, [row.id for row in rows if row.state == "claimed"])
    lost = [row.id for row in rows if row.state == "attempted"]
    reply = "The worker was lost with its journal"
    record_outcomes(ctx, [Outcome(one, Result.UNKNOWN, reply=reply) for one in lost])
    return len(rows)


def _settle_journal(ctx: Context, journal: DeadJournal) -> int:
    with ctx.db.reading() as conn:
        rows = conn.execute(
            select(message.c.id, message.c.state).where(
                message.c.worker == journal.worker, message.c.state.in_(["claimed", "attempted"])
            )
        ).all()
    _return_claimed(ctx, [row.id for row in rows if row.state == "claimed"])
    outcomes = [_outcome(journal, row.id) for row in rows if row.state == "attempted"]
    for start in range(0, len(outcomes), _BATCH):
        record_outcomes(ctx, outcomes[start : start + _BATCH])
    return len(rows)


def _outcome(journal: DeadJournal, message_id: int) -> Outcome:
    if message_id in journal.replies:
        code, text = journal.replies[message_id]
        result = Result.SENT if code < 400 else Result.DEFERRED if code < 500 else Result.FAILED
        return Outcome(message_id, result, code=code, reply=text)
    if message_id in journal.dotted or not journal.whole:
        return Outcome(message_id, Result.UNKNOWN, reply="The worker stopped between the final dot and the reply")
    return Outcome(message_id, Result.PUT_BACK)


def _return_claimed(ctx: Context, ids: list[int]) -> None:
    if ids:
        with ctx.db.transaction() as conn:
            conn.execute(
                update(message)
                .where(message.c.id.in_(ids), message.c.state == "claimed")
                .values(state="planned", worker=None, lease=None)
            )
