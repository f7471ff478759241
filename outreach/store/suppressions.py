"""Bars on an address or mailbox: kept as keyed hashes, stronger than any consent, lifted but never deleted."""

import secrets
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Insert, Update, bindparam, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from outreach.store.bulk import prepared
from outreach.store.schema.people import suppression
from outreach.store.staging import among_keys, bound_keys

STRENGTH = ("erased", "deceased", "never", "restricted", "complaint", "imported", "bounce")
"""Kinds, strongest first: the order in which one is named as the reason."""


@dataclass(frozen=True)
class Bar:
    """A live suppression. `key`: 32 bytes, of an address or a mailbox; `lift`: owner, officer or nobody."""

    key: bytes
    scope: str
    kind: str
    lift: str
    reason: str = ""


def live(conn: Connection, keys: Collection[bytes]) -> list[Bar]:
    """The bars on these address and mailbox keys, strongest first."""
    columns = (suppression.c.key, suppression.c.scope, suppression.c.kind, suppression.c.lift, suppression.c.reason)
    query = select(*columns).where(text(among_keys(conn, "suppression.key")), suppression.c.lifted.is_(None))
    rows = conn.execute(query, {"keys": bound_keys(keys)})
    return sorted((Bar(*row) for row in rows), key=lambda bar: STRENGTH.index(bar.kind))


def put(conn: Connection, now: int, bars: Sequence[Bar]) -> None:
    """Bar what is not yet barred for the same reason."""
    rows = [
        {
            "key": bar.key,
            "scope": bar.scope,
            "kind": bar.kind,
            "lift": bar.lift,
            "since": now,
            "reason": bar.reason,
        }
        for bar in bars
    ]
    if rows:
        conn.execute(_insert_new(conn), rows)


def put_one(conn: Connection, now: int, bar: Bar) -> bytes | None:
    """Put up one bar. Returns its ref; None where one of its kind stands on the key already."""
    ref = secrets.token_bytes(16)
    values = {"ref": ref, "key": bar.key, "scope": bar.scope, "kind": bar.kind, "lift": bar.lift, "since": now}
    made = _insert_new(conn).values(**values, reason=bar.reason).returning(suppression.c.id)
    return None if conn.execute(made).first() is None else ref


def lift_by_owner(conn: Connection, now: int, keys: Collection[bytes]) -> int:
    """End the bars their owner may lift by double opt-in. Returns how many."""
    return conn.execute(_lift(conn), {"keys": bound_keys(keys), "at": now}).rowcount


@prepared
def _lift(conn: Connection) -> Update:
    stands = (suppression.c.lifted.is_(None), suppression.c.lift == "owner")
    query = update(suppression).where(text(among_keys(conn, "suppression.key")), *stands)
    return query.values(lifted=bindparam("at"))


def lift_by_officer(conn: Connection, now: int, ref: bytes) -> bool:
    """End one bar an officer may lift. False when it does not stand."""
    done = conn.execute(
        update(suppression)
        .where(suppression.c.ref == ref, suppression.c.lifted.is_(None), suppression.c.lift == "officer")
        .values(lifted=now)
    )
    return done.rowcount == 1


def lift(conn: Connection, now: int, ref: bytes) -> bool:
    """End the bar of this ref, whoever else may lift it. False when it does not stand."""
    stands = (suppression.c.ref == ref, suppression.c.lifted.is_(None))
    return conn.execute(update(suppression).where(*stands).values(lifted=now)).rowcount == 1


def lift_kind(conn: Connection, now: int, key: bytes, kind: str) -> bool:
    """End the bar of this kind on a key, whoever else may lift it. False when none stands."""
    done = conn.execute(
        update(suppression)
        .where(suppression.c.key == key, suppression.c.kind == kind, suppression.c.lifted.is_(None))
        .values(lifted=now)
    )
    return done.rowcount > 0


def _insert_new(conn: Connection) -> Insert:
    if conn.dialect.name == "sqlite":
        return sqlite.insert(suppression).on_conflict_do_nothing()
    return postgresql.insert(suppression).on_conflict_do_nothing()
