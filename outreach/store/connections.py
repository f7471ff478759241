"""SQL about connections: the pairs, what each side mutes, and from when until when each showed what."""

import secrets
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, insert, or_, select, update
from sqlalchemy.engine import Row

from outreach.store.schema.members import connection, connection_side, disclosure
from outreach.store.schema.people import contact, contact_key

ConnectionRow = Row[*tuple[Any, ...]]
"""A row of `connection`."""


def add(conn: Connection, now: int, *, invitation_id: int, pair: tuple[int, int]) -> ConnectionRow:
    """A new connection of two contacts, with a side for each. `pair`: their ids, in any order."""
    low, high = sorted(pair)
    row = {"ref": secrets.token_bytes(16), "invitation": invitation_id, "low": low, "high": high, "since": now}
    made = conn.execute(insert(connection).values(row).returning(connection.c.id)).scalar_one()
    conn.execute(insert(connection_side), [{"connection": made, "contact": one} for one in (low, high)])
    return conn.execute(select(connection).where(connection.c.id == made)).one()


def by_ref(conn: Connection, ref: bytes, *, lock: bool = False) -> ConnectionRow | None:
    query = select(connection).where(connection.c.ref == ref)
    return conn.execute(query.with_for_update() if lock else query).one_or_none()


def live_between(conn: Connection, one: int, other: int) -> ConnectionRow | None:
    """The live connection of two contacts."""
    low, high = sorted((one, other))
    pair = and_(connection.c.low == low, connection.c.high == high, connection.c.ended.is_(None))
    return conn.execute(select(connection).where(pair)).one_or_none()


def live_with_mailbox(conn: Connection, contact_id: int, mailbox_id: int) -> ConnectionRow | None:
    """The oldest live connection of a contact with a contact of this mailbox."""
    theirs = select(contact.c.id).where(contact.c.mailbox == mailbox_id)
    query = select(connection).where(
        connection.c.ended.is_(None),
        or_(
            and_(connection.c.low == contact_id, connection.c.high.in_(theirs)),
            and_(connection.c.high == contact_id, connection.c.low.in_(theirs)),
        ),
    )
    return conn.execute(query.order_by(connection.c.id).limit(1)).one_or_none()


def last_of_invitation(conn: Connection, invitation_id: int) -> ConnectionRow | None:
    """The newest connection an invitation led to."""
    query = select(connection).where(connection.c.invitation == invitation_id)
    return conn.execute(query.order_by(connection.c.id.desc()).limit(1)).one_or_none()


def of_contact(conn: Connection, contact_id: int, *, live_only: bool = False) -> Sequence[ConnectionRow]:
    """Every connection of a contact, newest first."""
    query = select(connection).where(_has(contact_id))
    if live_only:
        query = query.where(connection.c.ended.is_(None))
    return conn.execute(query.order_by(connection.c.id.desc())).all()


def live_of(conn: Connection, contacts: Collection[int]) -> Sequence[ConnectionRow]:
    """The live connections of any of these contacts, by id."""
    ids = list(contacts)
    query = select(connection).where(
        connection.c.ended.is_(None), or_(connection.c.low.in_(ids), connection.c.high.in_(ids))
    )
    return conn.execute(query.order_by(connection.c.id)).all()


def end(conn: Connection, now: int, connection_id: int, ended_by: int | None) -> None:
    """End a connection and close whatever either side shows. `ended_by`: the contact who did; None: nobody's press."""
    conn.execute(
        update(connection)
        .where(connection.c.id == connection_id, connection.c.ended.is_(None))
        .values(ended=now, ended_by=ended_by)
    )
    conn.execute(
        update(disclosure)
        .where(disclosure.c.connection == connection_id, disclosure.c.until.is_(None))
        .values(until=now)
    )


def muted(conn: Connection, contact_id: int, connections: Collection[int]) -> dict[int, int]:
    """Since when this contact muted which of these connections."""
    query = select(connection_side.c.connection, connection_side.c.muted).where(
        connection_side.c.contact == contact_id,
        connection_side.c.connection.in_(list(connections)),
        connection_side.c.muted.is_not(None),
    )
    return {row.connection: row.muted for row in conn.execute(query)}


def is_muted(conn: Connection, ref: bytes, contact_id: int) -> bool:
    """Whether this contact muted the connection."""
    query = select(connection_side.c.muted).join(connection, connection.c.id == connection_side.c.connection)
    mine = and_(connection.c.ref == ref, connection_side.c.contact == contact_id, connection_side.c.muted.is_not(None))
    return conn.execute(query.where(mine)).first() is not None


def set_muted(conn: Connection, connection_id: int, contact_id: int, muted: int | None) -> bool:
    """Mute one side since `muted`, or unmute it. False if it was so already."""
    side = connection_side.c
    differs = side.muted.is_(None) if muted is not None else side.muted.is_not(None)
    mine = and_(side.connection == connection_id, side.contact == contact_id, differs)
    return bool(conn.execute(update(connection_side).where(mine).values(muted=muted)).rowcount)


def shown(conn: Connection, connections: Collection[int]) -> dict[int, list[Row[Any]]]:
    """What was and is shown in these connections, oldest first."""
    found: dict[int, list[Row[Any]]] = {one: [] for one in connections}
    query = select(disclosure).where(disclosure.c.connection.in_(list(connections)))
    for row in conn.execute(query.order_by(disclosure.c.id)):
        found[row.connection].append(row)
    return found


def show(conn: Connection, now: int, connection_id: int, contact_id: int, what: str) -> bool:
    """Let the other side see `what` of a contact from now on. False if they see it already."""
    seen = select(disclosure.c.id).where(_now_shown(connection_id, contact_id, what))
    if conn.execute(seen).first() is not None:
        return False
    row = {"connection": connection_id, "contact": contact_id, "what": what, "since": now}
    conn.execute(insert(disclosure).values(row))
    return True


def hide(conn: Connection, now: int, connection_id: int, contact_id: int, what: str) -> bool:
    """Stop showing `what` of a contact. False if it was not shown."""
    stops = update(disclosure).where(_now_shown(connection_id, contact_id, what)).values(until=now)
    return bool(conn.execute(stops).rowcount)


def held(conn: Connection, contacts: Collection[int]) -> set[int]:
    """Those of these contacts who were not erased."""
    query = select(contact_key.c.contact).where(contact_key.c.contact.in_(list(contacts)))
    return set(conn.execute(query).scalars())


def _has(contact_id: int) -> ColumnElement[bool]:
    return or_(connection.c.low == contact_id, connection.c.high == contact_id)


def _now_shown(connection_id: int, contact_id: int, what: str) -> ColumnElement[bool]:
    row = disclosure.c
    return and_(row.connection == connection_id, row.contact == contact_id, row.what == what, row.until.is_(None))
