"""Set-based SQL for messages on their way: claim a lane, commit attempts, record what became of them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, bindparam, func, insert, select, text, update

from outreach.store.audit import Entry, record
from outreach.store.schema.campaigns import attempt, campaign, message

PROVIDERS = ("gmail", "microsoft", "yahoo", "other")


def settled_entry(state: str, row: Row[Any], **body: Any) -> Entry:
    """The log's entry of a message that reached `state`; `row` has its refs and reason."""
    return Entry(
        kind=f"message.{state}",
        actor="engine",
        contact=row.contact,
        topic=row.topic,
        campaign=row.campaign,
        message=row.ref,
        body={"state": state, "reason": row.reason} | body,
    )


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
    return settled_entry(one.state, row, **body)


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
