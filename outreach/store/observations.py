"""Observations: that the hidden link of a mail that asks was touched. Only the scanner's extra step reads them."""

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from outreach.store.schema.observations import observation

KEPT = 86_400_000_000
"""Microseconds after which an observation is gone; until it is deleted nothing reads it."""


def note(conn: Connection, now: int, about: bytes) -> None:
    """The hidden link of the mail that asks about `about` (a ref, 16 bytes) was touched; the first touch counts."""
    if was_touched(conn, now, about):
        return
    made = postgresql.insert if conn.dialect.name == "postgresql" else sqlite.insert
    row = made(observation).values(about=about, at=now)
    conn.execute(row.on_conflict_do_update(index_elements=["about"], set_={"at": now}))


def was_touched(conn: Connection, now: int, about: bytes) -> bool:
    """Whether it was within the last 24 hours."""
    query = select(observation.c.at).where(observation.c.about == about, observation.c.at > now - KEPT)
    return conn.execute(query).first() is not None


def has_old(conn: Connection, now: int) -> bool:
    """Whether `forget` would find anything."""
    return conn.execute(select(observation.c.about).where(observation.c.at <= now - KEPT).limit(1)).first() is not None


def forget(conn: Connection, now: int) -> None:
    """Delete what is older than 24 hours."""
    conn.execute(delete(observation).where(observation.c.at <= now - KEPT))
