"""Reaps: settles what a dead worker left, from its journal, so that nobody is lost and nobody is mailed twice.

not begun → planned · replied → that outcome · final dot without reply → unknown, held for review.
"""

from contextlib import closing
from pathlib import Path

from outreach.mail.transport import Outcome, Result
from outreach.pipeline.journal import DeadJournal, dead_journals
from outreach.pipeline.record import record_outcomes
from outreach.services.context import Context
from outreach.store.messages import facts_of, in_hand, overdue


def reap_dead(ctx: Context, folder: Path) -> int:
    """Settle the messages of workers of this machine that are gone, at once. Returns how many messages."""
    with closing(dead_journals(folder)) as journals:  # where one cannot be settled now, its lock must not stay with us
        return sum(_settle_journal(ctx, journal) for journal in journals)


def reap_expired(ctx: Context) -> int:
    """Settle messages whose lease ran out and whose journal nobody here holds: another machine's, or lost."""
    with ctx.db.reading() as conn:
        lost = overdue(conn, ctx.db.now(conn))
    reply = "The worker was lost with its journal"
    for worker, ids in lost.items():
        _record(ctx, worker, [Outcome(one, Result.UNKNOWN, reply=reply) for one in ids])
    return sum(map(len, lost.values()))


def _settle_journal(ctx: Context, journal: DeadJournal) -> int:
    with ctx.db.reading() as conn:
        ids = in_hand(conn, journal.worker)
    _record(ctx, journal.worker, [_outcome(journal, one) for one in ids])
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
