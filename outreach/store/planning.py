"""Set-based SQL for planning: slices of a campaign's audience, what withheld them, and judging a message again."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from outreach.domain.eligibility import GATES
from outreach.domain.frequency import quiet_until
from outreach.store import tally
from outreach.store.audit import record_selected
from outreach.store.bulk import among, bound
from outreach.store.decide import AUDIENCE, GATE_LIST, MESSAGES, Rule
from outreach.store.schema import random_ref
from outreach.store.segment import segment_sql

RECHECK = 600_000_000
"""Microseconds between two looks at a waiting message."""

_PLANNER_LOCK = 0x6F757472
_HOUR = 3_600_000_000

Clock = tuple[str, int | None, int | None]
"""A time zone and a person's own quiet hours, minutes after local midnight; None: the organisation's."""


def take_planners_turn(connection: Connection) -> None:
    """Only one planner reserves at a time. SQLite's BEGIN IMMEDIATE says so already."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_PLANNER_LOCK})"))


@dataclass(frozen=True)
class Slice:
    """The next whole mailboxes of an audience, (`after`, `upto`], and every clock its people live by."""

    after: int
    upto: int
    clocks: frozenset[Clock]


def next_slice(connection: Connection, plan: Mapping[str, Any], size: int) -> Slice | None:
    """The next slice of about `size` contacts, never ending inside a mailbox; None when the audience is done."""
    query = text(
        "SELECT timezone, quiet_from, quiet_to, COUNT(*) AS people, MAX(mailbox) AS last FROM ("
        "SELECT c.timezone, c.quiet_from, c.quiet_to, c.mailbox FROM contact c "
        "JOIN consent cs ON cs.contact = c.id AND cs.topic = :topic "
        "WHERE c.mailbox > :after ORDER BY c.mailbox LIMIT :size) AS slice GROUP BY timezone, quiet_from, quiet_to"
    )
    after = plan["cursor"]
    while True:
        params = {"topic": plan["topic"], "after": after, "size": size + 1}
        rows = connection.execute(query, params).all()
        if not rows:
            return None
        upto = max(row.last for row in rows)
        if sum(row.people for row in rows) > size:  # there is more, perhaps of that very mailbox
            upto -= 1
        if upto > after:
            return Slice(after, upto, frozenset((row.timezone, row.quiet_from, row.quiet_to) for row in rows))
        size *= 2


def plan_slice(connection: Connection, rule: Rule, plan: Mapping[str, Any], part: Slice, now: int) -> None:
    """A row per recipient of the slice: planned, waiting, or withheld with its reason."""
    verdict, params = _verdict(rule, plan, part.after, part.upto)
    quiet, clocks = _quiet(rule, part.clocks, now)
    later = f"v.reason IN ({GATE_LIST}) AND CAST(:later_until AS BIGINT) > :now"
    made = random_ref().compile(dialect=connection.dialect)
    query = f"""
INSERT INTO message (ref, origin, kind, lane, contact, mailbox, campaign, topic, content, state, reason, planned, due,
  later_until, settled, attempts)
WITH quiet(zone, quiet_from, quiet_to, due) AS ({quiet}), {verdict}
SELECT {made}, 'campaign', v.kind, '5-campaign-{plan["id"]}-' || v.provider, v.contact, v.mailbox, :campaign, v.topic,
  :content, CASE WHEN v.reason IS NULL THEN 'planned' WHEN {later} THEN 'waiting' ELSE 'withheld' END, v.reason, :now,
  CASE WHEN v.reason IS NOT NULL THEN :now + {RECHECK} WHEN v.kind = 'service' THEN :now
    ELSE COALESCE(q.due, :now + {_HOUR}) END,
  CAST(:later_until AS BIGINT), CASE WHEN v.reason IS NULL OR ({later}) THEN NULL ELSE CAST(:now AS BIGINT) END, 0
FROM verdict v
LEFT JOIN quiet q ON q.zone = v.zone AND q.quiet_from = v.quiet_from AND q.quiet_to = v.quiet_to
WHERE 1 = 1 ORDER BY v.mailbox"""
    params |= clocks | {"now": now}
    params |= {"campaign": plan["id"], "content": plan["content"], "later_until": plan["later_until"]}
    connection.execute(text(query), params)


