"""People new to us, made many at a time: what an import and a batch of sign-ups need."""

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, text

from outreach.domain.addresses import Address
from outreach.domain.keys import Keyring
from outreach.store.boxes import ContactKeys, FreshKey
from outreach.store.contacts import Person, new_code
from outreach.store.schema.people import contact, mailbox
from outreach.store.staging import among_keys, bound_keys, insert_new_rows

_PERSON = "id, ref, mailbox, code, provider, locale, timezone"
_COLUMNS = (
    "ref",
    "mailbox",
    "code",
    "address_key",
    "address_box",
    "fields_box",
    "provider",
    "locale",
    "timezone",
    "created",
)


@dataclass(frozen=True)
class Newcomer:
    """An address that came to us, and what came with it. `fields` are kept only for a new contact."""

    address: Address
    locale: str
    timezone: str
    fields: Mapping[str, str] = field(default_factory=dict)


def find_all(conn: Connection, address_keys: Collection[bytes]) -> dict[bytes, Person]:
    """The contacts we hold of these address keys, by key."""
    query = text(f"SELECT address_key, {_PERSON} FROM contact WHERE {among_keys(conn, 'address_key')}")
    return {row[0]: Person(*row[1:]) for row in conn.execute(query, {"keys": bound_keys(address_keys)})}


def ensure_contacts(
    conn: Connection, keyring: Keyring, keys: ContactKeys, newcomers: Sequence[Newcomer], *, now: int
) -> dict[bytes, Person]:
    """The contacts of these addresses by address key, made where there are none."""
    wanted = {keyring.blind("address", newcomer.address.exact): newcomer for newcomer in newcomers}
    found = find_all(conn, wanted)
    missing = {key: newcomer for key, newcomer in wanted.items() if key not in found}
    return found | add_contacts(conn, keyring, keys, missing, now=now)


def add_contacts(
    conn: Connection, keyring: Keyring, keys: ContactKeys, newcomers: Mapping[bytes, Newcomer], *, now: int
) -> dict[bytes, Person]:
    """Make contacts of people we do not hold, by address key.

    Somebody whom another transaction makes in this instant is found as that one made them.
    """
    added: dict[bytes, Person] = {}
    while missing := {key: newcomers[key] for key in sorted(newcomers.keys() - added.keys())}:
        fresh = _insert(conn, keyring, missing, now)
        there = find_all(conn, missing)  # all of them, but for one whose code was taken: drawn again
        keys.keep({person.id: fresh[person.ref] for person in there.values() if person.ref in fresh})
        added |= there
    return added


def _insert(conn: Connection, keyring: Keyring, missing: Mapping[bytes, Newcomer], now: int) -> dict[bytes, FreshKey]:
    """Insert contacts by address key, in that order, where nobody else has; the keys of their boxes, by new ref."""
    mailbox_keys = {key: keyring.blind("mailbox", who.address.mailbox) for key, who in missing.items()}
    mailboxes = _ensure_mailboxes(conn, set(mailbox_keys.values()))
    fresh = {secrets.token_bytes(16): FreshKey() for _ in missing}
    rows = [
        (
            ref,
            mailboxes[mailbox_keys[address_key]],
            new_code(),
            address_key,
            key.seal(who.address.exact),
            key.seal(who.fields) if who.fields else None,
            who.address.provider,
            who.locale,
            who.timezone,
            now,
        )
        for (ref, key), (address_key, who) in zip(fresh.items(), missing.items(), strict=True)
    ]
    insert_new_rows(conn, contact, _COLUMNS, rows)
    return fresh


def _ensure_mailboxes(conn: Connection, mailbox_keys: set[bytes]) -> dict[bytes, int]:
    found = _find_mailboxes(conn, mailbox_keys)
    if missing := sorted(mailbox_keys - found.keys()):
        insert_new_rows(conn, mailbox, ("mailbox_key",), [(key,) for key in missing])
        found |= _find_mailboxes(conn, missing)
    return found


def _find_mailboxes(conn: Connection, mailbox_keys: Collection[bytes]) -> dict[bytes, int]:
    query = text(f"SELECT mailbox_key, id FROM mailbox WHERE {among_keys(conn, 'mailbox_key')}")
    return {row[0]: row[1] for row in conn.execute(query, {"keys": bound_keys(mailbox_keys)})}
