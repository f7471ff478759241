"""Rows of the witnesses: what each took last and its troubles, and every checkpoint one took. SQL alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, insert, select, update

from outreach.store.schema.transparency import witness, witnessed


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How a witness stands. `size`, `at`: what it took last, and when. `due`: when it is asked next."""

    name: str
    size: int | None
    at: int | None
    due: int
    failures: int
    trouble: str


@dataclass(frozen=True)
class Taking:
    """A checkpoint one witness took. `is_cosigned`: it answered with a cosignature that holds."""

    witness: str
    size: int
    at: int
    is_cosigned: bool


def standings(connection: Connection) -> dict[str, Standing]:
    """Every witness that was ever asked, by name."""
    columns = (witness.c[name] for name in ("name", "size", "at", "due", "failures", "trouble"))
    rows = connection.execute(select(*columns))
    return {row.name: Standing(**row._mapping) for row in rows}


def took(connection: Connection, name: str, *, size: int, at: int, due: int, cosignature: str) -> None:
    """A witness took the checkpoint of `size`."""
    connection.execute(insert(witnessed).values(witness=name, size=size, at=at, cosignature=cosignature))
    _put(connection, name, {"size": size, "at": at, "due": due, "failures": 0, "trouble": ""})


def failed(connection: Connection, name: str, *, failures: int, due: int, trouble: str) -> None:
    """A witness took nothing. `trouble`: in words that hold nothing of its settings."""
    _put(connection, name, {"failures": failures, "due": due, "trouble": trouble})


def ask_at(connection: Connection, name: str, due: int) -> None:
    """Ask a witness at `due`, whatever was planned."""
    _put(connection, name, {"due": due})


def cosignatures(connection: Connection, size: int) -> list[str]:
    """The cosignature lines of the checkpoint of `size`, one of each witness, the newest, in the order of names."""
    newest = (
        select(func.max(witnessed.c.id))
        .where(witnessed.c.size == size, witnessed.c.cosignature != "")
        .group_by(witnessed.c.witness)
    )
    query = select(witnessed.c.cosignature).where(witnessed.c.id.in_(newest)).order_by(witnessed.c.witness)
    return list(connection.execute(query).scalars())


def takings(connection: Connection, limit: int) -> Sequence[Taking]:
    """What witnesses took lately, newest first."""
    query = select(witnessed.c.witness, witnessed.c.size, witnessed.c.at, witnessed.c.cosignature)
    rows = connection.execute(query.order_by(witnessed.c.id.desc()).limit(limit))
    return [Taking(row.witness, row.size, row.at, row.cosignature != "") for row in rows]


def greatest_witnessed(connection: Connection) -> int:
    """The size of the largest checkpoint any witness took; 0 for none. What came after it is not yet witnessed."""
    return int(connection.execute(select(func.max(witnessed.c.size))).scalar_one() or 0)


def _put(connection: Connection, name: str, values: Mapping[str, object]) -> None:
    if not connection.execute(update(witness).where(witness.c.name == name).values(**values)).rowcount:
        connection.execute(insert(witness).values(**{"name": name, "due": 0, **values}))
