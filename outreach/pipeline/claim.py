"""Claims: takes a batch of one lane for this worker, decides each again, and commits to the attempts.

The second decision and the attempt rows stand in one transaction that has locked the contacts, so a withdrawal either
comes before it, and counts, or after it, and the mail was decided at most two seconds earlier.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, select, text

from outreach.services.context import Context
from outreach.store.decide import load_rule
from outreach.store.messages import (
    Settled,
    begin_attempts,
    claim,
    due_lanes,
    judge_messages,
    lock_contacts,
    put_back,
    settle,
)
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
        ready, withheld = _system(conn, now, [one for one in ids if origins[one] != "campaign"])
        for_campaigns = [one for one in ids if origins[one] == "campaign"]
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


_SYSTEM = text(
    """
    SELECT x.id, CASE
      WHEN ck.contact IS NULL THEN 'erased'
      WHEN EXISTS (SELECT 1 FROM suppression s WHERE s.lifted IS NULL AND s.kind = 'deceased'
        AND s.key IN (c.address_key, mb.mailbox_key)) THEN 'deceased'
      WHEN x.origin <> 'confirmation' AND x.topic IS NULL
        AND EXISTS (SELECT 1 FROM staff f WHERE f.contact = c.id AND f.disabled IS NULL) THEN NULL
      WHEN x.origin <> 'confirmation' AND x.topic IS NULL THEN 'staff_ended'
      WHEN EXISTS (SELECT 1 FROM suppression s WHERE s.lifted IS NULL AND s.kind = 'never'
        AND s.key IN (c.address_key, mb.mailbox_key)) THEN 'never'
      WHEN EXISTS (SELECT 1 FROM suppression s WHERE s.lifted IS NULL AND s.kind = 'complaint'
        AND s.key IN (c.address_key, mb.mailbox_key)) THEN 'complaint'
      WHEN EXISTS (SELECT 1 FROM suppression s WHERE s.lifted IS NULL AND s.kind = 'imported'
        AND s.key IN (c.address_key, mb.mailbox_key)) THEN 'imported'
      WHEN EXISTS (SELECT 1 FROM suppression s WHERE s.lifted IS NULL AND s.kind = 'bounce'
        AND s.key IN (c.address_key, mb.mailbox_key)) THEN 'bounce'
      WHEN x.origin = 'notice' AND EXISTS (SELECT 1 FROM consent cs WHERE cs.contact = c.id
        AND cs.state IN ('granted', 'paused') AND (cs.expires IS NULL OR cs.expires > :now)) THEN NULL
      WHEN x.origin = 'notice' THEN 'no_consent'
      WHEN f.id IS NULL OR f.answered IS NOT NULL OR f.expires <= :now THEN 'request_ended'
    END AS reason
    FROM message x JOIN contact c ON c.id = x.contact JOIN mailbox mb ON mb.id = c.mailbox
    LEFT JOIN contact_key ck ON ck.contact = c.id LEFT JOIN confirmation f ON f.id = x.confirmation
    WHERE x.id IN :ids
    """
).bindparams(bindparam("ids", expanding=True))


def _system(conn: Connection, now: int, ids: Sequence[int]) -> tuple[list[int], list[Settled]]:
    """(may go, withheld) of what no campaign sends, each with a basis of its own.

    A confirmation's is an open request; that of a notice about a topic, a consent its reader still lives by (any: the
    link it brings stops everything too); that of every other, a working member of staff.
    """
    ready: list[int] = []
    withheld: list[Settled] = []
    for row in conn.execute(_SYSTEM, {"ids": list(ids), "now": now}) if ids else ():
        if row.reason is None:
            ready.append(row.id)
        else:
            withheld.append(Settled(row.id, "withheld", row.reason))
    return ready, withheld
