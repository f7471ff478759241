"""Rows of pace: one a (relay, provider) pair that something holds back. All workers of all hosts lease from them."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from typing import Any

from sqlalchemy import ColumnElement, Connection, bindparam, delete, select, tuple_, update
from sqlalchemy.dialects import postgresql, sqlite

from outreach.domain.pacing import Pace
from outreach.store.schema.pacing import pace

Pair = tuple[str, str]
"""Relay, provider."""

_IN_ORDER = select(pace.c.relay, pace.c.provider, *(pace.c[field.name] for field in fields(Pace))).order_by(
    pace.c.relay, pace.c.provider
)


def read_paces(conn: Connection) -> dict[Pair, Pace]:
    """Every pair that has a row: a handful at most. Nothing is locked."""
    return _paces(conn.execute(_IN_ORDER))


def hold_paces(conn: Connection, pairs: Iterable[Pair]) -> dict[Pair, Pace]:
    """Lock the rows of `pairs`, made where there are none, in their order, so that nobody waits in a circle.

    Nothing else may be waited for until the transaction ends.
    """
    wanted = sorted(set(pairs))
    if not wanted:
        return {}
    made = postgresql.insert(pace) if conn.dialect.name == "postgresql" else sqlite.insert(pace)
    rows = [{"relay": relay, "provider": provider} for relay, provider in wanted]
    conn.execute(made.on_conflict_do_nothing(), rows)
    return _paces(conn.execute(_IN_ORDER.where(_among(wanted)).with_for_update()))


def save_paces(conn: Connection, changed: Mapping[Pair, Pace]) -> None:
    """Write rows that are held."""
    if changed:
        rows = [{"which_relay": relay, "which_provider": provider} | asdict(one)
                for (relay, provider), one in changed.items()]  # fmt: skip
        which = (pace.c.relay == bindparam("which_relay"), pace.c.provider == bindparam("which_provider"))
        conn.execute(update(pace).where(*which), rows)


def drop_paces(conn: Connection, pairs: Iterable[Pair]) -> None:
    """Delete rows that are held: nothing is left to remember of these pairs."""
    if wanted := sorted(set(pairs)):
        conn.execute(delete(pace).where(_among(wanted)))


def _among(pairs: list[Pair]) -> ColumnElement[bool]:
    return tuple_(pace.c.relay, pace.c.provider).in_(pairs)


def _paces(rows: Iterable[Any]) -> dict[Pair, Pace]:
    return {(row.relay, row.provider): Pace(*row[2:]) for row in rows}
