"""SQL about relay addresses and the mails that came to them."""

import base64
import secrets
from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, and_, case, delete, exists, func, insert, or_, select, update
from sqlalchemy.engine import Row

from outreach.domain.message import FINAL
from outreach.store.schema.campaigns import message
from outreach.store.schema.members import connection, connection_side, invitation
from outreach.store.schema.people import contact, contact_key
from outreach.store.schema.relaying import relay_address, relayed

AddressRow = Row[*tuple[Any, ...]]
"""A relay address: id, local_part, `reader` and `writer` (contacts), their connection's id, ref, and when it ended."""

AnyRow = Row[*tuple[Any, ...]]

RelayedRow = Row[*tuple[Any, ...]]
"""A row of `relayed`, with `reader` and `connection_ref`."""

_other = case((connection.c.low == relay_address.c.contact, connection.c.high), else_=connection.c.low)
_ADDRESS = (
    relay_address.c.id,
    relay_address.c.local_part,
    relay_address.c.contact.label("reader"),
    _other.label("writer"),
    relay_address.c.connection,
    connection.c.ref.label("connection_ref"),
    connection.c.ended,
)
_RELAYED = (
    *relayed.c,
    relay_address.c.contact.label("reader"),
    relay_address.c.connection,
    connection.c.ref.label("connection_ref"),
)


def make_addresses(conn: Connection, connection_id: int, contacts: Iterable[int]) -> None:
    """An address for each of the two, at random."""
    rows = [
        {"connection": connection_id, "contact": one, "local_part": f"with-{_base32()}"} for one in sorted(contacts)
    ]
    conn.execute(insert(relay_address), rows)


def by_local_part(conn: Connection, local_part: str) -> AddressRow | None:
    query = select(*_ADDRESS).join(connection, connection.c.id == relay_address.c.connection)
    return conn.execute(query.where(relay_address.c.local_part == local_part.lower())).one_or_none()


def by_id(conn: Connection, address_id: int) -> AddressRow:
    query = select(*_ADDRESS).join(connection, connection.c.id == relay_address.c.connection)
    return conn.execute(query.where(relay_address.c.id == address_id)).one()


def to_write_to(conn: Connection, connection_id: int, writer: int) -> AddressRow | None:
    """The address at which `writer` reaches the other side."""
    query = select(*_ADDRESS).join(connection, connection.c.id == relay_address.c.connection)
    mine = and_(relay_address.c.connection == connection_id, relay_address.c.contact != writer)
    return conn.execute(query.where(mine)).one_or_none()


def reached_at(conn: Connection, connection_id: int, reader: int) -> str:
    """The local part of the address that stands for `reader`."""
    mine = and_(relay_address.c.connection == connection_id, relay_address.c.contact == reader)
    return str(conn.execute(select(relay_address.c.local_part).where(mine)).scalar_one())


def came_since(conn: Connection, address_id: int, since: int) -> tuple[int, int]:
    """How many mails came to an address, and their octets together."""
    sums = select(func.count(), func.coalesce(func.sum(relayed.c.octets), 0))
    row = conn.execute(sums.where(relayed.c.address == address_id, relayed.c.received > since)).one()
    return int(row[0]), int(row[1])


def add(conn: Connection, **values: Any) -> RelayedRow:
    """A mail that came. `values`: of `relayed`, without its ref."""
    values = {"ref": secrets.token_bytes(16), **values}
    made = conn.execute(insert(relayed).values(values).returning(relayed.c.id)).scalar_one()
    return conn.execute(_rows().where(relayed.c.id == made)).one()


def change(conn: Connection, relayed_id: int, **values: Any) -> None:
    conn.execute(update(relayed).where(relayed.c.id == relayed_id).values(**values))


def finish(conn: Connection, ids: Collection[int], outcome: str) -> None:
    """These are over: their words go."""
    values = {"state": "done", "outcome": outcome, "words_box": None, "until": None}
    conn.execute(update(relayed).where(relayed.c.id.in_(list(ids))).values(values))


def by_ref(conn: Connection, ref: bytes) -> RelayedRow | None:
    return conn.execute(_rows().where(relayed.c.ref == ref)).one_or_none()


def of_messages(conn: Connection, messages: Collection[int]) -> dict[int, RelayedRow]:
    """What is passed on by these messages, by the message's id; with its `message_ref`."""
    if not messages:
        return {}
    query = _rows().add_columns(message.c.ref.label("message_ref")).join(message, message.c.id == relayed.c.message)
    return {row.message: row for row in conn.execute(query.where(relayed.c.message.in_(list(messages))))}


def unfinished(
    conn: Connection, connection_id: int, *, states: Collection[str], reader: int | None = None
) -> Sequence[RelayedRow]:
    """Mails of a connection in these states, in the order they came. `reader`: only those to them."""
    query = _rows().where(relay_address.c.connection == connection_id, relayed.c.state.in_(list(states)))
    if reader is not None:
        query = query.where(relay_address.c.contact == reader)
    return conn.execute(query.order_by(relayed.c.id)).all()


