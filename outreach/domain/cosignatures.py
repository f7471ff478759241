"""A witness's word on a checkpoint: cosignatures of C2SP tlog-cosignature, and the keys they are checked with.

Only the Ed25519 kind (`cosignature/v1`). Keys are written as signed notes write them (C2SP signed-note):
`<name>+<key id, 8 hex digits>+<base64 of the kind's byte and the key>`.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from outreach.domain.errors import AuditError

LOG_KEY = 0x01
"""What signs a log's own checkpoints: Ed25519."""
COSIGNER = 0x04
"""What signs cosignatures: Ed25519 with a time."""

Verify = Callable[[bytes, bytes, bytes], bool]
"""`verify(public key, signature, message)`: whether the Ed25519 signature holds."""

_NAME = re.compile(r"[^\s+]+")
_TIME = 8


@dataclass(frozen=True)
class NoteKey:
    """A public key with its name. `kind`: LOG_KEY or COSIGNER; `public`: 32 bytes, Ed25519."""

    name: str
    kind: int
    public: bytes

    @property
    def id(self) -> bytes:
        """Four bytes that name the key in a signature line."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(bytes([self.kind]) + self.public).decode()}"


@dataclass(frozen=True)
class Cosignature:
    """One line of a witness that verified. `at`: when it was made, in seconds since 1970."""

    line: str
    at: int


def read_key(text: str) -> NoteKey:
    """A key as it is written. Raises ValueError, whose text says what is wrong without repeating the key."""
    name, _, rest = text.strip().partition("+")
    written, _, packed = rest.partition("+")
    try:
        octets = base64.b64decode(packed, validate=True)
    except binascii.Error:
        octets = b""
    if not _NAME.fullmatch(name) or len(octets) != 33 or octets[0] not in {LOG_KEY, COSIGNER}:
        raise ValueError("must be an Ed25519 key as name+id+base64 (C2SP signed-note)")
    key = NoteKey(name, octets[0], octets[1:])
    if key.id.hex() != written:
        raise ValueError("the id does not fit name and key: something was mistyped")
    return key


def body_of(note: str) -> str:
    """What is signed of a note: all above the empty line. Raises AuditError where there is none."""
    body, found, _ = note.partition("\n\n")
    if not found:
        raise AuditError("The checkpoint is not a signed note.")
    return body + "\n"


def find_cosignature(note: str, answer: str, key: NoteKey, verify: Verify) -> Cosignature | None:
    """The first line of `answer` that is a cosignature of `note` by `key`; lines of other keys are passed over."""
    for line, octets in _lines(answer, key):
        at = int.from_bytes(octets[:_TIME], "big")
        message = f"cosignature/v1\ntime {at}\n{body_of(note)}".encode()
        if verify(key.public, octets[_TIME:], message):
            return Cosignature(line, at)
    return None


def _lines(answer: str, key: NoteKey) -> Iterator[tuple[str, bytes]]:
    """Signature lines that say they are of `key`, with what follows the key's id."""
    start = f"— {key.name} "
    for line in answer.split("\n"):
        try:
            octets = base64.b64decode(line.removeprefix(start), validate=True) if line.startswith(start) else b""
        except binascii.Error:
            continue
        if octets[:4] == key.id and len(octets) == 4 + _TIME + 64:
            yield line, octets[4:]
