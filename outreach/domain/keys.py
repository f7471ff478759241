"""The installation's secrets as values, and the keyed hashes by which we know an address without holding it."""

import hmac
from dataclasses import dataclass, field

from outreach.domain.rotation import Signed


@dataclass(frozen=True)
class TokenKey:
    """A secret that signs link tokens. Oldest first; the newest signs. A compromised one is refused."""

    id: str
    secret: bytes = field(repr=False)
    compromised: bool = False


@dataclass(frozen=True)
class Keyring:
    """Everything in `instance/keys.json` (mode 0600). `keks`: id → 32 bytes, newest last; `audit_seed`: Ed25519.

    `audit_former`: how the log went from key to key, oldest first; of former keys only the public part is kept.
    """

    address: tuple[bytes, ...] = field(repr=False)
    keks: dict[str, bytes] = field(repr=False)
    tokens: tuple[TokenKey, ...]
    doors: bytes = field(repr=False)
    sessions: bytes = field(repr=False)
    audit_seed: bytes = field(repr=False)
    audit_name: str
    audit_former: tuple[Signed, ...] = ()

    def blind(self, purpose: str, text: str) -> bytes:
        """32 bytes that stand for `text` within `purpose` ("address", "mailbox", "network").

        Keys rotate by composition, HMAC(k2, HMAC(k1, text)): a suppression holds no address to hash again.
        """
        digest = f"{purpose}\0{text}".encode()
        for key in self.address:
            digest = hmac.digest(key, digest, "sha256")
        return digest
