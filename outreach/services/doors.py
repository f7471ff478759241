"""What came in at the public doors: one sealed row a request, taken by the engine in rounds, each failing alone.

A door writes one row whoever is named in it. What it means, once opened, is the batch's own business.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import structlog
from sqlalchemy import Connection
from sqlalchemy.engine import Row
from sqlalchemy.exc import OperationalError

from outreach.services.context import Context
from outreach.store import requests
from outreach.store.boxes import seal, unseal
from outreach.store.planning import take_planners_turn

_BATCH = 50
_ROUNDS = 10
_HOUR = 3_600_000_000

Asked = TypeVar("Asked")

log = structlog.get_logger()


class Batch(Protocol[Asked]):
    """The requests of one transaction, one after the other, so that the second sees what the first began."""

    def open(self, row: Row[Any]) -> Asked:
        """What was asked for, unsealed."""
        ...

    def lock(self, opened: Sequence[Asked]) -> None:
        """Lock everybody already known, in the one order that all follow, so that nobody waits in a ring."""
        ...

    def take(self, asked: Asked) -> None:
        """Settle one request, or make it wait."""
        ...


def leave_request(ctx: Context, *, door: str, network: str, payload: Mapping[str, Any]) -> None:
    """Write the one row of a request, sealed under the doors' key until the engine took it, due at once."""
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        requests.put_request(
            conn,
            now,
            door=door,
            network=ctx.keyring.blind("network", network),
            payload_box=seal(ctx.keyring.doors, json.dumps(dict(payload)).encode()),
            not_before=now,
        )


def opened_request(ctx: Context, row: Row[Any]) -> dict[str, Any]:
    """What was typed at a door."""
    found: dict[str, Any] = json.loads(unseal(ctx.keyring.doors, row.payload_box))
    return found


def take_due(
    ctx: Context, doors: Collection[str], begin: Callable[[Connection, int], Batch[Asked]], *, reserves: bool = False
) -> int:
    """Take due requests of `doors`, at most 500 in transactions of 50. Returns how many were looked at.

    `begin`: makes the batch of a transaction at its instant (UTC microseconds). `reserves`: it may plan a message that
    takes a place under a cap, so it waits for the planners' turn.
    """
    done = 0
    for _ in range(_ROUNDS):
        with ctx.db.reading() as conn:
            if not requests.is_request_due(conn, ctx.db.now(conn), doors=doors):
                break
        with ctx.db.transaction() as conn:
            if reserves:
                take_planners_turn(conn)
            now = ctx.db.now(conn)
            rows = requests.due_requests(conn, now, doors=doors, limit=_BATCH)
            _take(conn, now, rows, begin(conn, now))
        done += len(rows)
        if len(rows) < _BATCH:
            break
    return done


def _take(conn: Connection, now: int, rows: Sequence[Row[Any]], batch: Batch[Asked]) -> None:
    opened: list[tuple[Row[Any], Asked]] = []
    for row in rows:
        with _failing_alone(conn, now, row):
            opened.append((row, batch.open(row)))
    batch.lock([asked for _, asked in opened])
    for row, asked in opened:
        with _failing_alone(conn, now, row):
            batch.take(asked)


@contextmanager
def _failing_alone(conn: Connection, now: int, row: Row[Any]) -> Iterator[None]:
    """Deal with one request so that its failure stops no other: undone, logged by ref, postponed an hour, kept.

    A database that is away or busy is nobody's own failure: that error goes on, and the whole batch is tried again.
    """
    try:
        with conn.begin_nested():
            yield
    except OperationalError:
        raise
    except Exception as error:
        log.error("request.failed", request=row.ref.hex(), error=type(error).__name__)
        requests.postpone_request(conn, row.id, now + _HOUR)
