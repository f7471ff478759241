"""The sealer: gives audit entries their place in the tree, and signs each checkpoint once it is safely on disk.

The leader calls `seal` every second or so. A crash between commit and signature is mended by the next call. Nothing
is ever signed that does not continue what was signed before, in the database or in `instance/checkpoints.txt`.
"""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy import Connection

from outreach.domain.audit import Checkpoint, Edge, open_note, sign_note
from outreach.domain.cosignatures import LOG_KEY, NoteKey
from outreach.domain.errors import AuditError
from outreach.domain.keys import Keyring
from outreach.domain.rotation import KIND as ROTATED
from outreach.domain.rotation import Signed
from outreach.domain.tiles import grow
from outreach.services.context import Context
from outreach.store import audit_log, audit_tiles
from outreach.store.audit import Entry, record

BATCH = 10_000
NOTE_LINES = 5
_TAIL_BYTES = 4096


def is_genuine(public: bytes, signature: bytes, message: bytes) -> bool:
    """Whether an Ed25519 signature holds (RFC 8032). `public`: 32 bytes."""
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


class LogKey:
    """Signer and verifier of the log's checkpoints. `former`: rotations, oldest first, as the key file keeps them."""

    def __init__(self, keyring: Keyring) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(keyring.audit_seed)
        self.name = keyring.audit_name
        self.public = self._key.public_key().public_bytes_raw()
        self.former: tuple[Signed, ...] = keyring.audit_former

    @property
    def verifiers(self) -> tuple[NoteKey, ...]:
        """The public keys, newest first."""
        keys = (self.public, *(one.rotation.old for one in reversed(self.former)))
        return tuple(NoteKey(self.name, LOG_KEY, key) for key in keys)

    def sign(self, size: int, root: bytes) -> str:
        """The signed note. Raises AuditError for a size that a former key vouches for."""
        if any(size <= one.rotation.size for one in self.former):
            raise AuditError(f"The log's key was changed after size {size}; this one signs larger logs only.")
        return sign_note(Checkpoint(self.name, size, root), self.public, self._key.sign)

    def open(self, note: str) -> Checkpoint:
        """The checkpoint in a note of ours, signed by the key its size belongs to. Raises AuditError for any other."""
        public = self._key_for(note)
        return open_note(note, self.name, public, lambda signature, message: is_genuine(public, signature, message))

    def next_after(self, size: int) -> Signed | None:
        """The rotation whose entry must be the next in a log of `size`, if the key changes there."""
        return next((one for one in self.former if one.rotation.size == size), None)

    def must_follow(self, size: int, root: bytes) -> None:
        """Raises AuditError unless a rotation at `size` continues just this tree."""
        due = self.next_after(size)
        if due is not None and due.rotation.root != root:
            raise AuditError("The log is not the one its former key vouched for; sealing stopped. Run audit verify.")

    def _key_for(self, note: str) -> bytes:
        try:
            size = int(note.split("\n", 2)[1])
        except (AttributeError, IndexError, ValueError):
            return self.public
        return next((one.rotation.old for one in self.former if size <= one.rotation.size), self.public)


@dataclass(frozen=True)
class Sealed:
    """One batch sealed: the log's size and root after it, how many entries it took, and the signed note."""

    size: int
    root: bytes
    count: int
    note: str


@dataclass(frozen=True)
class _Mended:
    """The log as it is signed: its right edge, the newest note, and bytes a power cut left after it in the file."""

    edge: Edge
    note: str
    torn: int


def seal(ctx: Context, epoch: int, *, limit: int = BATCH) -> Sealed | None:
    """Seal what is pending, at most `limit` entries, as the leader of `epoch`; None when nothing waited.

    Raises AuditError when another leader took over, or when the log no longer continues what was signed.
    """
    key = LogKey(ctx.keyring)
    if not _has_work(ctx, key):
        return None
    signed = _mend(ctx, key)
    with ctx.db.transaction() as conn:
        audit_log.fence(conn, epoch)
        _must_stand(conn, key, signed.edge)
        waiting = _next(ctx, conn, key, signed.edge.size, limit)
        if not waiting:
            return None
        after = _place(conn, signed.edge, waiting)
        audit_log.add_checkpoint(conn, after, epoch=epoch, at=ctx.db.now(conn))
    root = after.root  # of the hashes just made, not of what the tables say by now: it continues what was signed
    note = key.sign(after.size, root)
    with ctx.db.transaction() as conn:
        audit_log.add_note(conn, after.size, note)
    _keep(checkpoint_file(ctx), note, signed.torn)
    return Sealed(after.size, root, len(waiting), note)


def mend(ctx: Context) -> str:
    """Sign what was committed but not signed, bring the checkpoint file up to date; the newest note, "" for none.

    Raises AuditError, and signs nothing, when the log does not continue its last signed checkpoint.
    """
    return _mend(ctx, LogKey(ctx.keyring)).note


def _has_work(ctx: Context, key: LogKey) -> bool:
    with ctx.db.reading() as conn:
        newest = audit_log.newest_point(conn)
        if newest is not None and newest.note is None:
            return True
        return audit_log.is_pending(conn) or key.next_after(newest.size if newest else 0) is not None


