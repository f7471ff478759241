"""One leader at a time: a PostgreSQL advisory lock on a connection of its own, or a file lock beside SQLite.

Each leader takes a higher epoch; what it seals carries the epoch, so one that lost its lock without knowing is refused.
How soon a loss shows, on both sides of the connection: the leader asks its lock twice a second and waits two seconds
at most for the answer; the server drops a leader whose machine is gone within about three seconds (TCP keepalives and
TCP_USER_TIMEOUT, RFC 5482) and one that stands still within ten, and only then can another lead.
"""

import fcntl
import os
import select
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.pq import ExecStatus
from sqlalchemy import insert, update
from sqlalchemy import select as select_rows

from outreach.services.context import Context
from outreach.store.schema.audit import leader

_LOCK = 0x6C656164
_ANSWER_SECONDS = 2.0
_OURS = {
    "connect_timeout": 5,
    "keepalives": 1,
    "keepalives_idle": 1,
    "keepalives_interval": 1,
    "keepalives_count": 2,
    "tcp_user_timeout": 2000,
}
_THEIRS = {
    "statement_timeout": "2s",
    "idle_session_timeout": "10s",
    "tcp_keepalives_idle": "1",
    "tcp_keepalives_interval": "1",
    "tcp_keepalives_count": "2",
    "tcp_user_timeout": "3s",
}
"""What the server is told for this one session. A setting its version does not know yet is left out."""
_TELL = (
    "SELECT set_config(known.name, wanted.value, false) FROM unnest(%s::text[], %s::text[]) AS wanted(name, value) "
    "JOIN pg_settings known ON known.name = wanted.name"
)


@dataclass(frozen=True)
class Leadership:
    """A lock that is held. `still_held` asks the lock itself: a connection may have been lost under it."""

    epoch: int
    still_held: Callable[[], bool]


@contextmanager
def leading(ctx: Context) -> Iterator[Leadership | None]:
    """The leadership while the lock is held; None when somebody else leads. Raises the driver's errors."""
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
    with closing(_connect(ctx)) as connection:
        connection.execute(_TELL, (list(_THEIRS), list(_THEIRS.values())))
        row = connection.execute("SELECT pg_try_advisory_lock(%s)", (_LOCK,)).fetchone()
        held = row is not None and bool(row[0])
        yield Leadership(_next_epoch(ctx), lambda: _answers(connection)) if held else None


def _connect(ctx: Context) -> psycopg.Connection:
    """A connection outside the pool: the lock lives and dies with it."""
    url = ctx.db.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    return psycopg.connect(make_conninfo(url, **_OURS), autocommit=True)


def _answers(connection: psycopg.Connection) -> bool:
    """Whether the server answers on this connection in time. Never waits longer, even for one that stands still."""
    until = time.monotonic() + _ANSWER_SECONDS
    pgconn = connection.pgconn
    poll = select.poll()
    try:
        poll.register(pgconn.socket, select.POLLIN)
        pgconn.send_query(b"SELECT 1")
        while pgconn.is_busy():
            if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
                return False
            pgconn.consume_input()
        answer = pgconn.get_result()
        while pgconn.get_result() is not None:
            pass
    except psycopg.Error:
        return False
    return answer is not None and answer.status == ExecStatus.TUPLES_OK


def _next_epoch(ctx: Context) -> int:
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        epoch = conn.execute(select_rows(leader.c.epoch)).scalar_one_or_none()
        if epoch is None:
            conn.execute(insert(leader).values(epoch=1, since=now))
            return 1
        conn.execute(update(leader).values(epoch=int(epoch) + 1, since=now))
        return int(epoch) + 1
