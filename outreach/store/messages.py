"""Set-based SQL for messages on their way: what is due, committing attempts, recording what became of them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

from sqlalchemy import Connection, delete, insert, select, text

from outreach.store import tally
from outreach.store.audit import Entry, record
from outreach.store.bulk import among, bound, insert_rows
from outreach.store.schema.campaigns import attempt, batch, campaign

PROVIDERS = ("gmail", "microsoft", "yahoo", "other")
EXPRESS = ("1-confirmation", "2-reply", "3-notice", "4-invitation")
"""The lanes of what no campaign sends; they overtake every campaign."""


class Facts(NamedTuple):
    """What the log and the record need to know of a message. Refs are 16 bytes; `campaign_id` None: of no campaign."""

    id: int
    ref: bytes
    origin: str
    campaign_id: int | None
    attempts: int
    first_attempt: int | None
    lease: int | None
    provider: str
    contact: bytes
    topic: bytes | None
    campaign: bytes | None


_FACTS = (
    "SELECT x.id, x.ref, x.origin, x.campaign, x.attempts, x.first_attempt, x.lease, c.provider, c.ref, t.ref, p.ref "
    "FROM message x JOIN contact c ON c.id = x.contact LEFT JOIN campaign p ON p.id = x.campaign "
    "LEFT JOIN topic t ON t.id = x.topic "
)


def due_in(conn: Connection, lane: str, now: int, limit: int) -> list[Facts]:
    """Up to `limit` due messages of a lane, oldest due first, their contacts locked until the transaction ends.

    On PostgreSQL a contact somebody else holds (a withdrawal, another worker) is left for later, so nobody waits here
    and a withdrawal comes before this look or after it, never between. NO KEY: the planner may still insert rows that
    point to these contacts. SQLite's one writer is lock enough.
    """
    skip = " FOR NO KEY UPDATE OF c SKIP LOCKED" if conn.dialect.name == "postgresql" else ""
    query = text(
        f"{_FACTS} WHERE x.queue = 1 AND x.lane = :lane AND x.due <= :now ORDER BY x.due, x.id LIMIT :limit{skip}"
    )
    rows = conn.execute(query, {"lane": lane, "now": now, "limit": limit})
    return [Facts._make(row) for row in rows.all()]  # all at once: one by one they take a driver twice as long


def facts_of(conn: Connection, ids: Iterable[int]) -> dict[int, Facts]:
    """The facts of these messages, by id."""
    rows = conn.execute(text(f"{_FACTS} WHERE {among(conn, 'x.id')}"), {"ids": bound(conn, ids)})
    return {row[0]: Facts._make(row) for row in rows.all()}


def due_lanes(conn: Connection, now: int) -> list[str]:
    """Campaign lanes with something due, by priority and then schedule."""
    rows = conn.execute(
        select(campaign.c.id).where(campaign.c.state == "sending").order_by(campaign.c.priority, campaign.c.due)
    )
    return _busy(conn, [f"5-campaign-{row.id}-{provider}" for row in rows for provider in PROVIDERS], now)


def due_express(conn: Connection, now: int) -> list[str]:
    """Lanes of what no campaign sends with something due, class by class."""
    return _busy(conn, EXPRESS, now)


def _busy(conn: Connection, lanes: Sequence[str], now: int) -> list[str]:
    if not lanes:
        return []
    listed = ", ".join(f"('{lane}')" for lane in lanes)
    found = conn.execute(
        text(
            f"WITH lanes(lane) AS (VALUES {listed}) SELECT lane FROM lanes WHERE EXISTS ("
            "SELECT 1 FROM message m WHERE m.queue = 1 AND m.lane = lanes.lane AND m.due <= :now)"
        ),
        {"now": now},
    )
    busy = set(found.scalars())
    return [lane for lane in lanes if lane in busy]


def commit_attempts(conn: Connection, ids: Sequence[int], worker: str, now: int, lease: int) -> set[int]:
    """Move planned messages to attempted, before the transport runs: a crash from here on is resolved, never repeated.

    Returns those that were still planned.
    """
    if not ids:
        return set()
    query = text(
        "UPDATE message SET state = 'attempted', worker = :worker, lease = :lease, attempts = attempts + 1, "
        f"first_attempt = COALESCE(first_attempt, :now) WHERE {among(conn, 'id')} AND state = 'planned' RETURNING id"
    )
    params = {"ids": bound(conn, ids), "worker": worker, "lease": lease, "now": now}
    taken = set(conn.execute(query, params).scalars().all())
    if taken:
        conn.execute(insert(batch).values(worker=worker, lease=lease, messages=json.dumps(sorted(taken))))
    return taken


def in_hand(conn: Connection, worker: str) -> list[int]:
    """What `worker` has committed to and not recorded."""
    found = conn.execute(select(batch.c.messages).where(batch.c.worker == worker)).scalars()
    return [one for messages in found for one in json.loads(messages)]


def overdue(conn: Connection, now: int) -> dict[str, list[int]]:
    """By worker, what was committed to and whose lease ran out."""
    rows = conn.execute(select(batch.c.worker, batch.c.messages).where(batch.c.lease <= now).order_by(batch.c.id))
    return {row.worker: json.loads(row.messages) for row in rows}


def let_go(conn: Connection, worker: str) -> None:
    """The worker's batch is recorded, every message of it."""
    conn.execute(delete(batch).where(batch.c.worker == worker))


