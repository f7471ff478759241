"""Claims: takes what is due in a lane, decides each message again, and commits to its attempt, in one transaction.

It holds the contacts while it looks, so a withdrawal either comes before, and counts, or after, and the mail was
decided at most two seconds before it left. A worker that dies before the commit has taken nothing; after it, its
journal tells.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Connection, select

from outreach.pipeline.bases import Based, judge_invitations, judge_system
from outreach.pipeline.pacing import Lease, lease_for, worth_looking
from outreach.services.context import Context
from outreach.store.decide import load_rule
from outreach.store.messages import Facts, Settled, commit_attempts, due_in, put_off, settle
from outreach.store.planning import judge_messages
from outreach.store.schema.campaigns import campaign

LEASE = 30 * 60_000_000
"""Microseconds an attempt is held; RFC 5321 §4.5.3.2.6 lets a server think for ten minutes after the final dot."""


@dataclass(frozen=True)
class Claimed:
    """Messages committed to an attempt, and when (time.monotonic()) the decision looked at the facts.

    `found`: how many were due, so that a batch of which nothing may go is not taken for an empty lane; 0 also where no
    relay has room. `lease`: what each relay may take of it; None: nothing limits it.
    """

    facts: Mapping[int, Facts] = field(default_factory=dict)
    at: float = 0.0
    found: int = 0
    lease: Lease | None = None

    @property
    def ids(self) -> list[int]:
        return list(self.facts)


def claim(ctx: Context, worker: str, lane: str, most: int) -> Claimed:
    """Take up to `most` due messages of `lane` for `worker`; settle or put off those that may not go."""
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        due = {one.id: one for one in due_in(conn, lane, now, worth_looking(ctx, conn, now, lane, most))}
        if not due:
            return Claimed()
        decided_at = time.monotonic()
        based = _judge(conn, ctx.db.now(conn), due)
        settle(conn, now, based.withheld, "planned", due)
        put_off(conn, dict(based.deferred))
        lease = lease_for(ctx, conn, now, lane, len(based.ready))
        chosen = based.ready if lease is None else based.ready[: lease.total]
        mine = commit_attempts(conn, chosen, worker, now, now + LEASE)
        facts = {
            one: due[one]._replace(attempts=due[one].attempts + 1, lease=now + LEASE,
                                   first_attempt=due[one].first_attempt or now)
            for one in chosen if one in mine
        }  # fmt: skip
        return Claimed(facts, decided_at, len(due) if chosen or not based.ready else 0, lease)


def _judge(conn: Connection, now: int, due: Mapping[int, Facts]) -> Based:
    """The second decision, of each kind of mail by its own rule. What belongs to a paused campaign is left as it is."""
    invitations = judge_invitations(conn, now, [one.id for one in due.values() if one.origin == "invitation"])
    based = judge_system(conn, now, [one.id for one in due.values() if one.origin not in {"campaign", "invitation"}])
    based.ready += invitations.ready
    based.withheld += invitations.withheld
    based.deferred += invitations.deferred
    running = _running(conn, due.values())
    chosen = [one.id for one in due.values() if one.origin == "campaign" and one.campaign_id in running]
    rule = load_rule(conn, now) if chosen else None
    for judged in judge_messages(conn, rule, chosen, now) if rule and not rule.is_settling else ():
        if judged.reason is not None:
            based.withheld.append(Settled(judged.id, "withheld", judged.reason))
        elif judged.due > now:
            based.deferred.append((judged.id, judged.due))
        else:
            based.ready.append(judged.id)
    return based


def _running(conn: Connection, due: Iterable[Facts]) -> set[int]:
    """Campaigns of these that are being sent. Not locked: the planner holds them while it works, and a pause that comes
    in this very instant takes effect with the next batch, as one that comes an instant later does."""
    named = sorted({one.campaign_id for one in due if one.origin == "campaign" and one.campaign_id is not None})
    if not named:
        return set()
    query = select(campaign.c.id).where(campaign.c.id.in_(named), campaign.c.state == "sending")
    return set(conn.execute(query).scalars())
