"""The sealer: gives audit entries their place in the tree, and signs each checkpoint once it is safely on disk.

The leader calls `seal` every second or so. A crash between commit and signature is mended by the next call. Nothing
is ever signed that does not continue what was signed before, in the database or in `instance/checkpoints.txt`.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Connection

from outreach.domain.audit import Checkpoint, Edge, leaf_hash, open_note, sign_note
from outreach.domain.errors import AuditError
from outreach.domain.keys import Keyring
from outreach.services.context import Context
from outreach.store import audit_log

BATCH = 10_000
NOTE_LINES = 5
_TAIL_BYTES = 4096


class LogKey:
    """The log's name and Ed25519 key, as signer and verifier of its checkpoints."""

    def __init__(self, keyring: Keyring) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(keyring.audit_seed)
        self.name = keyring.audit_name
        self.public = self._key.public_key().public_bytes_raw()

    def sign(self, size: int, root: bytes) -> str:
        return sign_note(Checkpoint(self.name, size, root), self.public, self._key.sign)

    def open(self, note: str) -> Checkpoint:
        """The checkpoint in a note of ours. Raises AuditError for any other."""
        return open_note(note, self.name, self.public, self._genuine)

    def _genuine(self, signature: bytes, message: bytes) -> bool:
        try:
            self._key.public_key().verify(signature, message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class Sealed:
    """One batch sealed: the log's size and root after it, how many entries it took, and the signed note."""

    size: int
    root: bytes
    count: int
    note: str


def seal(ctx: Context, epoch: int, *, limit: int = BATCH) -> Sealed | None:
    """Seal what is pending, at most `limit` entries, as the leader of `epoch`; None when nothing waited.

    Raises AuditError when another leader took over, or when the log no longer continues what was signed.
    """
    with ctx.db.reading() as conn:
        newest = audit_log.newest_point(conn)
        if not audit_log.pending_entries(conn, 1) and (newest is None or newest.note is not None):
            return None
    mend(ctx)
    with ctx.db.transaction() as conn:
        audit_log.fence(conn, epoch)
        newest = audit_log.newest_point(conn)
        before = newest.edge if newest else Edge()
        waiting = audit_log.pending_entries(conn, limit)
        if not waiting:
            return None
        leaves = [leaf_hash(audit_log.stored_bytes(row)) for row in waiting]
        after = before.extended(leaves)
        audit_log.add_leaves(conn, before.size, [row.id for row in waiting], leaves)
        audit_log.add_tiles(conn, before.size, after.size)
        audit_log.add_checkpoint(conn, after, epoch=epoch, at=ctx.db.now(conn))
    return Sealed(after.size, after.root, len(leaves), mend(ctx))


def mend(ctx: Context) -> str:
    """Sign what was committed but not signed, bring the checkpoint file up to date; the newest note, "" for none.

    Raises AuditError, and signs nothing, when the log does not continue its last signed checkpoint.
    """
    key = LogKey(ctx.keyring)
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
    return newest


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
