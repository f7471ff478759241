"""Personal values at rest: AES-GCM-SIV (RFC 8452) under a key per contact, itself wrapped by the installation's key.

Erasing a person deletes their wrapped key; every box, in append-only rows too, is then noise.
"""

import json
import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV
from sqlalchemy import Connection, bindparam, insert, select

from outreach.domain.keys import Keyring
from outreach.store.schema.people import contact_key

_NONCE = 12


def seal(key: bytes, plain: bytes) -> bytes:
    """nonce (12 bytes) ‖ ciphertext and tag."""
    nonce = secrets.token_bytes(_NONCE)
    return nonce + AESGCMSIV(key).encrypt(nonce, plain, None)


def unseal(key: bytes, box: bytes) -> bytes:
    """The plain bytes. Raises ValueError when the key is not this box's."""
    try:
        return AESGCMSIV(key).decrypt(box[:_NONCE], box[_NONCE:], None)
    except InvalidTag:
        raise ValueError("a box does not open with this key") from None


class ContactKeys:
    """Contacts' keys as one transaction needs them, loaded set-wise and remembered for its length."""

    def __init__(self, keyring: Keyring, connection: Connection) -> None:
        self._keyring = keyring
        self._connection = connection
        self._keys: dict[int, bytes] = {}

    def make(self, contacts: Iterable[int]) -> None:
        """Give each new contact a key."""
        kek = next(reversed(self._keyring.keks))
        rows = []
        for contact in contacts:
            self._keys[contact] = secrets.token_bytes(32)
            rows.append(
                {
                    "contact": contact,
                    "kek": kek,
                    "salt": secrets.token_bytes(16),
                    "wrapped": seal(self._keyring.keks[kek], self._keys[contact]),
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
                self._keys[row.contact] = unseal(self._keyring.keks[row.kek], row.wrapped)

    def seal(self, contact: int, value: str | Mapping[str, Any]) -> bytes:
        """Box a text, or a mapping as JSON, under the contact's key."""
        self.load([contact])
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
        return seal(self._keys[contact], text.encode())

    def text(self, contact: int, box: bytes | None) -> str | None:
        """The boxed text; None when there is no box or the person was erased."""
        self.load([contact])
        if box is None or contact not in self._keys:
            return None
        return unseal(self._keys[contact], box).decode()

    def facts(self, contact: int, box: bytes | None) -> dict[str, Any]:
        """The boxed JSON object; empty when there is none or the person was erased."""
        text = self.text(contact, box)
        return {} if text is None else dict(json.loads(text))
