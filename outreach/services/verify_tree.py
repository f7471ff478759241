"""Recomputes the tree from the entries: leaves, tiles, roots, checkpoints, their signatures and the file beside it."""

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection

from outreach.domain.audit import HASH, TILE, Edge, leaf_hash, root_of, split_hashes
from outreach.domain.errors import AuditError
from outreach.services.findings import Findings
from outreach.services.seal import LogKey
from outreach.store import audit_replay, audit_tiles
from outreach.store.audit_log import stored_bytes

_SLACK = 3_600_000_000
"""Microseconds by which an entry may be dated before one that stands above it: transactions take their time."""


@dataclass(frozen=True)
class Claim:
    """That the tree of `size` leaves has `root`, and where this is said. `edge` where it is said too."""

    size: int
    root: bytes
    where: str
    edge: bytes | None = None


@dataclass
class TreeChecked:
    """How far the tree was checked."""

    size: int = 0
    checkpoints: int = 0


def check_tree(
    conn: Connection, key: LogKey, kept: Iterator[str], findings: Findings, witnessed: Sequence[str] = ()
) -> TreeChecked:
    """Walk the log once, first leaf to last. `kept`, `witnessed`: signed checkpoints from outside the database."""
    done = TreeChecked()
    claims = heapq.merge(
        _stored_claims(conn, key, findings, done),
        _kept_claims(key, kept, findings),
        _witnessed_claims(key, witnessed, findings),
        key=attrgetter("size"),
    )
    walk, order = _Walk(conn, findings, claims), _Order(findings)
    for page in audit_replay.leaves(conn):
        findings.must_hurry()
        for row in page:
            walk.add(row.position, _check_entry(row, findings))
            order.add(row.position, row.at)
    walk.finish()
    order.finish()
    for size in audit_replay.stray_notes(conn):
        findings.add(f"the signed checkpoint of size {size} has lost its row")
    done.size = walk.edge.size
    return done


def _check_entry(row: Any, findings: Findings) -> bytes:
    """Compare an entry with its leaf; returns the leaf's hash, or 32 zero bytes where it has none."""
    if not isinstance(row.hash, bytes) or len(row.hash) != HASH:
        findings.add("its hash was changed into something that is none", row.position)
        return bytes(HASH)
    if row.id is None:
        findings.add("it was deleted; only its hash is left in the tree", row.position)
    elif _leaf_of(row) != row.hash:
        findings.add(f"it was changed or moved after it was sealed (now {row.kind!a} by {row.actor!a})", row.position)
    return row.hash


def _leaf_of(row: Any) -> bytes | None:
    try:
        return leaf_hash(stored_bytes(row))
    except (AttributeError, TypeError, ValueError):  # SQLite lets a column hold another type, or broken letters
        return None


def _stored_claims(conn: Connection, key: LogKey, findings: Findings, done: TreeChecked) -> Iterator[Claim]:
    epoch = unsigned = 0
    for size, root, edge, its_epoch, note in audit_replay.checkpoints(conn):
        done.checkpoints += 1
        if its_epoch < epoch:
            findings.add(f"the checkpoint of size {size} was made by a leader already replaced")
        epoch = max(epoch, its_epoch)
        if note is None:
            unsigned = unsigned or size
        else:
            if unsigned:
                findings.add(f"the checkpoint of size {unsigned} was never signed, but a later one was")
                unsigned = 0
            yield from _opened(key, note, f"the signed checkpoint of size {size}", findings, size)
        yield Claim(size, root, f"the checkpoint of size {size}", edge)


def _kept_claims(key: LogKey, kept: Iterator[str], findings: Findings) -> Iterator[Claim]:
    last = 0
    for number, note in enumerate(kept, 1):
        for claim in _opened(key, note, f"note {number} of checkpoints.txt", findings):
            if claim.size < last:
                findings.add(f"note {number} of checkpoints.txt is smaller than the one before it")
            else:
                last = claim.size
                yield claim


def _witnessed_claims(key: LogKey, notes: Sequence[str], findings: Findings) -> list[Claim]:
    """A witness keeps the note with cosignatures below ours; only ours is asked for here."""
    found: list[Claim] = []
    for note in notes:
        lines = note.splitlines(keepends=True)
        ours = [line for line in lines if not line.startswith("— ") or line.startswith(f"— {key.name} ")]
        found += _opened(key, "".join(ours), "a witnessed checkpoint", findings)
    return sorted(found, key=attrgetter("size"))


def _opened(key: LogKey, note: str, where: str, findings: Findings, size: int | None = None) -> Iterator[Claim]:
    try:
        checkpoint = key.open(note)
    except (AuditError, AttributeError, TypeError) as error:
        findings.add(f"{where}: {error if isinstance(error, AuditError) else 'it cannot be read'}")
        return
    if size is not None and checkpoint.size != size:
        findings.add(f"{where} was signed for size {checkpoint.size}")
        return
    yield Claim(checkpoint.size, checkpoint.root, where)


