"""The log as mathematics: canonical entries, the Merkle tree over them, its proofs, and signed checkpoints.

Hashing and proofs are RFC 9162 §2.1 (RFC 6962 §2.1), checkpoints C2SP tlog-checkpoint in signed notes, tiles C2SP
tlog-tiles. Nothing here reads a store or a key: leaves, signers and verifiers are arguments.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from outreach.domain.errors import AuditError

TILE = 256
HASH = 32
_quoted = json.encoder.encode_basestring  # what JSONEncoder(ensure_ascii=False) makes of a string
_REMEMBERED = 1000
EMPTY_ROOT = hashlib.sha256(b"").digest()

Subtree = Callable[[int, int], bytes]
"""`subtree(start, end)` is the root over leaves start … end - 1, whose count is at least 1."""


def entry_bytes(
    *,
    nonce: bytes,
    at: int,
    kind: str,
    actor: str,
    contact: bytes | None,
    topic: bytes | None,
    campaign: bytes | None,
    message: bytes | None,
    body: str,
) -> bytes:
    """What is hashed for one entry, for ever: UTF-8 JSON without spaces, keys sorted, binary as lower-case hex.

    `at` is UTC microseconds. `body` is a string that holds JSON itself, byte for byte as stored, so that no two
    divisions of the text into fields give the same bytes. The 128-bit nonce keeps a leaf from being guessed.
    """
    return next(leaf_inputs([(nonce, at, kind, actor, contact, topic, campaign, message, body)]))[1:]


def leaf_inputs(rows: Iterable[Sequence[Any]]) -> Iterator[bytes]:
    """What the leaves of many entries are hashes of: a zero octet, then what `entry_bytes` says, in its order of
    arguments. What entries share is written once.
    """
    quoted, hexed = _Once(_quoted), _Once(_hex)
    for nonce, at, kind, actor, contact, topic, campaign, message, body in rows:
        yield (
            f'\0{{"actor":{quoted[actor]},"at":{at},"body":{quoted[body]},"campaign":{hexed[campaign]},'
            f'"contact":{_hex(contact)},"kind":{quoted[kind]},"message":{_hex(message)},'
            f'"nonce":{_hex(nonce)},"topic":{hexed[topic]}}}'
        ).encode()


class _Once(dict[Any, str]):
    """Remembers how values are written, the last thousand or so."""

    def __init__(self, write: Callable[[Any], str]) -> None:
        super().__init__()
        self._write = write

    def __missing__(self, value: Any) -> str:
        if len(self) >= _REMEMBERED:
            self.clear()
        written = self[value] = self._write(value)
        return written


def _hex(octets: bytes | None) -> str:
    return f'"{octets.hex()}"' if octets else "null"


def leaf_hash(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True)
class Edge:
    """A tree's right edge: the roots of its complete subtrees, largest first. All that appending needs."""

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def extended(self, leaves: Iterable[bytes]) -> "Edge":
        """The edge after appending leaf hashes; one node hash a leaf on average."""
        size, stack = self.size, list(self.hashes)
        for leaf in leaves:
            stack.append(leaf)
            size += 1
            bits = size
            while not bits & 1:
                right = stack.pop()
                stack[-1] = node_hash(stack[-1], right)
                bits >>= 1
        return Edge(size, tuple(stack))

    @property
    def root(self) -> bytes:
        if not self.hashes:
            return EMPTY_ROOT
        root = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            root = node_hash(left, root)
        return root

    def to_bytes(self) -> bytes:
        return b"".join(self.hashes)

    @classmethod
    def from_bytes(cls, size: int, packed: bytes) -> "Edge":
        """Raises AuditError when `packed` cannot be the edge of a tree of `size` leaves."""
        if len(packed) != HASH * size.bit_count():
            raise AuditError(f"The stored edge of the tree at size {size} has the wrong length.")
        return cls(size, split_hashes(packed))


