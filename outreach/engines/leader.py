"""One leader at a time: a PostgreSQL advisory lock on a connection of its own, or a file lock beside SQLite.

Each leader takes a higher epoch; what it writes (the seal) carries the epoch, so one that lost its lock without knowing
is refused.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, create_engine, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from outreach.services.context import Context
from outreach.store.schema.audit import leader

_LOCK = 0x6C656164


@dataclass(frozen=True)
class Leadership:
    """A lock that is held. `still_held` asks the lock itself: a connection may have been lost under it."""

    epoch: int
    still_held: Callable[[], bool]


@contextmanager
def leading(ctx: Context) -> Iterator[Leadership | None]:
    """The leadership while the lock is held; None when somebody else leads."""
    if ctx.db.is_sqlite:
        path = ctx.settings.instance / "leader.lock"
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield Leadership(_next_epoch(ctx), lambda: True)
        except BlockingIOError:
            yield None
        finally:
            os.close(file)
        return
    engine = create_engine(ctx.db.engine.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        held = connection.execute(text(f"SELECT pg_try_advisory_lock({_LOCK})")).scalar_one()
        yield Leadership(_next_epoch(ctx), lambda: _answers(connection)) if held else None


def _answers(connection: Connection) -> bool:
    try:
        return bool(connection.execute(text("SELECT 1")).scalar_one())
    except DBAPIError:
        return False


def _next_epoch(ctx: Context) -> int:
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        epoch = conn.execute(select(leader.c.epoch)).scalar_one_or_none()
        if epoch is None:
            conn.execute(insert(leader).values(epoch=1, since=now))
            return 1
        conn.execute(update(leader).values(epoch=int(epoch) + 1, since=now))
        return int(epoch) + 1
