"""Counts of a campaign's messages that cost the same however many there are.

Whoever plans or settles messages adds what changed in the same transaction, so the sums are right after any crash.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, func, select

from outreach.store.bulk import insert_rows
from outreach.store.schema.tally import tally

Count = tuple[str, str | None]
"""A state and, of a final one, its reason. What is being attempted counts as planned; whatever waits has no reason."""

REFUSED = ("address", "gave_up", "refused")
"""Why a message failed that was handed over: a server would not take it."""

_COLUMNS = ("campaign", "at", "state", "reason", "n")


def add(conn: Connection, now: int, campaign_id: int, counts: Mapping[Count, int]) -> None:
    """So many more messages of a campaign stand so."""
    rows = [(campaign_id, now, state, reason, n) for (state, reason), n in counts.items() if n]
    insert_rows(conn, tally, _COLUMNS, rows)


def move(conn: Connection, now: int, moved: Iterable[tuple[int | None, str, str, str | None]]) -> None:
    """Messages went from one state to another: (campaign or None, from, to, reason) of each."""
    changes: dict[int, Counter[Count]] = {}
    for campaign_id, before, after, reason in moved:
        if campaign_id is not None:
            counts = changes.setdefault(campaign_id, Counter())
            counts["waiting" if before == "waiting" else "planned", None] -= 1
            counts[after, reason] += 1
    for campaign_id, counts in changes.items():
        add(conn, now, campaign_id, counts)


def totals(conn: Connection, campaign_id: int) -> dict[Count, int]:
    """How many messages of a campaign stand how."""
    query = select(tally.c.state, tally.c.reason, func.sum(tally.c.n)).where(tally.c.campaign == campaign_id)
    return {(state, reason): int(n) for state, reason, n in conn.execute(query.group_by(tally.c.state, tally.c.reason))}


def sent_since(conn: Connection, campaign_id: int, since: int) -> int:
    """How many were accepted after `since`, UTC microseconds."""
    query = select(func.coalesce(func.sum(tally.c.n), 0))
    chosen = (tally.c.campaign == campaign_id, tally.c.state == "sent", tally.c.at > since)
    return int(conn.execute(query.where(*chosen)).scalar_one())


def refused_since(conn: Connection, campaign_id: int, since: int) -> int:
    """How many a server would not take after `since`, UTC microseconds, for good."""
    query = select(func.coalesce(func.sum(tally.c.n), 0))
    chosen = (tally.c.campaign == campaign_id, tally.c.state == "failed", tally.c.at > since)
    return int(conn.execute(query.where(*chosen, tally.c.reason.in_(REFUSED))).scalar_one())