def _must_stand(conn: Connection, key: LogKey, edge: Edge) -> None:
    """Raises AuditError unless the log ends where it was signed last."""
    newest = audit_log.newest_point(conn)
    if (newest.edge if newest else Edge()) != edge:
        raise AuditError("Somebody else worked on the log meanwhile. Nothing was sealed.")
    key.must_follow(edge.size, edge.root)


def _next(ctx: Context, conn: Connection, key: LogKey, size: int, limit: int) -> Sequence[Any]:
    """What is sealed next: the oldest that waits, or a change of the log's key alone where it has its place."""
    due = key.next_after(size)
    if due is None:
        return audit_log.pending_entries(conn, limit)
    record(conn, ctx.db.now(conn), Entry(kind=ROTATED, actor="console", body=due.body()))
    return audit_log.newest_pending(conn, ROTATED)


def _place(conn: Connection, edge: Edge, waiting: Sequence[Any]) -> Edge:
    """Give entries their places after `edge`, with the tiles they fill. Returns the edge after them."""
    leaves = audit_log.leaves_of(waiting)
    after, roots = grow(edge, leaves)
    audit_log.add_leaves(conn, edge.size, [row[0] for row in waiting], leaves)
    audit_tiles.add_full_tiles(conn, edge.size, leaves, roots)
    return after


def _mend(ctx: Context, key: LogKey) -> _Mended:
    kept, torn = newest_kept(checkpoint_file(ctx), key)
    notes: list[tuple[int, str]] = []
    with ctx.db.reading() as conn:
        signed = audit_log.newest_point(conn, signed=True)
        last = _last_signed(conn, key, signed, kept)
        for point in audit_log.unsigned_points(conn, last.size):
            last = last.extended(audit_log.leaf_hashes(conn, last.size, point.size))
            if last != point.edge or last.root != point.root:
                raise AuditError(f"The log was changed below entry {point.size}; sealing stopped. Run audit verify.")
            notes.append((point.size, key.sign(point.size, point.root)))
    if notes:
        with ctx.db.transaction() as conn:
            for size, note in notes:
                audit_log.add_note(conn, size, note)
    newest = notes[-1][1] if notes else (signed.note or "" if signed else "")
    if newest and (kept is None or kept.size < last.size):
        _keep(checkpoint_file(ctx), newest, torn)
        torn = 0
    return _Mended(last, newest, torn)


def checkpoint_file(ctx: Context) -> Path:
    """Where every signed checkpoint is kept outside the database."""
    return ctx.settings.instance / "checkpoints.txt"


def newest_kept(path: Path, key: LogKey) -> tuple[Checkpoint | None, int]:
    """The newest checkpoint in the file, and how many bytes after it a power cut left half written.

    Raises AuditError when that checkpoint is not ours.
    """
    if not path.exists():
        return None, 0
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        lines = file.read().splitlines(keepends=True)
    ends = [i for i, line in enumerate(lines) if line.startswith("— ".encode()) and line.endswith(b"\n")]
    if not ends:
        return None, sum(map(len, lines))
    whole = b"".join(lines[max(0, ends[-1] + 1 - NOTE_LINES) : ends[-1] + 1])
    return key.open(whole.decode(errors="replace")), sum(map(len, lines[ends[-1] + 1 :]))


def kept_notes(path: Path) -> Iterator[str]:
    """Every note the checkpoint file holds at the moment of this call, oldest first, read one at a time."""
    return _notes(path, path.stat().st_size if path.exists() else 0)


def _notes(path: Path, left: int) -> Iterator[str]:
    if not left:
        return
    lines: list[str] = []
    with path.open("rb") as file:
        while left > 0 and (line := file.readline(left)):
            left -= len(line)
            lines.append(line.decode(errors="replace"))
            if len(lines) == NOTE_LINES:
                yield "".join(lines)
                lines.clear()
    if lines:
        yield "".join(lines)


def _last_signed(conn: Connection, key: LogKey, signed: audit_log.SealedPoint | None, kept: Checkpoint | None) -> Edge:
    """The edge of the last signed tree, after checking that database and file agree on it."""
    if signed is not None:
        claimed = key.open(signed.note or "")
        if (claimed.size, claimed.root) != (signed.size, signed.root) or signed.edge.root != signed.root:
            raise AuditError("The newest signed checkpoint was changed in the database; sealing stopped.")
    if kept is not None:
        stored = audit_log.point_at(conn, kept.size)
        if stored is None or stored.root != kept.root:
            raise AuditError(
                f"The log in the database does not continue the checkpoint of size {kept.size} in checkpoints.txt; "
                "sealing stopped, entries are kept and wait. Run audit verify."
            )
        if signed is None or signed.size < kept.size:
            return stored.edge
    return signed.edge if signed else Edge()


def _keep(path: Path, note: str, torn: int) -> None:
    with path.open("ab") as file:
        file.truncate(file.tell() - torn)
        file.write(note.encode())
        file.flush()
        os.fsync(file.fileno())