def split_hashes(packed: bytes) -> tuple[bytes, ...]:
    """The 32-byte hashes that stand one after another in `packed`."""
    return tuple(packed[i : i + HASH] for i in range(0, len(packed), HASH))


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root over leaf hashes."""
    return Edge().extended(leaves).root


def subtree_of(leaves: Sequence[bytes]) -> Subtree:
    """A Subtree over leaf hashes held in memory."""

    def subtree(start: int, end: int) -> bytes:
        return root_of(leaves[start:end])

    return subtree


def inclusion_proof(subtree: Subtree, index: int, size: int) -> list[bytes]:
    """The path from leaf `index` to the root of the first `size` leaves (RFC 9162 §2.1.3.1)."""
    if not 0 <= index < size:
        raise ValueError("no such leaf in a tree of this size")
    start, end, path = 0, size, []
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(subtree(middle, end))
            end = middle
        else:
            path.append(subtree(start, middle))
            start = middle
    return path[::-1]


def consistency_proof(subtree: Subtree, old: int, new: int) -> list[bytes]:
    """That the first `old` leaves are the beginning of the first `new` (RFC 9162 §2.1.4.1). 0 < old ≤ new."""
    if not 0 < old <= new:
        raise ValueError("sizes must grow from at least 1")
    start, end, path, whole = 0, new, [], True
    while old != end:
        middle = start + _split(end - start)
        if old <= middle:
            path.append(subtree(middle, end))
            end = middle
        else:
            path.append(subtree(start, middle))
            start, whole = middle, False
    if not whole:
        path.append(subtree(start, end))
    return path[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Whether `proof` shows `leaf` at `index` in the tree of `size` leaves under `root` (RFC 9162 §2.1.3.2)."""
    if not 0 <= index < size:
        return False
    position, last, found = index, size - 1, leaf
    for step in proof:
        if last == 0:
            return False
        if position & 1 or position == last:
            found = node_hash(step, found)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            found = node_hash(found, step)
        position, last = position >> 1, last >> 1
    return last == 0 and found == root


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows the tree of `old` leaves is the beginning of that of `new` (RFC 9162 §2.1.4.2)."""
    if old == new:
        return not proof and old_root == new_root
    if not 0 < old < new:
        return False
    steps = list(proof)
    if not old & (old - 1):  # a power of two: its root is a node of the new tree, so the proof leaves it out
        steps.insert(0, old_root)
    if not steps:
        return False
    position, last = old - 1, new - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    first = second = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            first, second = node_hash(step, first), node_hash(step, second)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            second = node_hash(second, step)
        position, last = position >> 1, last >> 1
    return last == 0 and first == old_root and second == new_root


def _split(count: int) -> int:
    """The largest power of two smaller than `count` (> 1)."""
    return 1 << (count - 1).bit_length() - 1


@dataclass(frozen=True)
class Checkpoint:
    """What a log claims: `root` over its first `size` entries. `origin` is the log's name."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def key_id(name: str, public_key: bytes) -> bytes:
    """Four bytes that name an Ed25519 key in a signed note (C2SP signed-note)."""
    return hashlib.sha256(name.encode() + b"\n\x01" + public_key).digest()[:4]


def sign_note(checkpoint: Checkpoint, public_key: bytes, sign: Callable[[bytes], bytes]) -> str:
    """The checkpoint as a signed note under its origin's name. `sign`: message → 64-byte Ed25519 signature."""
    name = checkpoint.origin
    signed = base64.b64encode(key_id(name, public_key) + sign(checkpoint.text.encode())).decode()
    return f"{checkpoint.text}\n— {name} {signed}\n"


def open_note(note: str, name: str, public_key: bytes, verify: Callable[[bytes, bytes], bool]) -> Checkpoint:
    """The checkpoint in a note that `name` signed. `verify`: (signature, message) → genuine?

    Raises AuditError when the note has another shape, another name or key, or a signature that does not hold.
    """
    try:
        origin, size, root, blank, line, rest = note.split("\n")
        signed = base64.b64decode(line.removeprefix(f"— {name} "), validate=True)
        checkpoint = Checkpoint(origin, int(size), base64.b64decode(root, validate=True))
    except (ValueError, binascii.Error):
        raise AuditError("The checkpoint is not a signed note.") from None
    again = f"{checkpoint.text}\n— {name} {base64.b64encode(signed).decode()}\n"
    if blank or rest or again != note or origin != name or len(checkpoint.root) != HASH:
        raise AuditError("The checkpoint is not a signed note of this log.")
    if signed[:4] != key_id(name, public_key) or not verify(signed[4:], checkpoint.text.encode()):
        raise AuditError("The checkpoint's signature does not hold.")
    return checkpoint


def tile_path(level: int, number: int, width: int = TILE) -> str:
    """Where a tile of hashes is published: `tile/0/x001/x234/067`, partial ones `….p/<width>` (C2SP tlog-tiles)."""
    return f"tile/{level}/{_number(number)}{'' if width == TILE else f'.p/{width}'}"


def bundle_path(number: int, width: int = TILE) -> str:
    """Where the entries under a level-0 tile are kept."""
    return f"tile/entries/{_number(number)}{'' if width == TILE else f'.p/{width}'}"


def bundle(entries: Iterable[bytes]) -> bytes:
    """An entry bundle: each entry after its length as uint16, big-endian. Raises ValueError past 65,535 bytes."""
    packed = []
    for entry in entries:
        if len(entry) > 0xFFFF:
            raise ValueError("an entry is longer than a bundle can hold")
        packed += [len(entry).to_bytes(2, "big"), entry]
    return b"".join(packed)


def _number(number: int) -> str:
    groups = [f"{number % 1000:03}"]
    while number := number // 1000:
        groups.insert(0, f"x{number % 1000:03}")
    return "/".join(groups)
