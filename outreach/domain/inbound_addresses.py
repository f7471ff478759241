"""The addresses mail comes back to: two tickets a message, and a door that says what the mail is.

`bounce+<ticket>@` stands on the envelope (VERP), `reply+` in Reply-To, `stop+` in List-Unsubscribe, `report+` in
CFBL-Address. A ticket is 56 hexadecimal characters, the message's ref (16 bytes) and an HMAC-SHA-256 cut to 12, so that
it fits a local part (RFC 5321 §4.5.3.1.1: 64 octets) and survives servers that change its case.

Everybody in a reply to all sees people's ticket; with it nobody may speak as a mail server. So bounces and complaints
come by a ticket of their own, which stands where people do not look.
"""

import hmac
import re
from collections.abc import Sequence
from enum import StrEnum

from outreach.domain.errors import SettingsError
from outreach.domain.keys import TokenKey

_REF = 16
_MAC = 12
_FOR_SERVERS = b"bounce\0"
_SHAPE = re.compile(r"([a-z]{4,6})\+([0-9a-f]{56})", re.ASCII)


class Door(StrEnum):
    """What mail to an address is taken for."""

    BOUNCE = "bounce"
    REPLY = "reply"
    STOP = "stop"
    REPORT = "report"


SERVERS = frozenset({Door.BOUNCE, Door.REPORT})
"""Doors of mail servers: they have a ticket of their own."""


class InboundAddresses:
    """Signs with the newest key that is not compromised; reads with all others of those too."""

    def __init__(self, keys: Sequence[TokenKey]) -> None:
        """`keys` oldest first. Raises SettingsError when none may sign."""
        derived = [_derived(key) for key in keys if not key.compromised]
        if not derived:
            raise SettingsError("keys.json: no token key is left to sign with; add a new one")
        self._keys = derived[::-1]

    def ticket(self, ref: bytes) -> str:
        """People's ticket of the message `ref` (16 bytes): to answer it, and to stop what it belongs to."""
        return self._signed(ref, b"")

    def servers_ticket(self, ref: bytes) -> str:
        """The ticket of the message `ref` by which mail servers report."""
        return self._signed(ref, _FOR_SERVERS)

    def read(self, local_part: str) -> tuple[Door, bytes] | None:
        """(door, the message's ref); None for an address that is not ours, or forged.

        People's ticket at a server's door is a reply's: nothing that comes there is lost, and no server speaks.
        """
        parts = _SHAPE.fullmatch(local_part.lower())
        if parts is None or parts[1] not in set(Door):
            return None
        octets = bytes.fromhex(parts[2])
        door, ref, mac = Door(parts[1]), octets[:_REF], octets[_REF:]
        if door in SERVERS and self._is_signed(_FOR_SERVERS + ref, mac):
            return door, ref
        if not self._is_signed(ref, mac):
            return None
        return Door.REPLY if door in SERVERS else door, ref

    def _signed(self, ref: bytes, whose: bytes) -> str:
        if len(ref) != _REF:
            raise ValueError("a ref is 16 bytes")
        return (ref + _mac(self._keys[0], whose + ref)).hex()

    def _is_signed(self, told: bytes, mac: bytes) -> bool:
        return any(hmac.compare_digest(_mac(key, told), mac) for key in self._keys)


def _derived(key: TokenKey) -> bytes:
    return hmac.digest(key.secret, f"outreach inbound address\0{key.id}".encode(), "sha256")


def _mac(key: bytes, told: bytes) -> bytes:
    return hmac.digest(key, told, "sha256")[:_MAC]
