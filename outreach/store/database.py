"""The database: one engine, writing transactions that take their lock at once, and the clock everybody shares."""

import re
import select
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DisconnectionError

from outreach.domain.errors import OutreachError
from outreach.store.writers import Writers

BUSY_SECONDS = 30
_NOW = text("SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint")


class Database:
    """Hands out transactions. `url` is `sqlite:///…` or `postgresql://…`; `clock_file` shifts time in rehearsals."""

    def __init__(self, url: str, *, clock_file: Path | None = None, pool_size: int = 8) -> None:
        self.url = url
        self.is_sqlite = url.startswith("sqlite")
        self._clock_file = clock_file
        # The connection last used is used next: it has its statements planned, and its pages at hand.
        self.engine: Engine = _sqlite(url, pool_size) if self.is_sqlite else _postgresql(url, pool_size)
        alone: dict[str, Any] = {} if self.is_sqlite else {"isolation_level": "AUTOCOMMIT"}
        self._writers = Writers(str(self.engine.url.database)) if self.is_sqlite else None
        self._looking = self.engine.execution_options(outreach_looking=True, **alone)

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One writing transaction: commits on leaving, rolls back on any error. On SQLite one at a time, in turn."""
        with self._turn(), self.engine.connect() as connection:
            if self.is_sqlite:
                connection.execution_options(outreach_immediate=True)
            with connection.begin():
                yield connection

    def _turn(self) -> AbstractContextManager[None]:
        return self._writers.turn() if self._writers else nullcontext()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One reading transaction, a consistent snapshot on SQLite. Nothing is written through it."""
        with self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def looking(self) -> Iterator[Connection]:
        """The same for a page that many open: on PostgreSQL without a transaction, which saves two round trips.

        There each statement sees what is committed when it begins, as it would within one.
        """
        with self._looking.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def migrating(self) -> Iterator[Connection]:
        """A writing transaction that may move tables. On SQLite foreign keys are checked at its end, not meanwhile."""
        if not self.is_sqlite:
            with self.transaction() as connection:
                yield connection
            return
        with self._turn(), self.engine.connect() as connection:
            connection.connection.execute("PRAGMA foreign_keys=OFF")  # no effect inside a transaction
            try:
                connection.execution_options(outreach_immediate=True)
                with connection.begin():
                    yield connection
                    if connection.exec_driver_sql("PRAGMA foreign_key_check").first() is not None:
                        raise OutreachError("A migration left rows that refer to nothing; nothing was changed.")
            finally:
                connection.connection.execute("PRAGMA foreign_keys=ON")

    def now(self, connection: Connection) -> int:
        """The database's time in UTC microseconds, plus the rehearsal's shift if there is one."""
        instant = time.time_ns() // 1000 if self.is_sqlite else int(connection.execute(_NOW).scalar_one())
        return instant + self._shift()

    def _shift(self) -> int:
        if self._clock_file is None:
            return 0
        try:
            return int(float(self._clock_file.read_text()) * 1_000_000)
        except (FileNotFoundError, ValueError):
            return 0

    def dispose(self) -> None:
        self.engine.dispose()
        if self._writers:
            self._writers.close()


def is_looking(connection: Connection) -> bool:
    """Whether it was given by `Database.looking`, so that all it reads is committed."""
    return bool(connection.get_execution_options().get("outreach_looking"))


def _sqlite(url: str, pool_size: int) -> Engine:
    """Here a writer waits for its turn, not for a connection, so there is one for every thread."""
    connect = {"timeout": BUSY_SECONDS, "check_same_thread": False}
    sizes = {"pool_size": 2 * pool_size, "max_overflow": pool_size}
    engine = create_engine(url, connect_args=connect, pool_use_lifo=True, **sizes)

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # we say BEGIN ourselves
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",  # NORMAL forgets attempts when the power fails, and would mail twice
            "foreign_keys=ON",
            "recursive_triggers=ON",  # so that REPLACE meets the append-only triggers
            "secure_delete=ON",
            f"busy_timeout={BUSY_SECONDS * 1000}",
            "cache_size=-65536",
            "temp_store=MEMORY",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("outreach_immediate")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


def _postgresql(url: str, pool_size: int) -> Engine:
    url = re.sub(r"^postgres(ql)?(\+psycopg)?://", "postgresql+psycopg://", url)
    sizes = {"pool_size": pool_size, "max_overflow": pool_size}
    engine = create_engine(url, connect_args=_ALIVE, pool_use_lifo=True, **sizes)

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        connection.autocommit = True
        # Compiling a statement of ours takes far longer than running it; and what we ask for is in memory or on a disk
        # without a head, so an index is worth it long before the planner's cautious default thinks so.
        connection.execute("SET jit = off; SET random_page_cost = 1.1")
        connection.autocommit = False

    @event.listens_for(engine, "checkout")
    def _must_live(connection: Any, _record: Any, _proxy: Any) -> None:
        if _has_news(connection) and not _answers(connection):
            raise _GoneError("the server closed the connection")

    return engine


_ALIVE = {"keepalives_idle": 60, "keepalives_interval": 10, "tcp_user_timeout": 30_000}
"""Connections that wait long are asked for by nobody: what stands between must not forget them in silence."""


class _GoneError(DisconnectionError):
    """Drops every connection that was made before, for what ended one ended them all, and makes a new one."""

    invalidate_pool = True


def _has_news(connection: Any) -> bool:
    """Whether anything came from the server since it was last asked: of a server that ends, its last words at least.

    A look at the socket, where asking the server would be a round trip before each transaction.
    """
    if connection.closed:
        return True
    socket = select.poll()
    socket.register(connection.fileno(), select.POLLIN)
    return bool(socket.poll(0))


def _answers(connection: Any) -> bool:
    if connection.closed:
        return False
    try:
        connection.execute(";")
        connection.rollback()
    except psycopg.Error:
        return False
    return True