def _verdict(rule: Rule, plan: Mapping[str, Any], after: int, upto: int) -> tuple[str, dict[str, Any]]:
    """(the CTEs up to `verdict`, their parameters): an audience judged, one contact of each mailbox at most."""
    segment, params = segment_sql(plan["segment"])
    params |= {"topic": plan["topic"], "kind": plan["kind"], "after": after, "upto": upto, "too_old": rule.too_old}
    eligible = f"(reason IS NULL OR reason IN ({GATE_LIST}))"
    sql = f"""judged AS MATERIALIZED ({rule.judged(AUDIENCE, segment=segment)}),
verdict AS (
  SELECT contact, mailbox, provider, topic, kind, zone, quiet_from, quiet_to, CASE WHEN {eligible}
      AND ROW_NUMBER() OVER (PARTITION BY mailbox, CASE WHEN {eligible} THEN 1 ELSE 0 END ORDER BY contact) > 1
    THEN 'same_mailbox' ELSE reason END AS reason
  FROM judged
)"""
    return sql, params


def _quiet(rule: Rule, clocks: frozenset[Clock], now: int) -> tuple[str, dict[str, Any]]:
    """When each clock lets mail through, as rows for SQL to join. One that is missing here is taken to be asleep."""
    rows: list[str] = []
    params: dict[str, Any] = {}
    for i, (zone, start, end) in enumerate(clocks):
        begins, ends = rule.quiet_from if start is None else start, rule.quiet_to if end is None else end
        due = quiet_until(now, zone, begins, ends)
        rows.append(f"(CAST(:zone{i} AS TEXT), CAST(:from{i} AS INT), CAST(:to{i} AS INT), CAST(:due{i} AS BIGINT))")
        params |= {f"zone{i}": zone, f"from{i}": begins, f"to{i}": ends, f"due{i}": due}
    return f"VALUES {', '.join(rows)}", params


def last_message(connection: Connection) -> int:
    """The highest id so far: what this transaction inserts comes after it."""
    return int(connection.execute(text("SELECT COALESCE(MAX(id), 0) FROM message")).scalar_one())


def record_slice(connection: Connection, now: int, plan: Mapping[str, Any], after: int) -> dict[str, int]:
    """Count what `plan` made after message `after`, an entry for each withheld. Returns how many by state or reason."""
    params = {"after": after, "last": last_message(connection), "campaign": plan["id"]}
    since = "x.id > :after AND x.id <= :last AND x.campaign - :campaign = 0"  # found by id alone, which is quick
    reason = "CASE WHEN x.state = 'withheld' THEN x.reason END"
    counted = text(f"SELECT x.state, {reason} AS reason, COUNT(*) AS n FROM message x WHERE {since} GROUP BY 1, 2")
    counts = {(state, reason): n for state, reason, n in connection.execute(counted, params)}
    tally.add(connection, now, plan["id"], counts)
    entries = f"""SELECT 'message.withheld' AS kind, 'engine' AS actor, c.ref AS contact, t.ref AS topic,
    p.ref AS campaign, x.ref AS message, '{{"reason":"' || x.reason || '","state":"withheld"}}' AS body
  FROM message x JOIN contact c ON c.id = x.contact JOIN topic t ON t.id = x.topic JOIN campaign p ON p.id = x.campaign
  WHERE {since} AND x.state = 'withheld' ORDER BY x.id"""
    record_selected(connection, now, entries, params)
    return {reason or state: n for (state, reason), n in counts.items()}


def forecast(connection: Connection, rule: Rule, plan: Mapping[str, Any], now: int) -> list[tuple[str, str, int, int]]:
    """What planning would do at `now`: (planned | waiting | withheld, reason or "", people, earliest due)."""
    verdict, params = _verdict(rule, plan, 0, 2**62)
    query = f"""WITH {verdict}
SELECT kind, reason, zone, quiet_from, quiet_to, COUNT(*) AS people FROM verdict GROUP BY 1, 2, 3, 4, 5"""
    totals: dict[tuple[str, str], tuple[int, int]] = {}
    ends = _Ends(now)
    for row in connection.execute(text(query), params | {"now": now}):
        due = now + RECHECK if row.reason else ends[row.kind, row.zone, row.quiet_from, row.quiet_to]
        is_later = row.reason in GATES and (plan["later_until"] or 0) > now
        state = "waiting" if is_later else "withheld" if row.reason else "planned"
        name = state, row.reason or ("quiet" if due > now else "")
        people, first = totals.get(name, (0, due))
        totals[name] = people + row.people, min(first, due)
    rows = [(state, why, people, due) for (state, why), (people, due) in totals.items()]
    return sorted(rows, key=lambda row: -row[2])