def put_off(conn: Connection, due: Mapping[int, int]) -> None:
    """Let planned messages wait until their instant; their place stays reserved."""
    for instant in set(due.values()):
        ids = [one for one, when in due.items() if when == instant]
        query = text(f"UPDATE message SET due = :due WHERE {among(conn, 'id')} AND state = 'planned'")
        conn.execute(query, {"ids": bound(conn, ids), "due": instant})


def release(conn: Connection, ids: Sequence[int], worker: str, *, begun: bool, due: int | None = None) -> set[int]:
    """Return messages `worker` is attempting to the queue; one that was never begun had no attempt.

    Returns those that were; what another worker has taken up meanwhile is left alone.
    """
    query = text(
        "UPDATE message SET state = 'planned', worker = NULL, lease = NULL, due = COALESCE(:due, due), "
        f"attempts = attempts - :unused WHERE {among(conn, 'id')} AND {_HELD} RETURNING id"
    )
    params = {"ids": bound(conn, ids), "worker": worker, "due": due, "unused": 0 if begun else 1}
    return set(conn.execute(query, params).scalars())


def release_all(conn: Connection, worker: str) -> int:
    """Return whatever `worker` took and knows nothing of, as the answer to its commit was lost. Returns how many."""
    released = release(conn, in_hand(conn, worker), worker, begun=False)
    let_go(conn, worker)
    return len(released)


_HELD = "state = 'attempted' AND worker = :worker"


class Settled(NamedTuple):
    """What became of a message: its final state, and since when it counts under the caps (None: not at all)."""

    id: int
    state: str
    reason: str | None = None
    counted: int | None = None
    code: int | None = None
    evidence: str = ""


def settle(
    conn: Connection,
    now: int,
    settled: Sequence[Settled],
    from_state: str,
    known: Mapping[int, Facts] | None = None,
    worker: str | None = None,
) -> set[int]:
    """Move messages from `from_state` to a final one and write the entry of each in the same transaction.

    A message that has left `from_state` meanwhile (another worker's reaper was quicker) is left alone. Returns the
    others. `known`: their facts, where the caller has them already; `worker`: who must be the one that attempts them.
    """
    if not settled:
        return set()
    moved: set[int] = set()
    for ends in {(one.state, one.reason, one.counted) for one in settled}:
        ids = [one.id for one in settled if (one.state, one.reason, one.counted) == ends]
        moved |= _move(conn, now, ids, from_state, worker, *ends)
    known = facts_of(conn, moved) if known is None else known
    gone = [(one, known[one.id]) for one in settled if one.id in moved]
    record(conn, now, *(_settlement(one, facts) for one, facts in gone))
    tally.move(conn, now, ((facts.campaign_id, from_state, one.state, one.reason) for one, facts in gone))
    return moved


def _move(
    conn: Connection,
    now: int,
    ids: Sequence[int],
    from_state: str,
    worker: str | None,
    state: str,
    reason: str | None,
    counted: int | None,
) -> set[int]:
    mine = "" if worker is None else " AND worker = :worker"
    query = text(
        "UPDATE message SET state = :state, reason = :reason, counted = :counted, settled = :now, worker = NULL, "
        f"lease = NULL WHERE {among(conn, 'id')} AND state = :from_state{mine} RETURNING id"
    )
    values = {"state": state, "reason": reason, "counted": counted, "now": now, "from_state": from_state}
    values |= {} if worker is None else {"worker": worker}
    return set(conn.execute(query, {"ids": bound(conn, ids), **values}).scalars().all())


def _settlement(one: Settled, facts: Facts) -> Entry:
    return _ended_entry(facts, one.state, _settled_body(one.state, one.reason, facts.attempts, one.code, one.evidence))


@lru_cache(maxsize=256)
def _settled_body(state: str, reason: str | None, attempt: int, code: int | None, evidence: str) -> Mapping[str, Any]:
    """One for all that ended alike, so that the log writes it out once."""
    body: dict[str, Any] = {"state": state, "reason": reason, "attempt": attempt}
    if code is not None:
        body["code"] = code
    if evidence:
        body["evidence"] = evidence
    return MappingProxyType(body)


def settled_entry(state: str, reason: str | None, row: Any, **body: Any) -> Entry:
    """The log's entry of a message that reached its end; `row` has its refs."""
    return _ended_entry(row, state, {"state": state, "reason": reason} | body)


def _ended_entry(row: Any, state: str, body: Mapping[str, Any]) -> Entry:
    return Entry(
        kind=f"message.{state}",
        actor="engine",
        contact=row.contact,
        topic=row.topic,
        campaign=row.campaign,
        message=row.ref,
        body=body,
    )


class Ended(NamedTuple):
    """One attempt that is over. `at`: when it was committed to; `reply`: the server's words, addresses masked.

    `relay`: which was asked; None where nobody knows, as after a worker died.
    """

    message: int
    number: int
    at: int
    worker: str
    ended: int
    outcome: str
    code: int | None
    reply: str
    relay: str | None = None


def add_attempts(conn: Connection, ended: Sequence[Ended]) -> None:
    """Write attempts that are over."""
    insert_rows(conn, attempt, Ended._fields, ended)
