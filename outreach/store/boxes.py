"""Personal values at rest: AES-GCM-SIV (RFC 8452) under a key per contact, itself wrapped by the installation's key.

Erasing a person deletes their wrapped key; every box, in append-only rows too, is then noise.
"""

import json
import secrets
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from sqlalchemy import Connection, bindparam, select

from outreach.domain.keys import Keyring
from outreach.store.bulk import insert_rows
from outreach.store.schema.people import contact_key

_NONCE = 12
_KEYS = select(contact_key.c.contact, contact_key.c.kek, contact_key.c.wrapped).where(
    contact_key.c.contact.in_(bindparam("ids", expanding=True))
)
_json = json.JSONEncoder(ensure_ascii=False, sort_keys=True).encode


def seal(key: bytes, plain: bytes) -> bytes:
    """nonce (12 bytes) ‖ ciphertext and tag."""
    return _shut(_long_lived(key), plain)


def unseal(key: bytes, box: bytes) -> bytes:
    """The plain bytes. Raises ValueError when the key is not this box's."""
    return _open(_long_lived(key), box)


class FreshKey:
    """The key of somebody we do not hold yet: their boxes are made before their row."""

    def __init__(self) -> None:
        self.secret = secrets.token_bytes(32)
        self.cipher = AESGCMSIV(self.secret)

    def seal(self, value: str | Mapping[str, Any]) -> bytes:
        """Box a text, or a mapping as JSON."""
        return _shut(self.cipher, _plain(value))


class ContactKeys:
    """Contacts' keys as one transaction needs them, loaded set-wise and remembered for its length."""

    def __init__(self, keyring: Keyring, connection: Connection) -> None:
        self._keyring = keyring
        self._connection = connection
        self._keys: dict[int, AESGCMSIV] = {}

    def make(self, contacts: Iterable[int]) -> None:
        """Give each new contact a key."""
        self.keep({contact: FreshKey() for contact in contacts})

    def keep(self, fresh: Mapping[int, FreshKey]) -> None:
        """Store the keys under which new contacts' boxes are, by contact."""
        kek = next(reversed(self._keyring.keks))
        self._keys |= {contact: key.cipher for contact, key in fresh.items()}
        rows = [
            (contact, kek, seal(self._keyring.keks[kek], key.secret), secrets.token_bytes(16))
            for contact, key in fresh.items()
        ]
        insert_rows(self._connection, contact_key, ("contact", "kek", "wrapped", "salt"), rows)

    def load(self, contacts: Iterable[int]) -> None:
        """Fetch the keys of `contacts` in one statement per 5,000; erased contacts simply have none."""
        missing = sorted({contact for contact in contacts if contact not in self._keys})
        for start in range(0, len(missing), 5000):
            for row in self._connection.execute(_KEYS, {"ids": missing[start : start + 5000]}):
                self.unwrap(row.contact, row.kek, row.wrapped)

    def unwrap(self, contact: int, kek: str, wrapped: bytes) -> None:
        """Remember a contact's key that was read beside something else."""
        self._keys[contact] = AESGCMSIV(unseal(self._keyring.keks[kek], wrapped))

    def seal(self, contact: int, value: str | Mapping[str, Any]) -> bytes:
        """Box a text, or a mapping as JSON, under the contact's key."""
        self.load([contact])
        return _shut(self._keys[contact], _plain(value))

    def text(self, contact: int, box: bytes | None) -> str | None:
        """The boxed text; None when there is no box or the person was erased."""
        if box is None:
            return None
        if contact not in self._keys:
            self.load([contact])
        key = self._keys.get(contact)
        return None if key is None else _open(key, box).decode()

    def facts(self, contact: int, box: bytes | None) -> dict[str, Any]:
        """The boxed JSON object; empty when there is none or the person was erased."""
        text = self.text(contact, box)
        return {} if text is None else dict(json.loads(text))


@lru_cache(maxsize=16)
def _long_lived(key: bytes) -> AESGCMSIV:
    """The cipher under one of the installation's own few keys, made once."""
    return AESGCMSIV(key)


def _plain(value: str | Mapping[str, Any]) -> bytes:
    return (value if isinstance(value, str) else _json(value)).encode()


def _shut(cipher: AESGCMSIV, plain: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE)
    return nonce + cipher.encrypt(nonce, plain, None)


def _open(cipher: AESGCMSIV, box: bytes) -> bytes:
    try:
        return cipher.decrypt(box[:_NONCE], box[_NONCE:], None)
    except InvalidTag:
        raise ValueError("a box does not open with this key") from None
