"""How a log goes from one signing key to the next: an entry both keys signed, right after what the old one vouches for.

The entry (kind `log.key-rotated`) stands at place `size`, first after the old key's last checkpoint, which it names.
Checkpoints up to that size are the old key's, all larger ones the new key's. So who trusts the first key, or any later
one, follows the chain from entry to entry and needs nobody's word for it.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from outreach.domain.cosignatures import LOG_KEY, NoteKey, Verify
from outreach.domain.errors import AuditError

KIND = "log.key-rotated"
_HEADER = "outreach/log-key-rotation/v1"


@dataclass(frozen=True)
class Rotation:
    """From the key `old` to `new` (32 bytes each) of the log `origin`, whose first `size` entries have `root`."""

    origin: str
    size: int
    root: bytes
    old: bytes
    new: bytes

    @property
    def text(self) -> str:
        """What both keys sign: six lines of UTF-8, none of which can be taken for a checkpoint's."""
        old, new = (NoteKey(self.origin, LOG_KEY, key) for key in (self.old, self.new))
        root = base64.b64encode(self.root).decode()
        return f"{_HEADER}\n{self.origin}\n{self.size}\n{root}\n{old}\n{new}\n"


@dataclass(frozen=True)
class Signed:
    """A rotation with both signatures (64 bytes each, Ed25519)."""

    rotation: Rotation
    by_old: bytes
    by_new: bytes

    def holds(self, verify: Verify) -> bool:
        """Whether both keys signed it."""
        message = self.rotation.text.encode()
        pairs = ((self.rotation.old, self.by_old), (self.rotation.new, self.by_new))
        return all(verify(key, signature, message) for key, signature in pairs)

    def body(self) -> dict[str, Any]:
        """The entry's body. Binary in base64."""
        one = self.rotation
        octets = {"root": one.root, "old": one.old, "new": one.new, "by_old": self.by_old, "by_new": self.by_new}
        packed = {name: base64.b64encode(value).decode() for name, value in octets.items()}
        return {"origin": one.origin, "size": one.size, **packed}


def read_rotation(body: Mapping[str, Any]) -> Signed:
    """A rotation from an entry's body, or from the key file; its signatures are not checked here. Raises AuditError."""
    try:
        root, old, new, by_old, by_new = (
            base64.b64decode(body[name], validate=True) for name in ("root", "old", "new", "by_old", "by_new")
        )
        rotation = Rotation(str(body["origin"]), int(body["size"]), root, old, new)
    except (KeyError, TypeError, ValueError):
        raise AuditError("The rotation of the log's key cannot be read.") from None
    if (len(root), len(old), len(new)) != (32, 32, 32):
        raise AuditError("The rotation of the log's key cannot be read.")
    return Signed(rotation, by_old, by_new)
