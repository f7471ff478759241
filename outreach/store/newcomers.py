"""People new to us, made many at a time: what an import and a batch of sign-ups need."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, Insert, Table, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite

from outreach.domain.addresses import Address
from outreach.domain.keys import Keyring
from outreach.store.boxes import ContactKeys
from outreach.store.contacts import Person, new_code
from outreach.store.schema.people import contact, mailbox


@dataclass(frozen=True)
class Newcomer:
    """An address that came to us, and what came with it. `fields` are kept only for a new contact."""

    address: Address
    locale: str
    timezone: str
    fields: Mapping[str, str] = field(default_factory=dict)


def find_all(conn: Connection, address_keys: Sequence[bytes]) -> dict[bytes, Person]:
    """The contacts we hold of these address keys, by key."""
    columns = ("id", "ref", "mailbox", "code", "provider", "locale", "timezone")
    query = select(contact.c.address_key, *(contact.c[name] for name in columns)).where(
        contact.c.address_key.in_(list(address_keys))
    )
    return {row[0]: Person(*row[1:]) for row in conn.execute(query)}


def ensure_contacts(
    conn: Connection, keyring: Keyring, keys: ContactKeys, newcomers: Sequence[Newcomer], *, now: int
) -> dict[bytes, Person]:
    """The contacts of these addresses by address key, made where there are none."""
    wanted = {keyring.blind("address", newcomer.address.exact): newcomer for newcomer in newcomers}
    found = find_all(conn, list(wanted))
    missing = {key: newcomer for key, newcomer in wanted.items() if key not in found}
    if not missing:
        return found
    mailboxes = _ensure_mailboxes(conn, [keyring.blind("mailbox", who.address.mailbox) for who in missing.values()])
    rows = conn.execute(
        _insert(conn, contact).returning(contact.c.id, contact.c.address_key),
        [
            {
                "ref": secrets.token_bytes(16),
                "mailbox": mailboxes[keyring.blind("mailbox", who.address.mailbox)],
                "code": new_code(),
                "address_key": key,
                "provider": who.address.provider,
                "locale": who.locale,
                "timezone": who.timezone,
                "created": now,
            }
            for key, who in missing.items()
        ],
    ).all()
    made = {row.address_key: row.id for row in rows}  # without those another transaction made in this instant
    keys.make(made.values())
    boxes = [
        {
            "of": person,
            "address_box": keys.seal(person, missing[key].address.exact),
            "fields_box": keys.seal(person, missing[key].fields) if missing[key].fields else None,
        }
        for key, person in made.items()
    ]
    if boxes:
        conn.execute(
            update(contact)
            .where(contact.c.id == bindparam("of"))
            .values(address_box=bindparam("address_box"), fields_box=bindparam("fields_box")),
            boxes,
        )
    return found | find_all(conn, list(missing))


def _insert(conn: Connection, table: Table) -> Insert:
    """An INSERT that leaves alone what another transaction made meanwhile."""
    if conn.dialect.name == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    return postgresql.insert(table).on_conflict_do_nothing()


def _ensure_mailboxes(conn: Connection, mailbox_keys: Sequence[bytes]) -> dict[bytes, int]:
    def known() -> dict[bytes, int]:
        query = select(mailbox.c.mailbox_key, mailbox.c.id).where(mailbox.c.mailbox_key.in_(set(mailbox_keys)))
        return {row.mailbox_key: row.id for row in conn.execute(query)}

    found = known()
    if missing := sorted(set(mailbox_keys) - found.keys()):
        conn.execute(_insert(conn, mailbox), [{"mailbox_key": key} for key in missing])
        found = known()
    return found
