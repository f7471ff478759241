"""Set-based SQL for planning: slices of a campaign's audience, what withheld them, and judging a message again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from outreach.store.audit import record
from outreach.store.decide import AUDIENCE, GATE_LIST, MESSAGES, Rule
from outreach.store.messages import settled_entry
from outreach.store.schema import random_ref
from outreach.store.segment import segment_sql

RECHECK = 600_000_000
"""Microseconds between two looks at a waiting message."""

_PLANNER_LOCK = 0x6F757472


def take_planners_turn(connection: Connection) -> None:
    """Only one planner reserves at a time. SQLite's BEGIN IMMEDIATE says so already."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_PLANNER_LOCK})"))


def _audience(plan: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    segment, bound = segment_sql(plan["segment"])
    return segment, {"topic": plan["topic"], "kind": plan["kind"], **bound}


def slice_end(connection: Connection, plan: Mapping[str, Any], size: int) -> int | None:
    """The last mailbox id of the next slice of at most `size` mailboxes; None when the audience is done."""
    query = text(
        "SELECT MAX(mailbox) FROM (SELECT c.mailbox FROM contact c JOIN consent cs ON cs.contact = c.id "
        "AND cs.topic = :topic WHERE c.mailbox > :after GROUP BY c.mailbox ORDER BY c.mailbox LIMIT :size) AS slice"
    )
    found = connection.execute(query, {"topic": plan["topic"], "after": plan["cursor"], "size": size}).scalar()
    return None if found is None else int(found)


def plan_slice(connection: Connection, rule: Rule, plan: Mapping[str, Any], upto: int, now: int) -> None:
    """A row per recipient of the slice: planned, waiting, or withheld with its reason."""
    segment, params = _audience(plan)
    params |= {"after": plan["cursor"], "upto": upto, "now": now}
    verdict, params = rule.verdict(connection, AUDIENCE, params, segment=segment)
    later = f"reason IN ({GATE_LIST}) AND CAST(:later_until AS BIGINT) > :now"
    made = random_ref().compile(dialect=connection.dialect)
    query = f"""{verdict}
INSERT INTO message (ref, origin, kind, lane, contact, mailbox, campaign, topic, content, state, reason, planned, due,
  later_until, settled, attempts)
SELECT {made}, 'campaign', kind, '5-campaign-{plan["id"]}-' || provider, contact, mailbox, :campaign, topic, :content,
  CASE WHEN reason IS NULL THEN 'planned' WHEN {later} THEN 'waiting' ELSE 'withheld' END,
  reason, :now, CASE WHEN reason IS NULL THEN due ELSE :now + {RECHECK} END, CAST(:later_until AS BIGINT),
  CASE WHEN reason IS NULL OR ({later}) THEN NULL ELSE CAST(:now AS BIGINT) END, 0
FROM verdict WHERE 1 = 1 ORDER BY contact"""
    if connection.dialect.name == "sqlite":  # SQLite wants INSERT before WITH's SELECT
        insert_at = query.index("INSERT INTO message")
        select_at = query.index("SELECT", insert_at)
        query = query[insert_at:select_at] + query[:insert_at] + query[select_at:]
    params |= {"campaign": plan["id"], "content": plan["content"], "later_until": plan["later_until"]}
    connection.execute(text(query), params)


def record_withheld(connection: Connection, now: int, campaign_id: int, after: int, upto: int) -> dict[str, int]:
    """An audit entry for each message of a slice withheld at `now`; returns how many, by state or reason."""
    rows = connection.execute(
        text(
            "SELECT x.ref, x.state, x.reason, c.ref AS contact, t.ref AS topic, p.ref AS campaign FROM message x "
            "JOIN contact c ON c.id = x.contact JOIN campaign p ON p.id = x.campaign JOIN topic t ON t.id = x.topic "
            "WHERE x.campaign = :campaign AND x.planned = :now AND x.mailbox > :after AND x.mailbox <= :upto"
        ),
        {"campaign": campaign_id, "now": now, "after": after, "upto": upto},
    ).all()
    counts: dict[str, int] = {}
    for row in rows:
        name = row.reason if row.state == "withheld" else row.state
        counts[name] = counts.get(name, 0) + 1
    record(connection, now, *(settled_entry("withheld", row) for row in rows if row.state == "withheld"))
    return counts


def forecast(connection: Connection, rule: Rule, plan: Mapping[str, Any], now: int) -> list[tuple[str, str, int, int]]:
    """What planning would do at `now`: (planned | waiting | withheld, reason or "", people, earliest due)."""
    segment, params = _audience(plan)
    params |= {"after": 0, "upto": 2**62, "now": now}
    verdict, params = rule.verdict(connection, AUDIENCE, params, segment=segment)
    later = f"reason IN ({GATE_LIST}) AND CAST(:later_until AS BIGINT) > :now"
    query = f"""{verdict}
SELECT CASE WHEN reason IS NULL THEN 'planned' WHEN {later} THEN 'waiting' ELSE 'withheld' END AS state,
  COALESCE(reason, CASE WHEN due > :now THEN 'quiet' ELSE '' END) AS why, COUNT(*) AS people, MIN(due) AS due
FROM verdict GROUP BY 1, 2 ORDER BY 3 DESC"""
    rows = connection.execute(text(query), params | {"later_until": plan["later_until"]})
    return [(row.state, row.why, row.people, row.due) for row in rows]


@dataclass(frozen=True)
class Judged:
    """One message decided again: may go (reason None, due ≤ now), not yet (due > now), or not (reason)."""

    id: int
    due: int
    reason: str | None


def judge_messages(connection: Connection, rule: Rule, ids: Sequence[int], now: int) -> list[Judged]:
    """The rule for campaign messages that exist already, not counting each against itself."""
    chosen = "x.id IN (" + ", ".join(str(int(one)) for one in ids) + ")" if ids else "1 = 0"
    verdict, params = rule.verdict(connection, MESSAGES, {"now": now}, chosen=chosen)
    rows = connection.execute(text(f"{verdict} SELECT self, due, reason FROM verdict"), params)
    return [Judged(row.self, row.due, row.reason) for row in rows]
