"""PostgreSQL databases lent to one test after another, each blank when it is lent.

Making a database from a template and dropping it costs PostgreSQL far more than most tests do. So one that a test gives
back is emptied: rows gone, ids counted from the beginning again, nobody connected. Where a test left more behind (other
tables, columns, triggers or functions, statistics, or much in them) its database is dropped, and so is every one that
was lent often, for deleted rows stay in its files.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg

from tests.postgresql import Cluster

_MOST_LOANS = 40
_MOST_OCTETS = 8_000_000
_PATIENCE_SECONDS = 10.0
_OURS = "'public'::regnamespace"
_OTHERS = """
SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""
_SHAPE = f"""
SELECT ARRAY[
  (SELECT COUNT(*) || ' ' || MAX(xmin::text::bigint) FROM pg_class WHERE relnamespace = {_OURS}),
  (SELECT COUNT(*) || ' ' || MAX(a.xmin::text::bigint) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
     WHERE c.relnamespace = {_OURS}),
  (SELECT COUNT(*) || ' ' || MAX(xmin::text::bigint) FROM pg_trigger),
  (SELECT COUNT(*) || ' ' || MAX(xmin::text::bigint) FROM pg_constraint WHERE connamespace = {_OURS}),
  (SELECT COUNT(*) || ' ' || MAX(xmin::text::bigint) FROM pg_proc WHERE pronamespace = {_OURS}),
  (SELECT COUNT(*) || ' ' || MAX(i.xmin::text::bigint) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
     WHERE c.relnamespace = {_OURS}),
  (SELECT COUNT(*)::text FROM pg_statistic s JOIN pg_class c ON c.oid = s.starelid WHERE c.relnamespace = {_OURS})
]"""
"""What makes the shape, and by whom it was last changed: every change writes its row anew."""

_OCTETS = f"SELECT SUM(pg_relation_size(oid)) FROM pg_class WHERE relnamespace = {_OURS} AND relkind = 'r'"
_FILLED = f"""
SELECT relname FROM pg_class WHERE relnamespace = {_OURS} AND relkind = 'r' AND pg_relation_size(oid) > 0 ORDER BY 1
"""
_USED_SEQUENCES = """
SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, start_value, false)
FROM pg_sequences WHERE schemaname = 'public' AND last_value IS NOT NULL
"""


@dataclass
class _Lent:
    name: str
    loans: int = 0


class Blanks:
    """Databases like `template`, for one process's tests."""

    def __init__(self, cluster: Cluster, template: str) -> None:
        self._cluster, self._template = cluster, template
        self._waiting: list[_Lent] = []
        with self._open(template) as conn:
            self._shape = _one(conn, _SHAPE)
            self._kept = {name: _rows(conn, name) for name in _names(conn) if _rows(conn, name)}

    @contextmanager
    def lent(self) -> Iterator[str]:
        """The name of a blank database, nobody else's until the block ends."""
        one = self._waiting.pop() if self._waiting else _Lent(self._cluster.create(self._template))
        try:
            yield one.name
        finally:
            one.loans += 1
            if one.loans < _MOST_LOANS and self._empty(one.name):
                self._waiting.append(one)
            else:
                self._cluster.drop(one.name)

    def _empty(self, name: str) -> bool:
        """Make it blank; False where that takes more than deleting rows."""
        with self._open(name) as conn:
            _leave_alone(conn)
            if _one(conn, _SHAPE) != self._shape or _one(conn, _OCTETS) > _MOST_OCTETS:
                return False
            if any(_rows(conn, table) != rows for table, rows in self._kept.items()):
                return False
            conn.execute("SET session_replication_role = replica")  # triggers and references out of the way
            for table in _names(conn):
                if table not in self._kept:
                    conn.execute(f'DELETE FROM "{table}"'.encode())
            conn.execute(_USED_SEQUENCES)
            return True

    def _open(self, name: str) -> "psycopg.Connection[Any]":
        return psycopg.connect(self._cluster.url(name), autocommit=True)


def _leave_alone(conn: "psycopg.Connection[Any]") -> None:
    """Wait until nobody else is connected: who still is, and be it on the way out, is told to go."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while _one(conn, _OTHERS):
        if time.monotonic() > until:
            raise TimeoutError("somebody stays connected to a test's database")
        time.sleep(0.001)


def _names(conn: "psycopg.Connection[Any]") -> list[str]:
    """Tables that hold, or once held, a row."""
    return [row[0] for row in conn.execute(_FILLED)]


def _rows(conn: "psycopg.Connection[Any]", table: str) -> list[Any]:
    return conn.execute(f'SELECT * FROM "{table}"'.encode()).fetchall()


def _one(conn: "psycopg.Connection[Any]", query: str) -> Any:
    row = conn.execute(query.encode()).fetchone()
    return row and row[0]
