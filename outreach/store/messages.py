"""Set-based SQL for messages: plan a slice, claim a lane, decide a batch again, record what became of it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, insert, select, text, update

from outreach.store.audit import Entry, record
from outreach.store.decide import AUDIENCE, GATE_LIST, MESSAGES, Rule
from outreach.store.schema import random_ref
from outreach.store.schema.campaigns import attempt, campaign, message
from outreach.store.segment import segment_sql

RECHECK = 600_000_000
"""Microseconds between two looks at a waiting message."""

PROVIDERS = ("gmail", "microsoft", "yahoo", "other")

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
    record(connection, now, *(_settled_entry("withheld", row) for row in rows if row.state == "withheld"))
    return counts


def _settled_entry(state: str, row: Row[Any], **body: Any) -> Entry:
    return Entry(
        kind=f"message.{state}",
        actor="engine",
        contact=row.contact,
        topic=row.topic,
        campaign=row.campaign,
        message=row.ref,
        body={"state": state, "reason": row.reason} | body,
    )


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


def claim(connection: Connection, lane: str, worker: str, lease: int, now: int, limit: int) -> list[int]:
    """Take up to `limit` due messages of a lane for `worker` until `lease`. Returns their ids, oldest due first."""
    skip = " FOR UPDATE SKIP LOCKED" if connection.dialect.name == "postgresql" else ""
    query = text(
        "UPDATE message SET state = 'claimed', worker = :worker, lease = :lease WHERE state = 'planned' AND id IN ("
        "SELECT id FROM message WHERE state = 'planned' AND lane = :lane AND due <= :now "
        f"ORDER BY due, id LIMIT :limit{skip}) RETURNING id"
    )
    params = {"worker": worker, "lease": lease, "lane": lane, "now": now, "limit": limit}
    return sorted(connection.execute(query, params).scalars())


def lock_contacts(connection: Connection, ids: Sequence[int]) -> None:
    """Lock the contacts of these messages in id order, so that a withdrawal comes before or after, never between.

    NO KEY: the planner, which holds a campaign we wait for, may still insert rows that point to these contacts.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(
            text(
                "SELECT id FROM contact WHERE id IN (SELECT contact FROM message WHERE id = ANY(:ids)) "
                "ORDER BY id FOR NO KEY UPDATE"
            ),
            {"ids": list(ids)},
        )


def begin_attempts(connection: Connection, ids: Sequence[int], worker: str, now: int) -> None:
    """Commit to an attempt before the transport runs: a crash from here on is resolved, never repeated blindly."""
    if not ids:
        return
    connection.execute(
        update(message)
        .where(message.c.id.in_(bindparam("ids", expanding=True)), message.c.state == "claimed")
        .values(
            state="attempted",
            attempts=message.c.attempts + 1,
            first_attempt=func.coalesce(message.c.first_attempt, now),
        ),
        {"ids": list(ids)},
    )
    numbers = connection.execute(
        select(message.c.id, message.c.attempts).where(message.c.id.in_(bindparam("ids", expanding=True))),
        {"ids": list(ids)},
    )
    rows = [{"message": row.id, "number": row.attempts, "at": now, "worker": worker} for row in numbers]
    connection.execute(insert(attempt), rows)


def put_back(connection: Connection, ids: Sequence[int], due: int | None = None) -> None:
    """Return messages to the queue with nothing lost: their place stays reserved."""
    if not ids:
        return
    values: dict[str, Any] = {"state": "planned", "worker": None, "lease": None}
    if due is not None:
        values["due"] = due
    connection.execute(
        update(message)
        .where(message.c.id.in_(bindparam("ids", expanding=True)), message.c.state.in_(["claimed", "attempted"]))
        .values(values),
        {"ids": list(ids)},
    )


_REFS = (
    "SELECT x.id, x.ref, x.reason, x.attempts, x.first_attempt, x.lease, x.origin, x.contact AS contact_id, "
    "c.ref AS contact, c.address_key, t.ref AS topic, p.ref AS campaign "
    "FROM message x JOIN contact c ON c.id = x.contact LEFT JOIN campaign p ON p.id = x.campaign "
    "LEFT JOIN topic t ON t.id = x.topic WHERE x.id IN :ids AND x.state = :state"
)


def hold(connection: Connection, ids: Iterable[int], state: str) -> dict[int, Row[Any]]:
    """Lock those of `ids` that still are in `state`, and tell what recording needs to know of each."""
    lock = " FOR UPDATE OF x" if connection.dialect.name == "postgresql" else ""
    query = text(_REFS + lock).bindparams(bindparam("ids", expanding=True))
    return {row.id: row for row in connection.execute(query, {"ids": list(ids), "state": state})}


@dataclass(frozen=True)
class Settled:
    """What became of a message: its final state, and since when it counts under the caps (None: not at all)."""

    id: int
    state: str
    reason: str | None = None
    counted: int | None = None
    code: int | None = None
    evidence: str = ""


def settle(connection: Connection, now: int, settled: Sequence[Settled], from_state: str) -> None:
    """Move messages from `from_state` to a final one and write the entry of each in the same transaction.

    A message that has left `from_state` meanwhile (another worker's reaper was quicker) is left alone.
    """
    known = hold(connection, (one.id for one in settled), from_state) if settled else {}
    held = [one for one in settled if one.id in known]
    if not held:
        return
    connection.execute(
        update(message)
        .where(message.c.id == bindparam("mid"))
        .values(
            state=bindparam("to"),
            reason=bindparam("why"),
            counted=bindparam("since"),
            settled=now,
            worker=None,
            lease=None,
        ),
        [{"mid": one.id, "to": one.state, "why": one.reason, "since": one.counted} for one in held],
    )
    record(connection, now, *(_settlement(one, known[one.id]) for one in held))


def _settlement(one: Settled, row: Row[Any]) -> Entry:
    body: dict[str, Any] = {"reason": one.reason, "attempt": row.attempts}
    if one.code is not None:
        body["code"] = one.code
    if one.evidence:
        body["evidence"] = one.evidence
    return _settled_entry(one.state, row, **body)


def end_attempts(connection: Connection, now: int, ended: Sequence[Mapping[str, Any]]) -> None:
    """Write each attempt's outcome: rows of {"mid", "outcome", "code", "reply"}; replies hold no address."""
    if ended:
        connection.execute(
            update(attempt)
            .where(attempt.c.message == bindparam("mid"), attempt.c.ended.is_(None))
            .values(ended=now, outcome=bindparam("outcome"), code=bindparam("code"), reply=bindparam("reply")),
            list(ended),
        )


def due_lanes(connection: Connection, now: int) -> list[str]:
    """Lanes with something due, class before provider, campaigns by priority and then schedule."""
    rows = connection.execute(
        select(campaign.c.id).where(campaign.c.state == "sending").order_by(campaign.c.priority, campaign.c.due)
    )
    campaigns = [f"5-campaign-{row.id}-{provider}" for row in rows for provider in PROVIDERS]
    lanes = ["1-confirmation", "2-reply", "3-notice", "4-invitation", *campaigns]
    listed = ", ".join(f"('{lane}')" for lane in lanes)
    found = connection.execute(
        text(
            f"WITH lanes(lane) AS (VALUES {listed}) SELECT lane FROM lanes WHERE EXISTS ("
            "SELECT 1 FROM message m WHERE m.state = 'planned' AND m.lane = lanes.lane AND m.due <= :now)"
        ),
        {"now": now},
    ).scalars()
    busy = set(found)
    return [lane for lane in lanes if lane in busy]