class Judged(NamedTuple):
    """One message decided again: may go (reason None, due ≤ now), not yet (due > now), or not (reason)."""

    id: int
    due: int
    reason: str | None


def judge_messages(connection: Connection, rule: Rule, ids: Sequence[int], now: int) -> list[Judged]:
    """The rule for campaign messages that exist already, not counting each against itself."""
    judged = rule.judged(MESSAGES, chosen=among(connection, "x.id"))
    query = text(f"SELECT self, reason, kind, zone, quiet_from, quiet_to FROM ({judged}) j")
    rows = connection.execute(query, {"now": now, "too_old": rule.too_old, "ids": bound(connection, ids)}).all()
    ends = _Ends(now)
    return [
        Judged(one, now if reason else ends[kind, zone, start, end], reason)
        for one, reason, kind, zone, start, end in rows
    ]


class _Ends(dict[tuple[str, str, int, int], int]):
    """When mail of a kind may go by a clock: at `now`, or when quiet hours end. Service mail knows none."""

    def __init__(self, now: int) -> None:
        self._now = now

    def __missing__(self, clock: tuple[str, str, int, int]) -> int:
        kind, zone, start, end = clock
        self[clock] = self._now if kind == "service" else quiet_until(self._now, zone, start, end)
        return self[clock]


def campaigns_that_wait(connection: Connection, now: int) -> list[int]:
    """Campaigns being sent of which a waiting message is to be looked at again, by priority and then schedule."""
    query = text(
        "SELECT p.id FROM campaign p WHERE p.state = 'sending' AND EXISTS (SELECT 1 FROM message m "
        "WHERE m.queue = 2 AND m.campaign = p.id AND m.due <= :now) ORDER BY p.priority, p.due, p.id"
    )
    return list(connection.execute(query, {"now": now}).scalars())


def look_again(
    connection: Connection, rule: Rule, campaign_id: int, now: int, most: int
) -> tuple[int, list[tuple[int, str]]]:
    """Judge up to `most` waiting messages of a campaign again: some are planned now, some go on waiting.

    Returns how many were judged, and those whose time is over, with the reason they are to be withheld for.
    """
    query = text(
        "SELECT id, later_until FROM message WHERE queue = 2 AND campaign = :campaign AND due <= :now "
        "ORDER BY due, id LIMIT :most"
    )
    rows = connection.execute(query, {"campaign": campaign_id, "now": now, "most": most})
    until = {one: deadline or 0 for one, deadline in rows}
    planned: dict[tuple[str | None, int], list[int]] = {}
    waiting: dict[tuple[str | None, int], list[int]] = {}
    ended = []
    for one, due, reason in judge_messages(connection, rule, list(until), now):
        if reason is None:
            planned.setdefault((None, due), []).append(one)
        elif reason in GATES and until[one] > now:
            waiting.setdefault((reason, min(now + RECHECK, until[one])), []).append(one)
        else:
            ended.append((one, reason))
    _put(connection, "state = 'planned', planned = :now, ", planned, now)
    _put(connection, "", waiting, now)
    released = sum(map(len, planned.values()))
    tally.add(connection, now, campaign_id, {("waiting", None): -released, ("planned", None): released})
    return len(until), ended


def _put(connection: Connection, change: str, groups: Mapping[tuple[str | None, int], Sequence[int]], now: int) -> None:
    """Waiting messages by their new (reason, due), a statement for each group."""
    query = text(
        f"UPDATE message SET {change}reason = :reason, due = :due WHERE {among(connection, 'id')} AND state = 'waiting'"
    )
    for (reason, due), ids in groups.items():
        params = {"reason": reason, "due": due, "ids": bound(connection, ids)}
        connection.execute(query, params | ({"now": now} if ":now" in change else {}))
