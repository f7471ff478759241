"""Many rows in few statements: COPY on PostgreSQL, the driver's executemany on SQLite; lists of ids as one value."""

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from sqlalchemy import BigInteger, Connection, Integer, LargeBinary, Table, insert, text

Statement = TypeVar("Statement")

_FEW = 12
"""Below this many rows SQLite is asked through SQLAlchemy, whose errors say more."""
MANY = 100
"""From so many rows on COPY, which takes three round trips, is quicker than one INSERT of a list for each column."""


def insert_rows(conn: Connection, table: Table, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert `rows`, their values in the order of `columns`. Constraints and triggers hold as for any INSERT."""
    if not rows:
        return
    if conn.dialect.name == "postgresql" and len(rows) < MANY:
        statement = text(f"INSERT INTO {table.name} ({_named(columns)}) SELECT * FROM {unnested(table, columns)}")
        conn.execute(statement, columnwise(columns, rows))
    elif conn.dialect.name == "postgresql":
        _copy(conn, table, columns, rows)
    elif len(rows) < _FEW:
        conn.execute(insert(table), [dict(zip(columns, row, strict=True)) for row in rows])
    else:
        names, marks = _named(columns), ", ".join("?" * len(columns))
        cursor = conn.connection.cursor()
        cursor.executemany(f"INSERT INTO {table.name} ({names}) VALUES ({marks})", rows)
        cursor.close()


def unnested(table: Table, columns: Sequence[str]) -> str:
    """SQL of a table made of `columnwise` values, on PostgreSQL."""
    return f"unnest({', '.join(f'CAST(:{name} AS {_type(table, name)}[])' for name in columns)})"


def columnwise(columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> dict[str, list[Any]]:
    """Rows as one list of values for each column."""
    return {name: list(values) for name, values in zip(columns, zip(*rows, strict=True), strict=True)}


def _named(columns: Sequence[str]) -> str:
    return ", ".join(f'"{column}"' for column in columns)


def analyse(conn: Connection, *tables: Table) -> None:
    """Tell PostgreSQL's planner what these tables hold now, rather than whenever autovacuum comes by.

    After many rows at once: until then it takes them for few, and the work on them for little.
    """
    if conn.dialect.name == "postgresql":
        conn.execute(text(f"ANALYZE {', '.join(table.name for table in tables)}"))


def next_ids(conn: Connection, table: Table, count: int) -> list[int]:
    """`count` fresh ids of `table`, ascending, for the rows this transaction is about to insert."""
    if conn.dialect.name == "postgresql":
        sequence = f"pg_get_serial_sequence('{table.name}', 'id')"
        query = text(f"SELECT nextval({sequence}) FROM generate_series(1, :count)")
        return list(conn.execute(query, {"count": count}).scalars().all())
    last = conn.execute(text(f"SELECT COALESCE(MAX(id), 0) FROM {table.name}")).scalar_one()
    return list(range(last + 1, last + 1 + count))


def among(conn: Connection, column: str, name: str = "ids") -> str:
    """SQL that says `column` is one of the ids bound, by `bound`, to `name`."""
    if conn.dialect.name == "postgresql":
        return f"{column} = ANY(CAST(:{name} AS BIGINT[]))"
    return f"{column} IN (SELECT value FROM json_each(:{name}))"


def prepared(make: Callable[[Connection], Statement]) -> Callable[[Connection], Statement]:
    """A statement that differs by database alone, made once for each: making one takes longer than running it."""
    made: dict[str, Statement] = {}

    def statement(conn: Connection) -> Statement:
        name = conn.dialect.name
        if name not in made:
            made[name] = make(conn)
        return made[name]

    return statement


def bound(conn: Connection, ids: Iterable[int]) -> str:
    """The value `among` expects, however many ids there are: text, which costs a driver less than a list."""
    if conn.dialect.name == "postgresql":
        return "{" + ",".join(map(str, ids)) + "}"
    return json.dumps(list(ids))


def _copy(conn: Connection, table: Table, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    driver: Any = conn.connection.driver_connection
    names = _named(columns)
    with driver.cursor() as cursor, cursor.copy(f"COPY {table.name} ({names}) FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types([_type(table, column) for column in columns])
        for row in rows:
            copy.write_row(row)


def _type(table: Table, column: str) -> str:
    kind = table.c[column].type
    if isinstance(kind, BigInteger):
        return "int8"
    if isinstance(kind, Integer):
        return "int4"
    return "bytea" if isinstance(kind, LargeBinary) else "text"
