"""Claims: takes a batch of one lane for this worker, decides each again, and commits to the attempts.

The second decision and the attempt rows stand in one transaction that has locked the contacts, so a withdrawal either
comes before it, and counts, or after it, and the mail was decided at most two seconds earlier.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select

from outreach.pipeline.bases import judge_invitations, judge_system
from outreach.services.context import Context
from outreach.store.decide import load_rule
from outreach.store.messages import Settled, begin_attempts, claim, due_lanes, lock_contacts, put_back, settle
from outreach.store.planning import judge_messages
from outreach.store.schema.campaigns import campaign, message

LEASE = 30 * 60_000_000
"""Microseconds a claim is held; RFC 5321 §4.5.3.2.6 lets a server think for ten minutes after the final dot."""


@dataclass(frozen=True)
class Decided:
    """Messages committed to an attempt, and when (time.monotonic()) the decision looked at the facts."""

    ids: tuple[int, ...]
    at: float


def claim_next(ctx: Context, worker: str, most: int) -> list[int]:
    """Claim from the first lane that has something due: class before provider, campaigns by priority."""
    with ctx.db.reading() as conn:
        lanes = due_lanes(conn, ctx.db.now(conn))
    for lane in lanes:
        with ctx.db.transaction() as conn:
            now = ctx.db.now(conn)
            found = claim(conn, lane, worker, now + LEASE, now, most)
        if found:
            return found
    return []


def decide_again(ctx: Context, worker: str, ids: Sequence[int]) -> Decided:
    """Decide claimed messages once more and commit an attempt for those that may go; settle or put back the rest."""
    with ctx.db.transaction() as conn:
        lock_contacts(conn, ids)
        decided_at = time.monotonic()
        now = ctx.db.now(conn)
        origins = _origins(conn, ids)
        for_campaigns = [one for one in ids if origins[one] == "campaign"]
        invitations = judge_invitations(conn, now, [one for one in ids if origins[one] == "invitation"])
        others = judge_system(conn, now, [one for one in ids if origins[one] not in {"campaign", "invitation"}])
        ready, withheld = others.ready + invitations.ready, others.withheld + invitations.withheld
        for one, due in invitations.deferred:
            put_back(conn, [one], due)
        running = _running(conn, for_campaigns)
        put_back(conn, [one for one in for_campaigns if one not in running])
        for judged in judge_messages(conn, load_rule(conn), sorted(running), now):
            if judged.reason is not None:
                withheld.append(Settled(judged.id, "withheld", judged.reason))
            elif judged.due > now:
                put_back(conn, [judged.id], judged.due)
            else:
                ready.append(judged.id)
        settle(conn, now, withheld, "claimed")
        begin_attempts(conn, ready, worker, now)
        return Decided(tuple(ready), decided_at)


def _origins(conn: Connection, ids: Sequence[int]) -> dict[int, str]:
    query = select(message.c.id, message.c.origin).where(message.c.id.in_(bindparam("ids", expanding=True)))
    return {row.id: row.origin for row in conn.execute(query, {"ids": list(ids)})}


def _running(conn: Connection, ids: Sequence[int]) -> set[int]:
    """Those whose campaign is being sent; the campaign rows are held, so that a pause orders against us."""
    named = select(message.c.campaign).where(message.c.id.in_(bindparam("ids", expanding=True)))
    query = select(campaign.c.id).where(campaign.c.id.in_(named), campaign.c.state == "sending").order_by(campaign.c.id)
    sending = set(conn.execute(query.with_for_update(read=True), {"ids": list(ids)}).scalars())
    rows = conn.execute(
        select(message.c.id, message.c.campaign).where(message.c.id.in_(bindparam("ids", expanding=True))),
        {"ids": list(ids)},
    )
    return {row.id for row in rows if row.campaign in sending}
