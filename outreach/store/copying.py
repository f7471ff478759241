"""Rows of whole tables from one store to another, and what shows that both hold the same. SQL for `store copy` alone.

Values are read as the driver gives them and rendered by `repr`, so that 1, '1' and b'1' differ on either database.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import Error as PostgresError
from sqlalchemy import Connection, Table, func, inspect, select, text
from sqlalchemy.exc import SQLAlchemyError

from outreach.store.schema import metadata
from outreach.store.schema.campaigns import message

SLICE = 2000
"""Rows in memory at a time."""

REFUSALS = (SQLAlchemyError, PostgresError)
"""What the calls here raise when a database refuses or goes away. Their texts may hold values of a row."""

_PATIENCE = "30s"
_REVISION = "alembic_version"


@dataclass(frozen=True)
class Digest:
    """A table's content: how many rows, and the hex SHA-256 of all of them in the order of their primary key."""

    rows: int
    sha256: str


def tables() -> list[Table]:
    """Every table, those that others refer to first."""
    return metadata.sorted_tables


def foreign_tables(connection: Connection) -> list[str]:
    """Tables that are none of ours."""
    return sorted(set(inspect(connection).get_table_names()) - set(metadata.tables) - {_REVISION})


def filled_tables(connection: Connection) -> list[str]:
    """Our tables that hold a row, as far as they exist."""
    there = set(inspect(connection).get_table_names())
    return [
        table.name
        for table in tables()
        if table.name in there and connection.execute(text(f"SELECT 1 FROM {_name(connection, table)} LIMIT 1")).first()
    ]


def hold_still(connection: Connection) -> None:
    """Let nobody else write until this transaction ends. SQLite's writing transactions do so by themselves."""
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SET LOCAL lock_timeout = '{_PATIENCE}'"))
        listed = ", ".join(_name(connection, table) for table in tables())
        connection.execute(text(f"LOCK TABLE {listed} IN EXCLUSIVE MODE"))


def count_in_hand(connection: Connection) -> int:
    """Messages a worker has attempted and not yet recorded."""
    query = select(func.count()).where(message.c.state == "attempted")
    return int(connection.execute(query).scalar_one())


def slices(connection: Connection, table: Table) -> Iterator[Sequence[Any]]:
    """All rows in the order of their primary key, at most SLICE at a time, as the driver gives them."""
    key = ", ".join(_name(connection, column) for column in table.primary_key)
    query = text(f"SELECT {_columns(connection, table)} FROM {_name(connection, table)} ORDER BY {key}")
    rows = connection.execute(query, execution_options={"yield_per": SLICE})
    yield from rows.partitions(SLICE)  # said again: without it, a server-side cursor gives all there is at once


def put(connection: Connection, table: Table, slices: Iterable[Sequence[Any]]) -> int:
    """Insert rows of `slices` with their ids, by COPY on PostgreSQL; how many."""
    put_slice = _put_postgresql if connection.dialect.name == "postgresql" else _put_sqlite
    count = 0
    for rows in slices:
        put_slice(connection, table, rows)
        count += len(rows)
    return count


def digest(connection: Connection, table: Table) -> Digest:
    """Read the table once, a slice at a time."""
    seen, count = hashlib.sha256(), 0
    for rows in slices(connection, table):
        seen.update("".join(f"{tuple(row)!r}\n" for row in rows).encode())
        count += len(rows)
    return Digest(count, seen.hexdigest())


def last_id(connection: Connection, table: Table) -> int:
    """The highest id the table is known to have given; 0 for none, or where it gives none of its own."""
    column = table.autoincrement_column
    if column is None:
        return 0
    if connection.dialect.name == "postgresql":
        query = "SELECT pg_sequence_last_value(CAST(pg_get_serial_sequence(:table, :column) AS regclass))"
        given = connection.execute(text(query), {"table": table.name, "column": column.name}).scalar_one()
    else:
        query = "SELECT max(seq) FROM sqlite_sequence WHERE name = :table"
        given = connection.execute(text(query), {"table": table.name}).scalar_one()
    held = connection.execute(select(func.max(column))).scalar_one()
    return max(int(given or 0), int(held or 0))


def keeps_last_id(connection: Connection, table: Table) -> bool:
    """Whether the table goes on from its highest id even when that row is gone."""
    if table.autoincrement_column is None:
        return False
    return connection.dialect.name == "postgresql" or bool(table.dialect_options["sqlite"]["autoincrement"])


def go_on_from(connection: Connection, table: Table, last: int) -> None:
    """Let the next row's id be higher than `last`. On PostgreSQL not taken back by a rollback, which does no harm."""
    column = table.autoincrement_column
    if column is None or not last or not keeps_last_id(connection, table):
        return
    if connection.dialect.name == "postgresql":
        query = "SELECT setval(CAST(pg_get_serial_sequence(:table, :column) AS regclass), :last)"
        connection.execute(text(query), {"table": table.name, "column": column.name, "last": last})
        return
    connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :table"), {"table": table.name})
    connection.execute(
        text("INSERT INTO sqlite_sequence (name, seq) VALUES (:table, :last)"), {"table": table.name, "last": last}
    )


def _put_postgresql(connection: Connection, table: Table, rows: Sequence[Any]) -> None:
    driver: Any = connection.connection.dbapi_connection
    statement = f"COPY {_name(connection, table)} ({_columns(connection, table)}) FROM STDIN"
    with driver.cursor() as cursor, cursor.copy(statement) as copy:
        for row in rows:
            copy.write_row(tuple(row))


def _put_sqlite(connection: Connection, table: Table, rows: Sequence[Any]) -> None:
    places = ", ".join("?" for _ in _stored(table))
    statement = f"INSERT INTO {_name(connection, table)} ({_columns(connection, table)}) VALUES ({places})"
    connection.exec_driver_sql(statement, [tuple(row) for row in rows])


def _columns(connection: Connection, table: Table) -> str:
    return ", ".join(_name(connection, column) for column in _stored(table))


def _stored(table: Table) -> list[Any]:
    """The columns that are written; the database works the others out."""
    return [column for column in table.columns if column.computed is None]


def _name(connection: Connection, named: Any) -> str:
    return connection.dialect.identifier_preparer.quote(named.name)
