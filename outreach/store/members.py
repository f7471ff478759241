"""SQL about members: their accounts, each beside the contact whose confirmed address it is."""

import secrets
from typing import Any

from sqlalchemy import Connection, Select, insert, select, update
from sqlalchemy.engine import Row

from outreach.store.address_moves import has_left
from outreach.store.boxes import ContactKeys
from outreach.store.contacts import new_code
from outreach.store.schema.members import member
from outreach.store.schema.people import contact, mailbox

MemberRow = Row[*tuple[Any, ...]]
"""A member's columns, and their contact's: contact_ref, mailbox, address_key, address_box, locale, timezone."""

_WITH_CONTACT: Select[*tuple[Any, ...]] = select(
    *member.c,
    contact.c.ref.label("contact_ref"),
    contact.c.mailbox,
    contact.c.address_key,
    contact.c.address_box,
    contact.c.locale,
    contact.c.timezone,
).join(contact, contact.c.id == member.c.contact)


def by_id(conn: Connection, member_id: int) -> MemberRow | None:
    return conn.execute(_WITH_CONTACT.where(member.c.id == member_id)).one_or_none()


def by_ref(conn: Connection, ref: bytes) -> MemberRow | None:
    return conn.execute(_WITH_CONTACT.where(member.c.ref == ref)).one_or_none()


def by_contact(conn: Connection, contact_id: int) -> MemberRow | None:
    """The account of this contact, open or closed."""
    return conn.execute(_WITH_CONTACT.where(member.c.contact == contact_id)).one_or_none()


def open_of_mailbox(conn: Connection, mailbox_key: bytes) -> int | None:
    """The contact of the open account in this mailbox, whichever way its address is spelled; not one that stayed at an
    address whose consents went to this mailbox.
    """
    query = (
        select(member.c.contact)
        .join(contact, contact.c.id == member.c.contact)
        .join(mailbox, mailbox.c.id == contact.c.mailbox)
        .where(mailbox.c.mailbox_key == mailbox_key, member.c.closed.is_(None), ~has_left(contact.c.id))
    )
    return conn.execute(query.order_by(member.c.id).limit(1)).scalar_one_or_none()


def account_in(conn: Connection, mailbox_id: int) -> int | None:
    """The same by the mailbox's id."""
    query = select(member.c.contact).join(contact, contact.c.id == member.c.contact)
    here = (contact.c.mailbox == mailbox_id, member.c.closed.is_(None), ~has_left(contact.c.id))
    return conn.execute(query.where(*here).order_by(contact.c.id).limit(1)).scalar_one_or_none()


def closed_of_mailbox(conn: Connection, contact_id: int) -> MemberRow | None:
    """The account that was closed in this contact's mailbox, the last if there were several."""
    theirs = select(contact.c.mailbox).where(contact.c.id == contact_id).scalar_subquery()
    query = _WITH_CONTACT.where(contact.c.mailbox == theirs, member.c.closed.is_not(None))
    return conn.execute(query.order_by(member.c.closed.desc(), member.c.id.desc()).limit(1)).one_or_none()


def add(conn: Connection, keys: ContactKeys, now: int, contact_id: int, *, name: str, password_hash: str) -> MemberRow:
    """A new account for a contact whose address has just been proved."""
    row = {
        "ref": secrets.token_bytes(16),
        "contact": contact_id,
        "code": new_code(),
        "name_box": keys.seal(contact_id, name),
        "password_hash": password_hash,
        "created": now,
    }
    made = conn.execute(insert(member).values(row).returning(member.c.id)).scalar_one()
    return conn.execute(_WITH_CONTACT.where(member.c.id == made)).one()


def change(conn: Connection, member_id: int, **values: Any) -> None:
    conn.execute(update(member).where(member.c.id == member_id).values(values))


def change_contact(conn: Connection, contact_id: int, *, locale: str, timezone: str) -> None:
    conn.execute(update(contact).where(contact.c.id == contact_id).values(locale=locale, timezone=timezone))


def address_of(conn: Connection, keys: ContactKeys, contact_id: int) -> str:
    """A contact's exact address; empty once erased."""
    box = conn.execute(select(contact.c.address_box).where(contact.c.id == contact_id)).scalar_one_or_none()
    return keys.text(contact_id, box) or ""


def name_of(keys: ContactKeys, row: MemberRow) -> str:
    """The name others read; empty once the person was erased."""
    return keys.text(row.contact, row.name_box) or ""