class _Order:
    """Looks for entries that are dated long before what stands above them; those that follow each other are one."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._latest = 0
        self._first: int | None = None
        self._last = -1

    def add(self, position: int, at: Any) -> None:
        is_late = isinstance(at, int) and at < self._latest - _SLACK
        if not is_late or position != self._last + 1:
            self.finish()
        if is_late:
            self._first = position if self._first is None else self._first
            self._last = position
        elif isinstance(at, int):
            self._latest = max(self._latest, at)

    def finish(self) -> None:
        if self._first is not None:
            upto = f", as are all up to entry {self._last}" if self._last > self._first else ""
            what = f"it is dated back: more than an hour before entries that stand above it{upto}"
            self._findings.add(what, self._first)
        self._first, self._last = None, -1


class _Walk:
    """The growing tree, compared with each tile and claim as it comes to its size."""

    def __init__(self, conn: Connection, findings: Findings, claims: Iterator[Claim]) -> None:
        self._conn, self._findings, self._claims = conn, findings, claims
        self._next = next(claims, None)
        self._tiles = _Tiles(conn, findings)
        self._agreed = 0
        self._broken = False
        self.edge = Edge()
        self._waiting: list[bytes] = []
        self._compare()

    def add(self, position: int, leaf: bytes) -> None:
        if position < self._size:
            self._findings.add("it stands before the beginning of the log", position)
            return
        if position > self._size:
            self._fill(position)
        self._append(leaf)

    def finish(self) -> None:
        """What is said beyond the last leaf, and what nobody vouches for."""
        self._settle()
        if self._next is not None:
            self._findings.add(
                f"{self._next.where} says so, but the log ends before entry {self.edge.size}: entries were cut off",
                self.edge.size,
            )
            self._broken = True
        elif self._agreed < self.edge.size and not self._broken:
            self._findings.add("from here on no checkpoint vouches for the entries in the tree", self._agreed)
        self._tiles.finish()

    @property
    def _size(self) -> int:
        return self.edge.size + len(self._waiting)

    def _append(self, leaf: bytes) -> None:
        self._waiting.append(leaf)
        self._tiles.add(leaf)
        if self._next is not None and self._next.size == self._size:
            self._settle()
            self._compare()
        elif len(self._waiting) >= audit_replay.PAGE:
            self._settle()

    def _fill(self, upto: int) -> None:
        """Places whose leaf is gone: said once each run, and taken from the tile where there is one."""
        first = self._size
        last = upto - 1
        self._findings.add(f"it is missing from the tree, as is all up to entry {last}" if last > first
                           else "it is missing from the tree", first)  # fmt: skip
        if upto - first > 16 * TILE:
            self._findings.add("too much is missing to go on with the tree", first)
            self._broken = True
        for position in range(first, upto if not self._broken else min(upto, first + 1)):
            packed = audit_replay.tile(self._conn, 0, position // TILE) or b""
            whole = len(packed) == TILE * HASH
            self._broken = self._broken or not whole
            self._append(split_hashes(packed)[position % TILE] if whole else bytes(HASH))

    def _settle(self) -> None:
        self.edge = self.edge.extended(self._waiting)
        self._waiting.clear()

    def _compare(self) -> None:
        while self._next is not None and self._next.size <= self.edge.size:
            claim, self._next = self._next, next(self._claims, None)
            if self._broken:
                continue
            if claim.size != self.edge.size or claim.root != self.edge.root:
                self._disagree(claim)
            elif claim.edge is not None and claim.edge != self.edge.to_bytes():
                self._findings.add(f"the right edge kept with {claim.where} was changed")
            else:
                self._agreed = claim.size

    def _disagree(self, claim: Claim) -> None:
        """One claim wrong while another of the same size held: it was changed. Else the entries were."""
        if self._agreed == self.edge.size:
            self._findings.add(f"{claim.where} does not fit the entries; it was changed")
            return
        rival = self._next if self._next is not None and self._next.size == self.edge.size else None
        if rival is not None and rival.root == self.edge.root:
            self._findings.add(f"{claim.where} does not fit the entries; it was changed")
            return
        self._findings.add(
            f"from here to entry {self.edge.size - 1} something was changed, put in or taken out: "
            f"{claim.where} has another root",
            self._agreed,
        )
        self._broken = True


class _Tiles:
    """Full tiles as they must be, compared with those stored, at every level."""

    def __init__(self, conn: Connection, findings: Findings) -> None:
        self._conn, self._findings = conn, findings
        self._filling: list[list[bytes]] = [[]]
        self._done = [0]

    def add(self, value: bytes, level: int = 0) -> None:
        if level == len(self._filling):
            self._filling.append([])
            self._done.append(0)
        filling = self._filling[level]
        filling.append(value)
        if len(filling) == TILE:
            self._check(level, filling)
            root = root_of(filling)
            if self._nodes(level + 1, self._done[level]) != [root]:
                first = self._done[level] * TILE ** (level + 1)
                self._findings.add(f"the hash over tile {self._done[level]} of level {level} is not its root", first)
            filling.clear()
            if audit_replay.node(self._conn, level + 1, self._done[level]) != root:
                what = f"the hash of tile {self._done[level]} of level {level}, which begins here, is not what was kept"
                self._findings.add(what, self._done[level] * TILE ** (level + 1))
            self._done[level] += 1
            self.add(root, level + 1)

    def finish(self) -> None:
        for level in range(len(self._done) + 1):
            done = self._done[level] if level < len(self._done) else 0
            for _, number in audit_replay.tiles_from(self._conn, level, done):
                self._findings.add(f"tile {number} of level {level} stands beyond the end of the tree")
            if self._nodes(level + 1, done):
                self._findings.add(f"a hash of level {level + 1} stands beyond the end of the tree")

    def _nodes(self, level: int, number: int) -> list[bytes]:
        return audit_tiles.node_hashes(self._conn, level, number, number + 1)

    def _check(self, level: int, hashes: list[bytes]) -> None:
        number = self._done[level]
        stored = audit_replay.tile(self._conn, level, number)
        if stored == b"".join(hashes):
            return
        first = number * TILE ** (level + 1)
        if stored is None:
            self._findings.add(f"tile {number} of level {level}, which begins here, is missing", first)
            return
        kept = split_hashes(stored)
        wrong = [n for n, value in enumerate(hashes) if n >= len(kept) or kept[n] != value] or [TILE]
        place = first + wrong[0] * TILE**level
        self._findings.add(f"tile {number} of level {level} and the tree hold different hashes from here", place)
