"""Contacts and their mailboxes: found by keyed hash, made with a key of their own, never holding a bare address."""

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from outreach.domain.addresses import Address
from outreach.domain.keys import Keyring
from outreach.store.boxes import ContactKeys
from outreach.store.schema.people import contact, mailbox

_CODE_LETTERS = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
_PERSON = (
    contact.c.id,
    contact.c.ref,
    contact.c.mailbox,
    contact.c.code,
    contact.c.provider,
    contact.c.locale,
    contact.c.timezone,
)


def new_code() -> str:
    """A contact reference: ten letters and digits that cannot be misread."""
    number, letters = secrets.randbelow(len(_CODE_LETTERS) ** 10), []
    for _ in range(10):
        number, place = divmod(number, len(_CODE_LETTERS))
        letters.append(_CODE_LETTERS[place])
    return "".join(letters)


@dataclass(frozen=True)
class Person:
    """A contact as the store knows it: integer ids inside, `ref` and `code` outside."""

    id: int
    ref: bytes
    mailbox: int
    code: str
    provider: str
    locale: str
    timezone: str


def find_by_address(connection: Connection, keyring: Keyring, address: Address) -> Person | None:
    """The contact of exactly this address, if we hold one."""
    return _one(connection, contact.c.address_key == keyring.blind("address", address.exact))


def find_by_ref(connection: Connection, ref: bytes) -> Person | None:
    """The contact whose public name this is."""
    return _one(connection, contact.c.ref == ref)


def find_by_code(connection: Connection, code: str) -> Person | None:
    """The contact whose reference, as printed in mails (K7Q2-M9XR-T4), this is; spacing and case do not matter."""
    plain = "".join(letter for letter in code.upper() if letter.isalnum())
    return _one(connection, contact.c.code == plain)


def find_by_id(connection: Connection, contact_id: int) -> Person | None:
    return _one(connection, contact.c.id == contact_id)


def find_by_ids(connection: Connection, contacts: Collection[int]) -> dict[int, Person]:
    """Those of these contacts that we hold, by id."""
    rows = connection.execute(select(*_PERSON).where(contact.c.id.in_(list(contacts))))
    return {row.id: Person(*row) for row in rows}


def ensure_contact(
    connection: Connection,
    keyring: Keyring,
    keys: ContactKeys,
    address: Address,
    *,
    now: int,
    locale: str,
    timezone: str,
    fields: Mapping[str, str] | None = None,
) -> Person:
    """The contact of this address, made if there is none. `fields` are kept only for a new contact."""
    found = find_by_address(connection, keyring, address)
    if found is not None:
        return found
    row = {
        "ref": secrets.token_bytes(16),
        "mailbox": _ensure_mailbox(connection, keyring.blind("mailbox", address.mailbox)),
        "code": new_code(),
        "address_key": keyring.blind("address", address.exact),
        "provider": address.provider,
        "locale": locale,
        "timezone": timezone,
        "created": now,
    }
    made = connection.execute(insert(contact).values(row).returning(contact.c.id)).scalar_one()
    keys.make([made])
    connection.execute(
        contact.update()
        .where(contact.c.id == made)
        .values(
            address_box=keys.seal(made, address.exact),
            fields_box=keys.seal(made, dict(fields)) if fields else None,
        )
    )
    person = find_by_id(connection, made)
    assert person is not None  # noqa: S101  inserted above, in this transaction
    return person


def _ensure_mailbox(connection: Connection, key: bytes) -> int:
    found = connection.execute(select(mailbox.c.id).where(mailbox.c.mailbox_key == key)).scalar_one_or_none()
    if found is not None:
        return int(found)
    return int(connection.execute(insert(mailbox).values(mailbox_key=key).returning(mailbox.c.id)).scalar_one())


def _one(connection: Connection, condition: object) -> Person | None:
    row = connection.execute(select(*_PERSON).where(condition)).one_or_none()  # type: ignore[arg-type]
    return None if row is None else Person(*row)
