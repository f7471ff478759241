"""The addresses mail comes back to: one ticket a message, and a door that says what the mail is.

`bounce+<ticket>@` stands on the envelope (VERP), `reply+` in Reply-To, `stop+` in List-Unsubscribe, `report+` in
CFBL-Address. A ticket is 56 hexadecimal characters, the message's ref (16 bytes) and an HMAC-SHA-256 cut to 12, so that
it fits a local part (RFC 5321 §4.5.3.1.1: 64 octets) and survives servers that change its case.
"""

import hmac
import re
from collections.abc import Sequence
from enum import StrEnum

from outreach.domain.errors import SettingsError
from outreach.domain.keys import TokenKey

_REF = 16
_MAC = 12
_SHAPE = re.compile(r"([a-z]{4,6})\+([0-9a-f]{56})", re.ASCII)


class Door(StrEnum):
    """What mail to an address is taken for."""

    BOUNCE = "bounce"
    REPLY = "reply"
    STOP = "stop"
    REPORT = "report"


class InboundAddresses:
    """Signs with the newest key that is not compromised; reads with all others of those too."""

    def __init__(self, keys: Sequence[TokenKey]) -> None:
        """`keys` oldest first. Raises SettingsError when none may sign."""
        derived = [_derived(key) for key in keys if not key.compromised]
        if not derived:
            raise SettingsError("keys.json: no token key is left to sign with; add a new one")
        self._keys = derived[::-1]

    def ticket(self, ref: bytes) -> str:
        """The ticket of the message `ref` (16 bytes), good at every door."""
        if len(ref) != _REF:
            raise ValueError("a ref is 16 bytes")
        return (ref + _mac(self._keys[0], ref)).hex()

    def read(self, local_part: str) -> tuple[Door, bytes] | None:
        """(door, the message's ref); None for an address that is not ours, or forged."""
        parts = _SHAPE.fullmatch(local_part.lower())
        if parts is None or parts[1] not in set(Door):
            return None
        octets = bytes.fromhex(parts[2])
        ref, mac = octets[:_REF], octets[_REF:]
        if not any(hmac.compare_digest(_mac(key, ref), mac) for key in self._keys):
            return None
        return Door(parts[1]), ref


def _derived(key: TokenKey) -> bytes:
    return hmac.digest(key.secret, f"outreach inbound address\0{key.id}".encode(), "sha256")


def _mac(key: bytes, ref: bytes) -> bytes:
    return hmac.digest(key, ref, "sha256")[:_MAC]
