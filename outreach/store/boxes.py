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
from sqlalchemy import Connection, bindparam, insert, select

from outreach.domain.keys import Keyring
from outreach.store.schema.people import contact_key

_NONCE = 12


def seal(key: bytes, plain: bytes) -> bytes:
    """nonce (12 bytes) ‖ ciphertext and tag."""
    return _shut(_long_lived(key), plain)


def unseal(key: bytes, box: bytes) -> bytes:
    """The plain bytes. Raises ValueError when the key is not this box's."""
    return _open(_long_lived(key), box)


class ContactKeys:
    """Contacts' keys as one transaction needs them, loaded set-wise and remembered for its length."""

    def __init__(self, keyring: Keyring, connection: Connection) -> None:
        self._keyring = keyring
        self._connection = connection
        self._keys: dict[int, AESGCMSIV] = {}

    def make(self, contacts: Iterable[int]) -> None:
        """Give each new contact a key."""
        kek = next(reversed(self._keyring.keks))
        rows = []
        for contact in contacts:
            key = secrets.token_bytes(32)
            self._keys[contact] = AESGCMSIV(key)
            rows.append(
                {
                    "contact": contact,
                    "kek": kek,
                    "salt": secrets.token_bytes(16),
                    "wrapped": seal(self._keyring.keks[kek], key),
                }
            )
        if rows:
            self._connection.execute(insert(contact_key), rows)

    def load(self, contacts: Iterable[int]) -> None:
        """Fetch the keys of `contacts` in one statement per 5,000; erased contacts simply have none."""
        missing = sorted(set(contacts) - self._keys.keys())
        for start in range(0, len(missing), 5000):
            query = select(contact_key.c.contact, contact_key.c.kek, contact_key.c.wrapped).where(
                contact_key.c.contact.in_(bindparam("ids", expanding=True))
            )
            for row in self._connection.execute(query, {"ids": missing[start : start + 5000]}):
                self.unwrap(row.contact, row.kek, row.wrapped)

    def unwrap(self, contact: int, kek: str, wrapped: bytes) -> None:
        """Remember a contact's key that was read beside something else."""
        self._keys[contact] = AESGCMSIV(unseal(self._keyring.keks[kek], wrapped))

    def seal(self, contact: int, value: str | Mapping[str, Any]) -> bytes:
        """Box a text, or a mapping as JSON, under the contact's key."""
        self.load([contact])
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
        return _shut(self._keys[contact], text.encode())

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


def _shut(cipher: AESGCMSIV, plain: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE)
    return nonce + cipher.encrypt(nonce, plain, None)


def _open(cipher: AESGCMSIV, box: bytes) -> bytes:
    try:
        return cipher.decrypt(box[:_NONCE], box[_NONCE:], None)
    except InvalidTag:
        raise ValueError("a box does not open with this key") from None