def written(conn: Connection, connection_id: int, writer: int, limit: int) -> Sequence[RelayedRow]:
    """A writer's latest mails to the other side, newest first."""
    query = _rows().where(relay_address.c.connection == connection_id, relayed.c.writer == writer)
    return conn.execute(query.order_by(relayed.c.id.desc()).limit(limit)).all()


def settled(conn: Connection, limit: int, connection_id: int | None = None) -> Sequence[RelayedRow]:
    """Mails whose message reached its end, with its state as `ended` and its `reason`."""
    query = (
        select(*_RELAYED, message.c.state.label("ended"), message.c.reason)
        .join(relay_address, relay_address.c.id == relayed.c.address)
        .join(connection, connection.c.id == relay_address.c.connection)
        .join(message, message.c.id == relayed.c.message)
        .where(relayed.c.state == "going", message.c.state.in_(sorted(FINAL)))
    )
    if connection_id is not None:
        query = query.where(relay_address.c.connection == connection_id)
    return conn.execute(query.order_by(relayed.c.id).limit(limit)).all()


def out_of_time(conn: Connection, now: int, limit: int) -> Sequence[RelayedRow]:
    """Mails nobody did anything about in time."""
    due = and_(relayed.c.state.in_(["held", "waiting"]), relayed.c.until <= now)
    return conn.execute(_rows().where(due).order_by(relayed.c.until).limit(limit)).all()


def forget(conn: Connection, before: int) -> int:
    """Delete what is over and came before this instant. Returns how many."""
    old = and_(relayed.c.state == "done", relayed.c.received < before)
    return int(conn.execute(delete(relayed).where(old)).rowcount)


def has_old(conn: Connection, before: int) -> bool:
    old = select(relayed.c.id).where(relayed.c.state == "done", relayed.c.received < before)
    return conn.execute(old.limit(1)).first() is not None


def threads(
    conn: Connection, connection_id: int, origins: Collection[bytes], refs: Collection[bytes]
) -> tuple[dict[bytes, bytes], dict[bytes, AnyRow]]:
    """Of a connection's mails: (by keyed hash of the Message-ID it came with, ref of the message that took it on),
    and (by ref of that message, `writer` and `origin_box`).
    """
    query = (
        select(relayed.c.writer, relayed.c.origin_key, relayed.c.origin_box, message.c.ref)
        .join(relay_address, relay_address.c.id == relayed.c.address)
        .join(message, message.c.id == relayed.c.message)
        .where(
            relay_address.c.connection == connection_id,
            or_(relayed.c.origin_key.in_(list(origins)), message.c.ref.in_(list(refs))),
        )
    )
    rows = conn.execute(query).all()
    return {row.origin_key: row.ref for row in rows if row.origin_key is not None}, {row.ref: row for row in rows}


def address_boxes(conn: Connection, contacts: Collection[int]) -> dict[int, bytes | None]:
    """By contact."""
    query = select(contact.c.id, contact.c.address_box).where(contact.c.id.in_(list(contacts)))
    return {row.id: row.address_box for row in conn.execute(query)}


def is_held(conn: Connection, contact_id: int) -> bool:
    """Whether this person was not erased."""
    return bool(conn.execute(select(exists().where(contact_key.c.contact == contact_id))).scalar_one())


def muted_by(conn: Connection, connection_id: int, reader: int) -> bool:
    """Whether `reader` muted the connection."""
    side = connection_side.c
    query = select(side.muted).where(side.connection == connection_id, side.contact == reader, side.muted.is_not(None))
    return conn.execute(query).first() is not None


def accepted_request(conn: Connection, connection_id: int, asker: int) -> AnyRow | None:
    """The request through a connect link that led to a connection, if `asker` made it: its ref, when it was settled.

    Its mail told them of the connection, who may have no account.
    """
    query = (
        select(invitation.c.ref, invitation.c.settled)
        .join(connection, connection.c.invitation == invitation.c.id)
        .where(connection.c.id == connection_id, invitation.c.contact == asker, invitation.c.settlement == "accepted")
    )
    return conn.execute(query).one_or_none()


def of_contact(conn: Connection, contact_id: int) -> Sequence[RelayedRow]:
    """Every mail a person wrote through a relay address, oldest first."""
    return conn.execute(_rows().where(relayed.c.writer == contact_id).order_by(relayed.c.id)).all()


def _rows() -> Any:
    return (
        select(*_RELAYED)
        .join(relay_address, relay_address.c.id == relayed.c.address)
        .join(connection, connection.c.id == relay_address.c.connection)
    )


def _base32() -> str:
    return base64.b32encode(secrets.token_bytes(16)).decode().rstrip("=").lower()
