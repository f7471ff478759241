"""The keys that sign receipts: Ed25519, one derived from each token key of `keys.json`, so outside the database.

They are renewed and marked as leaked with the key they come from (`outreach keys`), and like it never removed: a
receipt can be checked for ever.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from outreach.domain import signed_json
from outreach.domain.keys import Keyring, TokenKey
from outreach.domain.receipt_document import instant


@dataclass(frozen=True)
class PublicKey:
    """A key anybody may know. `octets`: 32; `is_leaked`: somebody else may sign with it too."""

    octets: bytes
    is_leaked: bool

    @property
    def name(self) -> str:
        """The key itself as text (Multikey)."""
        return signed_json.multikey(self.octets)

    def verifies(self, document: Mapping[str, Any], proof: Mapping[str, Any]) -> bool:
        return signed_json.verify(document, proof, self.octets, self._genuine)

    def _genuine(self, signature: bytes, message: bytes) -> bool:
        try:
            Ed25519PublicKey.from_public_bytes(self.octets).verify(signature, message)
        except InvalidSignature:
            return False
        return True


class ReceiptKeys:
    """All keys receipts were ever signed with, and the one that signs now."""

    def __init__(self, keyring: Keyring) -> None:
        pairs = [(_derived(key), key.compromised) for key in keyring.tokens]
        self._signer = next(key for key, is_leaked in reversed(pairs) if not is_leaked)
        self.public = tuple(PublicKey(key.public_key().public_bytes_raw(), is_leaked) for key, is_leaked in pairs)

    def sign(self, document: Mapping[str, Any], site: str, at: int) -> dict[str, Any]:
        """The proof that `document` is ours. The same document always gets the same one while the key is the same."""
        name = signed_json.multikey(self._signer.public_key().public_bytes_raw())
        options = {"created": instant(at), "verificationMethod": f"{published_at(site)}#{name}"}
        return signed_json.sign(document, options, self._signer.sign)

    def find(self, method: object) -> PublicKey | None:
        """The key a proof names by its verificationMethod, wherever that says it is published; None: not ours."""
        name = method.rpartition("#")[2] if isinstance(method, str) else ""
        return next((key for key in self.public if key.name == name), None)


def published(keyring: Keyring, site: str) -> dict[str, Any]:
    """What is published: every key, and which of them still speak for us (W3C Controlled Identifiers 1.0)."""
    here = published_at(site)
    keys = ReceiptKeys(keyring).public
    return {
        "@context": "https://www.w3.org/ns/cid/v1",
        "id": here,
        "verificationMethod": [
            {"id": f"{here}#{key.name}", "type": "Multikey", "controller": here, "publicKeyMultibase": key.name}
            for key in keys
        ],
        "assertionMethod": [f"{here}#{key.name}" for key in keys if not key.is_leaked],
    }


def published_at(site: str) -> str:
    """Where the keys of the installation at `site` are published."""
    return f"{site}/receipts/key"


def _derived(key: TokenKey) -> Ed25519PrivateKey:
    seed = hmac.digest(key.secret, f"outreach receipt\0{key.id}".encode(), "sha256")
    return Ed25519PrivateKey.from_private_bytes(seed)
