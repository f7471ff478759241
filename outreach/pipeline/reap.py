"""Reaps: settles what a dead worker left, from its journal, so that nobody is lost and nobody is mailed twice.

not begun → planned · replied → that outcome · final dot without reply → unknown, held for review.
"""

from pathlib import Path

from sqlalchemy import select

from outreach.mail.transport import Outcome, Result
from outreach.pipeline.journal import DeadJournal, dead_journals
from outreach.pipeline.record import record_outcomes
from outreach.services.context import Context
from outreach.store.messages import facts_of
from outreach.store.schema.campaigns import message

_BATCH = 500


def reap_dead(ctx: Context, folder: Path) -> int:
    """Settle the messages of workers of this machine that are gone, at once. Returns how many messages."""
    return sum(_settle_journal(ctx, journal) for journal in dead_journals(folder))


def reap_expired(ctx: Context) -> int:
    """Settle messages whose lease ran out and whose journal nobody here holds: another machine's, or lost."""
    with ctx.db.reading() as conn:
        query = select(message.c.id, message.c.worker).where(
            message.c.state == "attempted", message.c.lease <= ctx.db.now(conn)
        )
        rows = conn.execute(query.order_by(message.c.worker).limit(_BATCH)).all()
    for worker in dict.fromkeys(row.worker for row in rows):
        reply = "The worker was lost with its journal"
        _record(ctx, worker, [Outcome(one.id, Result.UNKNOWN, reply=reply) for one in rows if one.worker == worker])
    return len(rows)


def _settle_journal(ctx: Context, journal: DeadJournal) -> int:
    with ctx.db.reading() as conn:
        query = select(message.c.id).where(message.c.worker == journal.worker, message.c.state == "attempted")
        ids = list(conn.execute(query.order_by(message.c.id)).scalars())
    for start in range(0, len(ids), _BATCH):
        _record(ctx, journal.worker, [_outcome(journal, one) for one in ids[start : start + _BATCH]])
    return len(ids)


def _record(ctx: Context, worker: str, outcomes: list[Outcome]) -> None:
    with ctx.db.reading() as conn:
        facts = facts_of(conn, [one.message_id for one in outcomes])
    record_outcomes(ctx, worker, facts, outcomes)


def _outcome(journal: DeadJournal, message_id: int) -> Outcome:
    if message_id in journal.replies:
        code, text = journal.replies[message_id]
        result = Result.SENT if code < 400 else Result.DEFERRED if code < 500 else Result.FAILED
        return Outcome(message_id, result, code=code, reply=text)
    if message_id in journal.dotted or not journal.whole:
        return Outcome(message_id, Result.UNKNOWN, reply="The worker stopped between the final dot and the reply")
    return Outcome(message_id, Result.PUT_BACK)
