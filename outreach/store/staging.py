"""Rows that others may be writing at this moment, and questions about many keyed hashes: for people by the thousand.

On PostgreSQL rows are COPYed into a temporary table, gone with the transaction, and moved from there in one statement;
SQLite's driver inserts them one after another within one call. What is there already stays as it is on both.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, Column, Connection, MetaData, Table, text
from sqlalchemy.dialects.postgresql import insert

from outreach.store.bulk import insert_rows

_FEW = 12
"""Below this many rows a table of their own costs more than it saves."""


def insert_new_rows(conn: Connection, table: Table, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert those of `rows` that no unique index refuses, their values in the order of `columns`.

    Give them in the order of what is unique: two transactions that bring the same ones then wait for each other in one
    direction, never in a circle.
    """
    if not rows:
        return
    names = ", ".join(columns)
    if conn.dialect.name == "sqlite":
        marks = ", ".join("?" * len(columns))
        conn.exec_driver_sql(f"INSERT INTO {table.name} ({names}) VALUES ({marks}) ON CONFLICT DO NOTHING", list(rows))
    elif len(rows) < _FEW:
        conn.execute(insert(table).on_conflict_do_nothing(), [dict(zip(columns, row, strict=True)) for row in rows])
    else:
        staged = _staged(table, tuple(columns))
        staged.create(conn)
        insert_rows(conn, staged, ("place", *columns), [(place, *row) for place, row in enumerate(rows)])
        move = f"INSERT INTO {table.name} ({names}) SELECT {names} FROM {staged.name} ORDER BY place"
        conn.execute(text(f"{move} ON CONFLICT DO NOTHING"))
        staged.drop(conn)


def among_keys(conn: Connection, column: str, *, length: int = 32) -> str:
    """SQL that says `column` is one of the values of `length` bytes bound, by `bound_keys`, to `keys`."""
    if conn.dialect.name == "postgresql":
        each = f"FROM generate_series(1, length(CAST(:keys AS bytea)), {length}) AS at(n)"
        return f"{column} = ANY(ARRAY(SELECT substr(CAST(:keys AS bytea), n, {length}) {each}))"
    step = f"SELECT n + {length} FROM at WHERE n + {length} < length(:keys)"
    return (
        f"{column} IN (WITH RECURSIVE at(n) AS (SELECT 1 UNION ALL {step}) SELECT substr(:keys, n, {length}) FROM at)"
    )


def bound_keys(keys: Iterable[bytes]) -> bytes:
    """The value `among_keys` expects: any number of values of one length, as one."""
    return b"".join(keys)


@lru_cache(maxsize=16)
def _staged(table: Table, columns: tuple[str, ...]) -> Table:
    """A temporary table for such rows. No constraint: those of `table` hold when they are moved."""
    return Table(
        f"staged_{table.name}",
        MetaData(),
        Column("place", BigInteger),
        *(Column(name, table.c[name].type) for name in columns),
        prefixes=["TEMPORARY"],
        postgresql_on_commit="DROP",
    )
