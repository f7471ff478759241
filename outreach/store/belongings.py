"""SQL of what belongs to an address besides consents, and goes along to another: the account, what hangs on it, words.

Every box is opened with the old person's key and made anew under the new one's, so that erasing either of them takes
exactly what is theirs.
"""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, and_, exists, or_, select, update
from sqlalchemy.engine import Row

from outreach.store import connections, members
from outreach.store.address_moves import has_left
from outreach.store.boxes import ContactKeys
from outreach.store.schema.conversations import conversation, conversation_file, conversation_post
from outreach.store.schema.members import (
    appeal,
    connect_link,
    connection,
    connection_side,
    disclosure,
    invitation,
    member,
    member_session,
)
from outreach.store.schema.people import contact
from outreach.store.schema.relaying import relay_address, relayed

_WAITS_OR_LED_ON = or_(invitation.c.answer.is_(None), invitation.c.answer == "accepted")


def any_of(conn: Connection, contact_id: int) -> bool:
    """Whether there is anything: an open account, a live connection, an invitation to answer, a conversation."""
    reasons = (
        exists().where(member.c.contact == contact_id, member.c.closed.is_(None)),
        exists().where(connection.c.low == contact_id, connection.c.ended.is_(None)),
        exists().where(connection.c.high == contact_id, connection.c.ended.is_(None)),
        exists().where(_open_to(contact_id)),
        exists().where(conversation.c.contact == contact_id),
    )
    return bool(conn.execute(select(or_(*reasons))).scalar_one())


def partners(conn: Connection, contacts: Iterable[int]) -> set[int]:
    """These contacts, and whomever they are connected with."""
    ids = set(contacts)
    return ids | {person for row in connections.live_of(conn, ids) for person in (row.low, row.high)}


def account_in_the_way(conn: Connection, old: int, new: int) -> bool:
    """Whether the new address, any spelling of it, has an account, or that very address had one and closed it."""
    theirs = select(contact.c.mailbox).where(contact.c.id == new).scalar_subquery()
    is_theirs = and_(contact.c.mailbox == theirs, member.c.closed.is_(None), ~has_left(contact.c.id))
    query = select(member.c.id).join(contact, contact.c.id == member.c.contact)
    here = query.where(contact.c.id != old, or_(contact.c.id == new, is_theirs))
    return conn.execute(here.limit(1)).first() is not None


def take_account(conn: Connection, keys: ContactKeys, row: members.MemberRow, new: int) -> None:
    """Make it the account of another contact, with all that is boxed for its owner."""
    members.change(conn, row.id, contact=new)
    reseal_account(conn, keys, row.id, row.contact, new)


def reseal_account(conn: Connection, keys: ContactKeys, member_id: int, old: int, new: int) -> None:
    """Box what is boxed for an account's owner under another contact's key; what no longer opens is forgotten."""
    _reseal(conn, keys, member, ("name_box",), member.c.id == member_id, old, new)
    _reseal(conn, keys, member_session, ("client_box",), member_session.c.member == member_id, old, new)
    _reseal(conn, keys, connect_link, ("label_box",), connect_link.c.member == member_id, old, new)
    _reseal(conn, keys, invitation, ("note_box", "label_box"), invitation.c.member == member_id, old, new)
    _reseal(conn, keys, appeal, ("words_box",), appeal.c.member == member_id, old, new)


def take_connections(conn: Connection, keys: ContactKeys, old: int, new: int) -> list[bytes]:
    """Put one contact in another's place in all their connections, ended ones too, with relay addresses and mails.

    No two live ones are with the same person: the caller ended one of them. What was between the two stays. Returns
    the refs of those that live.
    """
    rows = [row for row in connections.of_contact(conn, old) if new not in {row.low, row.high}]
    for row in rows:
        low, high = sorted((new, row.high if row.low == old else row.low))
        ended_by = new if row.ended_by == old else row.ended_by
        here = connection.c.id == row.id
        conn.execute(update(connection).where(here).values(low=low, high=high, ended_by=ended_by))
        for table in (connection_side, disclosure, relay_address):
            theirs = and_(table.c.connection == row.id, table.c.contact == old)
            conn.execute(update(table).where(theirs).values(contact=new))
    moved = select(relay_address.c.id).where(relay_address.c.connection.in_([row.id for row in rows]))
    written = and_(relayed.c.writer == old, relayed.c.address.in_(moved))
    _reseal(conn, keys, relayed, ("words_box", "origin_box"), written, old, new)
    conn.execute(update(relayed).where(written).values(writer=new))
    return [bytes(row.ref) for row in rows if row.ended is None]


def hide_address(conn: Connection, now: int, contact_id: int) -> list[bytes]:
    """Show a person's address to nobody any more. Returns the refs of the connections in which it was shown."""
    shown = and_(disclosure.c.contact == contact_id, disclosure.c.what == "address", disclosure.c.until.is_(None))
    query = select(connection.c.ref).join(disclosure, disclosure.c.connection == connection.c.id).where(shown)
    refs = conn.execute(query.order_by(connection.c.id)).scalars().all()
    conn.execute(update(disclosure).where(shown).values(until=now))
    return [bytes(ref) for ref in refs]


def take_invitations(conn: Connection, old: int, new: int) -> list[bytes]:
    """What somebody was invited to and has not answered, or said yes to. Returns the refs of those not answered.

    The mailbox that was invited stays written down: nobody is invited there a second time.
    """
    waiting = list(conn.execute(select(invitation.c.ref).where(_open_to(old))).scalars())
    conn.execute(update(invitation).where(invitation.c.contact == old, _WAITS_OR_LED_ON).values(contact=new))
    return [bytes(ref) for ref in waiting]


def take_conversations(conn: Connection, keys: ContactKeys, old: int, new: int) -> list[bytes]:
    """Every conversation with us, with its posts and files. Returns their refs."""
    mine = select(conversation.c.id).where(conversation.c.contact == old)
    said = conversation_post.c.conversation.in_(mine)
    files = conversation_file.c.post.in_(select(conversation_post.c.id).where(said))
    _reseal(conn, keys, conversation_post, ("words_box",), said, old, new)
    _reseal(conn, keys, conversation_file, ("name_box", "content_box"), files, old, new)
    taken = update(conversation).where(conversation.c.contact == old).values(contact=new)
    return [bytes(ref) for ref in conn.execute(taken.returning(conversation.c.ref)).scalars()]


def twice_connected(conn: Connection, old: int, new: int) -> list[Row[Any]]:
    """The live connections that must end first: of the two with each other, and of the new one with whomever the old
    one is connected with as well.
    """
    both = [connections.live_between(conn, old, new)]
    for row in connections.of_contact(conn, old, live_only=True):
        other = row.high if row.low == old else row.low
        both.append(connections.live_between(conn, new, other) if other != new else None)
    return [row for row in both if row is not None]


def _open_to(contact_id: int) -> ColumnElement[bool]:
    return and_(invitation.c.contact == contact_id, invitation.c.answer.is_(None))


def _reseal(
    conn: Connection, keys: ContactKeys, table: Table, boxes: tuple[str, ...], which: Any, old: int, new: int
) -> None:
    """One row at a time: a file can be large."""
    for one in conn.execute(select(table.c.id).where(which)).scalars().all():
        row = conn.execute(select(*(table.c[name] for name in boxes)).where(table.c.id == one)).one()
        opened = {name: keys.text(old, box) for name, box in zip(boxes, row, strict=True)}
        sealed = {name: None if text is None else keys.seal(new, text) for name, text in opened.items()}
        conn.execute(update(table).where(table.c.id == one).values(sealed))
