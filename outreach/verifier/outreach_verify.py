"""Checks an export of Outreach's log, or the published log itself, trusting neither the server nor its database.

    outreach-verify export.zip --witnessed checkpoint.txt [--earlier old.zip] [--key KEY] [--log URL] [--json]
    outreach-verify https://mail.example.org/log --key KEY --witnessed checkpoint.txt

`--witnessed`: checkpoints that somebody kept off the host, any number in a file, the file any number of times. Whoever
holds the server's key can sign another history; only what was kept elsewhere tells it from the first. `--earlier`: an
export made before, to name the very entries that differ. `--key`: the log's key as it is published
(name+number+base64); without it the export's own is taken, and its number printed to be compared.
`--log`: where the log is published, to compare an export with it. Needs Python 3.10 and `cryptography`, nothing else.

Exit code: 0 intact; 1 something is wrong; 2 cannot be read, or asked wrongly; 3 nothing wrong was found, but something
that was asked for could not be compared. Formats: RFC 9162 §2.1, C2SP tlog-tiles, tlog-checkpoint and signed-note.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import sys
import urllib.parse
import urllib.request
import zipfile
from bisect import bisect_right, insort
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

TILE, HASH = 256, 32
SLACK = 3_600_000_000  # microseconds an entry may be dated before one that stands above it: slow transactions
GRACE = 900_000_000  # microseconds within which mail decided before a change may still be handed off and recorded
MANIFEST = "manifest.note"
DECODE = json.JSONDecoder().raw_decode
sha256 = hashlib.sha256
Placed = Iterator[tuple[int, bytes]]


class UnreadableError(Exception):
    """What was given is no export, no checkpoint or no log."""


# --- hashes ---------------------------------------------------------------------------------------------------------


def entries_of(bundle: bytes) -> list[bytes]:
    """The entries of a bundle, each after its length in two bytes."""
    found: list[bytes] = []
    place, end, add = 0, len(bundle), found.append
    while place + 1 < end:
        stop = place + 2 + (bundle[place] << 8 | bundle[place + 1])
        add(bundle[place + 2 : stop])
        place = stop
    if place != end:
        raise UnreadableError("an entry bundle ends in the middle of an entry")
    return found


def parsed(text: str) -> Any:
    """A JSON value and nothing after it. Raises ValueError."""
    value, end = DECODE(text)
    if end != len(text):
        raise ValueError("more than a value")
    return value


def leaf_hashes(entries: Iterable[bytes]) -> list[bytes]:
    hashed = sha256
    return [hashed(b"\0" + entry).digest() for entry in entries]


def fold(hashes: list[bytes]) -> bytes:
    """The root over a power of two of hashes."""
    hashed = sha256
    while len(hashes) > 1:
        pairs = iter(hashes)
        hashes = [hashed(b"\1" + left + right).digest() for left, right in zip(pairs, pairs, strict=True)]
    return hashes[0]


def extend(edge: list[bytes], size: int, leaves: list[bytes]) -> int:
    """Append leaf hashes to a tree of `size` known by its right edge, largest first, in place. Returns the new size."""
    done, count = 0, len(leaves)
    while done < count:
        span = 1 << ((count - done).bit_length() - 1)
        span = min(span, size & -size) if size else span
        edge.append(fold(leaves[done : done + span]))
        done, size = done + span, size + span
        whole = size // span
        while not whole & 1:
            right = edge.pop()
            edge[-1] = sha256(b"\1" + edge[-1] + right).digest()
            whole >>= 1
    return size


def root_of(edge: Sequence[bytes]) -> bytes:
    if not edge:
        return sha256(b"").digest()
    root = edge[-1]
    for left in reversed(edge[:-1]):
        root = sha256(b"\1" + left + root).digest()
    return root


def root_by_path(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes | None:
    """The root an inclusion proof leads to (RFC 9162 §2.1.3.2); None when it has the wrong length."""
    last, found = size - 1, leaf
    for step in path:
        if last == 0:
            return None
        if index & 1 or index == last:
            found = sha256(b"\1" + step + found).digest()
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            found = sha256(b"\1" + found + step).digest()
        index, last = index >> 1, last >> 1
    return found if last == 0 else None


def is_continued(old: int, old_root: bytes, new: int, new_root: bytes, path: Sequence[bytes]) -> bool:
    """Whether a consistency proof shows the tree of `old` to be the beginning of that of `new` (RFC 9162 §2.1.4.2)."""
    if old == new:
        return old_root == new_root
    steps = [*([old_root] if not old & (old - 1) else []), *path]
    if not 0 < old < new or not steps:
        return False
    index, last = old - 1, new - 1
    while index & 1:
        index, last = index >> 1, last >> 1
    first = second = steps[0]
    for step in steps[1:]:
        if last == 0:
            return False
        if index & 1 or index == last:
            first, second = sha256(b"\1" + step + first).digest(), sha256(b"\1" + step + second).digest()
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            second = sha256(b"\1" + second + step).digest()
        index, last = index >> 1, last >> 1
    return last == 0 and (first, second) == (old_root, new_root)


def split_hashes(packed: bytes) -> list[bytes]:
    return [packed[place : place + HASH] for place in range(0, len(packed), HASH)]


def tile_name(level: int | str, number: int, width: int = TILE) -> str:
    groups = [f"{number % 1000:03}"]
    while number := number // 1000:
        groups.insert(0, f"x{number % 1000:03}")
    return f"tile/{level}/{'/'.join(groups)}{'' if width == TILE else f'.p/{width}'}"


# --- signatures -----------------------------------------------------------------------------------------------------


class Keys:
    """The log's keys, each with the sizes it may sign for: those given, and those a rotation that both signed names."""

    def __init__(self, lines: Iterable[str], rotations: Iterable[dict[str, Any]] = ()) -> None:
        self.known: dict[tuple[str, bytes], tuple[Ed25519PublicKey, int, float]] = {}
        self.rotated: dict[int, dict[str, Any]] = {}
        for line in lines:
            self._add(line, 0, float("inf"))
        waiting = list(rotations)
        while joined := [one for one in waiting if self._follow(one)]:
            waiting = [one for one in waiting if one not in joined]

    def _add(self, line: str, least: int, most: float) -> None:
        try:
            name, number, packed = line.strip().split("+", 2)
            key = base64.b64decode(packed, validate=True)
            if key[:1] != b"\1" or key_number(name, key) != number:
                raise ValueError
            self.known[name, bytes.fromhex(number)] = Ed25519PublicKey.from_public_bytes(key[1:]), least, most
        except ValueError:
            raise UnreadableError("a key of the log is not in the form name+number+base64") from None

    def _follow(self, one: dict[str, Any]) -> bool:
        """From a key that is known to the one before or after it, if both signed that one took the other's place."""
        try:
            name, size = str(one["origin"]), int(one["size"])
            kinds = [b"\1" + base64.b64decode(one[which]) for which in ("old", "new")]
            numbers = [key_number(name, key) for key in kinds]
            lines = [
                f"{name}+{number}+{base64.b64encode(key).decode()}" for number, key in zip(numbers, kinds, strict=True)
            ]
            text = "\n".join(("outreach/log-key-rotation/v1", name, str(size), one["root"], *lines, "")).encode()
            held = [self.known.get((name, bytes.fromhex(number))) for number in numbers]
            if held == [None, None]:
                return False
            for key, which in zip(kinds, ("by_old", "by_new"), strict=True):
                Ed25519PublicKey.from_public_bytes(key[1:]).verify(base64.b64decode(one[which]), text)
        except (KeyError, TypeError, ValueError, InvalidSignature):
            return False
        self._add(lines[0], held[0][1] if held[0] else 0, size)
        self._add(lines[1], size + 1, held[1][2] if held[1] else float("inf"))
        self.rotated[size] = one
        return True

    def open(self, note: str, size: int | None = None) -> str:
        """The text of a note that a key signed which may, for a log of `size`; None: the newest may."""
        text, _, lines = note.rpartition("\n\n")
        for line in lines.splitlines():
            dash, _, rest = line.partition(" ")
            name, _, packed = rest.rpartition(" ")
            try:
                signature = base64.b64decode(packed, validate=True)
                key, least, most = self.known[name, signature[:4]]
                key.verify(signature[4:], f"{text}\n".encode())
                if dash == "—" and (least <= size <= most if size is not None else most == float("inf")):
                    return f"{text}\n"
            except (KeyError, ValueError, InvalidSignature):
                continue
        raise UnreadableError("a note bears no signature of this log that holds")


def key_number(name: str, key: bytes) -> str:
    return sha256(f"{name}\n".encode() + key).digest()[:4].hex()


@dataclass(frozen=True, order=True)
class Claim:
    """That the log's first `size` entries have `root`. `where`: who says so."""

    size: int
    root: bytes
    where: str
    is_witnessed: bool = False

    @property
    def told(self) -> str:
        return f"{self.where} of {self.size} entries"


def opened(keys: Keys, note: str, where: str, is_witnessed: bool = False) -> Claim:
    try:
        _origin, size, root, *_ = note.split("\n")
        claim = Claim(int(size), base64.b64decode(root, validate=True), where, is_witnessed)
        keys.open(note, claim.size)
    except (ValueError, UnreadableError):
        raise UnreadableError(f"{where} is no checkpoint that this log's key signed") from None
    return claim


def notes_in(text: str) -> Iterator[str]:
    """Notes that stand one after another: each ends with its signatures."""
    lines: list[str] = []
    for line in text.splitlines(keepends=True):
        if lines and lines[-1].startswith("— ") and not line.startswith("— "):
            yield "".join(lines)
            lines = []
        if lines or line.strip():
            lines.append(line)
    if lines:
        yield "".join(lines)


# --- what is found --------------------------------------------------------------------------------------------------


@dataclass
class Finding:
    """`kind`: altered, removed, inserted, reordered, truncated, forked, back-dated, story, export or signature."""

    kind: str
    what: str
    entry: int | None = None
    last: int | None = None

    def __str__(self) -> str:
        if self.entry is None:
            return f"{self.kind}: {self.what}"
        upto = f" to {self.last}" if self.last not in {None, self.entry} else ""
        return f"{self.kind}: entr{'ies' if upto else 'y'} {self.entry}{upto}: {self.what}"


@dataclass
class Report:
    """Everything there is to say. `witnessed`: how many entries the newest checkpoint kept elsewhere covers."""

    size: int = 0
    root: str = ""
    entries: int = 0
    witnessed: int | None = None
    keys: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    uncompared: list[str] = field(default_factory=list)
    story: dict[str, Any] = field(default_factory=dict)

    def add(self, kind: str, what: str, entry: int | None = None, last: int | None = None) -> None:
        """Findings of one kind about entries that follow each other become one."""
        top = self.findings[-1] if self.findings else None
        if top and entry is not None and (top.kind, top.what) == (kind, what) and (top.last or top.entry) == entry - 1:
            top.last = last or entry
        else:
            self.findings.append(Finding(kind, what, entry, last))

    @property
    def code(self) -> int:
        return 1 if self.findings else 3 if self.uncompared else 0


# --- reading --------------------------------------------------------------------------------------------------------


class Export:
    """An export: each file is read once and compared with the signed manifest as it is."""

    def __init__(self, path: Path, given: Sequence[str], report: Report) -> None:
        try:
            self._zip = zipfile.ZipFile(path)
            rotations = json.loads(self._zip.read("rotations.json"))
            self.keys = Keys([*given] or [self._zip.read("key.txt").decode()], rotations)
            note = self._zip.read(MANIFEST).decode()
        except (zipfile.BadZipFile, OSError, KeyError, ValueError):
            raise UnreadableError(f"{path.name} is no whole export") from None
        self._report = report
        self._left: dict[str, str] = {}
        self.facts: dict[str, str] = {}
        try:
            text = self.keys.open(note)
        except UnreadableError:
            report.add("signature", "the manifest of the export is not signed by the log's key")
            text = note.rpartition("\n\n")[0]
        self._list(text)
        self.whole = self.facts.get("what") == "whole"

    def _list(self, text: str) -> None:
        for line in text.splitlines()[1:]:
            name, _, rest = line.partition(" ")
            if name == "file":
                digest, _, path = rest.partition(" ")
                self._left[path] = digest
            else:
                self.facts[name] = rest
        there = set(self._zip.namelist()) - {MANIFEST}
        for path in sorted(there - set(self._left)):
            self._report.add("export", f"{path} was put into the export; its manifest does not name it")
        for path in sorted(set(self._left) - there):
            self._report.add("export", f"{path} was taken out of the export")
        self._left = {path: digest for path, digest in self._left.items() if path in there}

    def read(self, path: str) -> bytes:
        """A file; empty when the export has none of this name."""
        if path not in self._left:
            return b""
        try:
            octets = self._zip.read(path)
        except (zipfile.BadZipFile, OSError, ValueError):
            octets = b""
        self._compare(path, sha256(octets))
        return octets

    def lines(self, path: str) -> Iterator[bytes]:
        """The lines of a file, one at a time."""
        if path not in self._left:
            return
        digest = sha256()
        with self._zip.open(path) as file:
            for line in file:
                digest.update(line)
                yield line
        self._compare(path, digest)

    def rest(self) -> None:
        """Look at the files nobody has read yet."""
        for path in list(self._left):
            for _ in self.lines(path):
                pass

    def names(self, start: str) -> list[str]:
        return [path for path in self._left if path.startswith(start)]

    def _compare(self, path: str, digest: Any) -> None:
        if self._left.pop(path) != digest.hexdigest():
            self._report.add("export", f"{path} was changed after the export was made")

    def bundles(self, size: int, *, hashed: bool = True) -> Iterator[tuple[int, list[bytes], list[bytes]]]:
        """Of a whole export, tile by tile: the first position, the entries, their hashes as they were sealed."""
        for number, width in tiles_of(size):
            hashes = self.read(tile_name(0, number, width)) if hashed else b""
            yield number * TILE, entries_of(self.read(tile_name("entries", number, width))), split_hashes(hashes)

    def chosen(self) -> Iterator[tuple[int, bytes, list[bytes]]]:
        """Of a part: position, entry and the path that proves it."""
        for line in self.lines("entries.jsonl"):
            one = json.loads(line)
            yield one["position"], one["entry"].encode(), split_hashes(base64.b64decode(one["proof"]))

    def entries(self, size: int) -> Iterator[tuple[int, bytes]]:
        """Every entry with its position, of a whole export or a part."""
        if self.whole:
            for first, entries, _ in self.bundles(size, hashed=False):
                yield from enumerate(entries, first)
        else:
            yield from ((position, entry) for position, entry, _ in self.chosen())


def tiles_of(size: int) -> Iterator[tuple[int, int]]:
    """(number, width) of the lowest tiles of a tree."""
    for number in range(-(-size // TILE)):
        yield number, min(TILE, size - number * TILE)


def fetch(base: str, name: str) -> bytes:
    url = f"{base.rstrip('/')}/{name}"
    if urllib.parse.urlsplit(url).scheme not in {"https", "http"}:
        raise UnreadableError("a log is published at an address that begins with https:// or http://")
    try:
        with urllib.request.urlopen(url, timeout=30) as answer:  # noqa: S310  its scheme was looked at
            return bytes(answer.read())
    except OSError:
        raise UnreadableError(f"{name} cannot be fetched from the log") from None


# --- the tree -------------------------------------------------------------------------------------------------------


def check_tree(chunks: Iterable[list[bytes]], claims: list[Claim], report: Report) -> tuple[int, bytes]:
    """Build the tree from all its leaf hashes and compare it with each claim at its size. Returns its size and root."""
    waiting = sorted(claims)
    for one, other in pairwise(waiting):
        if one.size == other.size and one.root != other.root:
            what = f"two roots are signed for the same {one.size} entries: by {one.where} and by {other.where}"
            report.add("forked", what, one.size - 1)
    edge: list[bytes] = []
    size = agreed = 0
    told: set[bool] = set()
    for leaves in chunks:
        done = 0
        while done < len(leaves):
            stop = min(len(leaves), done + waiting[0].size - size) if waiting else len(leaves)
            size = extend(edge, size, leaves[done:stop])
            done = stop
            while waiting and waiting[0].size <= size:
                claim = waiting.pop(0)
                if claim.size == size and claim.root == root_of(edge):
                    agreed = size
                elif claim.is_witnessed not in told and claim.size:
                    told.add(claim.is_witnessed)
                    tell_rewritten(report, claim, agreed)
    for claim in waiting:
        if claim.size > size:
            what = f"the log ends here, before {claim.told} does: cut off or rolled back"
            report.add("truncated", what, size, claim.size - 1)
    return size, root_of(edge)


def tell_rewritten(report: Report, claim: Claim, agreed: int) -> None:
    """A root that differs: the entries were changed after the checkpoint was signed, or it after them."""
    what = f"altered, removed, inserted or reordered since {claim.told} was signed"
    report.add("forked" if claim.is_witnessed else "altered", what, min(agreed, claim.size - 1), claim.size - 1)


def check_whole(export: Export, claims: list[Claim], size: int, story: Story, report: Report) -> None:
    """A whole export: every entry against its hash, the tree against every claim, and what the entries say."""

    def chunks() -> Iterator[list[bytes]]:
        for first, entries, sealed in export.bundles(size):
            found = leaf_hashes(entries)
            if found != sealed:
                compare_leaves(first, entries, found, sealed, report)
            for position, entry in enumerate(entries, first):
                story.add(position, entry)
            report.entries += len(entries)
            yield sealed

    check_tree(chunks(), claims, report)


def compare_leaves(first: int, entries: list[bytes], found: list[bytes], sealed: list[bytes], report: Report) -> None:
    for place in range(max(len(found), len(sealed))):
        if place >= len(found) or not entries[place]:
            is_gone = place >= len(sealed) or not any(sealed[place])
            report.add("removed", "its place is empty" if is_gone else "only its hash is left", first + place)
        elif place >= len(sealed) or found[place] != sealed[place]:
            report.add("altered", "it is not what was sealed in this place", first + place)


def check_part(export: Export, claims: list[Claim], head: Claim, story: Story, report: Report) -> None:
    """Part of a log: each entry by its own proof; then whether the log it is from continues what was witnessed."""
    last = -1
    for position, entry, path in export.chosen():
        if position <= last:
            report.add("reordered", "it does not come after the one before it", position)
        last = position
        report.entries += 1
        if root_by_path(leaf_hashes([entry])[0], position, head.size, path) != head.root:
            report.add("altered", "its proof does not lead to the signed checkpoint", position)
        story.add(position, entry)
    steps = json.loads(export.read("consistency.json") or b"{}")
    for claim in claims:
        path = [base64.b64decode(step) for step in steps.get(str(claim.size), [])]
        if claim.size > head.size:
            what = f"the export's log ends here, before {claim.told} does: cut off or rolled back"
            report.add("truncated", what, head.size, claim.size - 1)
        elif is_continued(claim.size, claim.root, head.size, head.root, path):
            continue
        elif claim.size == head.size or str(claim.size) in steps:
            tell_rewritten(report, claim, 0)
        else:
            report.uncompared.append(
                f"{claim.told}, as this part holds no proof from there: give --log, or a whole export"
            )


def check_log(base: str, keys: Keys, claims: list[Claim], report: Report, held: dict[int, bytes]) -> Claim:
    """The published log: all its lowest tiles. `held`: leaf hashes of an export, by position, to be found in it."""
    head = opened(keys, fetch(base, "checkpoint").decode(errors="replace"), "the published checkpoint")
    claims = [claim for claim in claims if claim.is_witnessed or claim.size <= head.size]
    if ahead := [position for position in held if position >= head.size]:
        report.uncompared.append(f"{len(ahead)} entries that are not published yet, from entry {min(ahead)} on")

    def chunks() -> Iterator[list[bytes]]:
        for number, width in tiles_of(head.size):
            leaves = split_hashes(fetch(base, tile_name(0, number, width)))
            for position in range(number * TILE, number * TILE + width):
                if position in held and held[position] != leaves[position % TILE]:
                    report.add("altered", "the export and the published log differ", position)
            yield leaves

    check_tree(chunks(), [*claims, head], report)
    return head


# --- an earlier export ----------------------------------------------------------------------------------------------


def nonce_of(entry: bytes) -> bytes:
    """What makes an entry itself, wherever it stands: its nonce, as it is written near its end."""
    place = entry.rfind(b'"nonce":"') + 9
    return entry[place : place + 32]


def compare_exports(
    old: Iterator[tuple[int, bytes]], new: Iterator[tuple[int, bytes]], whole: bool, report: Report
) -> None:
    """Name the entries that differ from those of an earlier export. `whole`: the new one holds every entry."""
    before: dict[int, bytes] = {}
    after: dict[int, bytes] = {}
    theirs = next(new, None)
    last = -1
    for position, entry in old:
        last = position
        while theirs and theirs[0] < position:
            after[theirs[0]] = theirs[1]
            theirs = next(new, None)
        if theirs and theirs[0] == position:
            if theirs[1] != entry:
                before[position], after[position] = entry, theirs[1]
            theirs = next(new, None)
        elif whole:
            before[position] = entry
    if before:
        after.update([theirs] if theirs else [])
        after.update(new)
        name_differences(before, {place: entry for place, entry in after.items() if entry}, last, report)


def name_differences(before: dict[int, bytes], after: dict[int, bytes], last: int, report: Report) -> None:
    places = {nonce_of(entry): position for position, entry in after.items()}
    highest = top = -1
    for position, entry in sorted(before.items()):
        place = places.pop(nonce_of(entry), None)
        if place is None:
            report.add("removed", "the earlier export holds it, this log does not", position)
        elif after[place] != entry:
            report.add("altered", "the earlier export says something else", position)
        elif place < highest:
            for one in (top, position) if top >= 0 else (position,):
                report.add("reordered", "it stands elsewhere among its neighbours than in the earlier export", one)
            top = -1
        if place is not None and place > highest:
            highest, top = place, position
    for place in sorted(places.values()):
        if place <= last:
            report.add("inserted", "the earlier export does not hold it", place)


# --- what the entries say -------------------------------------------------------------------------------------------

STATES = ("none", "pending", "granted", "paused", "withdrawn", "expired")
NEXT = {  # for each event, the state after it from each of STATES; "-": it cannot happen, "live": granted or paused
    "requested": "pending pending granted paused withdrawn expired",
    "confirmed": "granted granted granted granted granted granted",
    "declined": "none none granted paused withdrawn expired",
    "lapsed": "none none granted paused withdrawn expired",
    "paused": "- - paused paused - -",
    "resumed": "- - granted granted - -",
    "limited": "- - granted paused - -",
    "unlimited": "- - granted paused - -",
    "withdrawn": "none withdrawn withdrawn withdrawn withdrawn withdrawn",
    "restored": "- - - - live -",
    "expired": "none pending expired expired withdrawn expired",
    "imported": "granted granted - - - -",
    "soft": "granted granted granted paused - granted",
    "complained": "withdrawn withdrawn withdrawn withdrawn withdrawn withdrawn",
}
AFTER = {(event, state): to for event, row in NEXT.items() for state, to in zip(STATES, row.split(), strict=True)}
PASSING = {"deferred", "unknown"}  # outcomes after which a message may still come to another
DEFAULT_TOTAL = [[4, 604_800]]
COMPLETE = {  # of what the entries of an export tell from the beginning, by what it was made of
    "whole": {"order", "consents", "promises", "caps", "campaigns"},
    "contact": {"consents", "promises", "caps"},
    "topic": {"consents", "promises"},
    "campaign": {"campaigns"},
    "period": set(),
}


@dataclass
class Consent:
    """One person and topic. `since`: of the state; `was`: the one before it; `promise`, `own`: n, seconds, since;
    `kinds`: those promised, "" for any; `is_soft`: on a purchase.
    """

    state: str = "none"
    was: str = "none"
    since: int = 0
    promise: tuple[int, int, int] | None = None
    own: tuple[int, int, int] | None = None
    kinds: str = ""
    is_soft: bool = False


class Story:
    """Retells the entries in their order: states of consents and messages, counts, caps. Instants in microseconds."""

    def __init__(self, told: set[str], report: Report, keys: Keys) -> None:
        self._told, self._report, self._rotated = told, report, dict(keys.rotated)
        self._latest = 0
        self.consents: dict[str, dict[str, Consent]] = {}  # by contact, then topic
        self.messages: dict[str, str] = {}
        self.invitations: dict[str, str] = {}
        self.erased: set[str] = set()
        self._texts: dict[str, tuple[int, int, str]] = {}
        self._soft_off: int | None = 0  # since when mail after a purchase is switched off; None while it is on
        self._body = lru_cache(1000)(parsed)  # many say the same, word for word
        self.worded: dict[str, str] = {}
        self._kinds: dict[str, str] = {}
        self._caps: dict[str, list[list[int]]] = {"total": DEFAULT_TOTAL, "promotional": []}
        self._capped_since = 0
        self._invited: set[str] = set()
        self._sent: dict[str, list[int]] = {}
        self._planned: Counter[str] = Counter()
        self._settled: Counter[str] = Counter()
        self._readers: dict[str, Callable[[int, str, dict[str, Any], dict[str, Any]], None]] = {
            "consent": self._consent,
            "message": self._message,
            "campaign": self._campaign,
            "topic": self._topic,
            "policy": self._policy,
            "invitation": self._invitation,
            "log": self._log,
        }

    def add(self, position: int, raw: bytes) -> None:
        if not raw:
            return
        try:
            entry = parsed(raw.decode())
            body = self._body(entry["body"])
            at, contact, (family, _, event) = int(entry["at"]), entry["contact"], entry["kind"].partition(".")
            if not isinstance(body, dict):
                raise TypeError
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            self._report.add("story", "it cannot be read", position)
            return
        if at < self._latest - SLACK and "order" in self._told:
            self._report.add("back-dated", "it is dated more than an hour before entries that stand above it", position)
        self._latest = max(self._latest, at)
        if entry["kind"] == "contact.erased":
            self.erased.add(contact)
            self.consents.pop(contact, None)
        elif family in {"consent", "message"} and contact in self.erased:
            self._report.add("story", f"{entry['kind']} comes after the same contact was erased", position)
        if reader := self._readers.get(family):
            try:
                reader(position, event, entry, body)
            except (ValueError, KeyError, TypeError, AttributeError):
                self._report.add("story", f"{entry['kind']} does not say what it must", position)

    def _consent(self, position: int, event: str, entry: dict[str, Any], body: dict[str, Any]) -> None:
        before, after = str(body.get("from")), str(body.get("to"))
        start = "none" if "consents" in self._told else before
        known = self.consents.setdefault(entry["contact"], {}).setdefault(entry["topic"], Consent(start))
        if before != known.state:
            self._report.add("story", f"starts from {before}, but the log had come to {known.state}", position)
        allowed = AFTER.get((event, before), "-")
        if after != allowed and not (allowed == "live" and after in {"granted", "paused"}):
            self._report.add("story", f"consent.{event} cannot lead from {before} to {after}", position)
        if after != known.state:
            known.was, known.state, known.since = known.state, after, entry["at"]
        if event in {"confirmed", "imported", "soft"}:
            text = self._texts.get(str(body.get("text")))
            known.promise, known.kinds = ((*text[:2], entry["at"]), text[2]) if text else (None, "")
            known.own = known.own if before in {"granted", "paused"} else None
            known.is_soft = event == "soft"
        elif event in {"limited", "unlimited"}:
            known.own = (*body["own"], entry["at"]) if body.get("own") else None

    def _message(self, position: int, event: str, entry: dict[str, Any], _body: dict[str, Any]) -> None:
        ref, campaign = str(entry["message"]), entry["campaign"]
        last = self.messages.get(ref)
        if entry["contact"] is None:
            self._report.add("story", f"message.{event} names no contact", position)
        if last and last not in PASSING:
            self._report.add("story", f"the message was settled more than once: {last}, now {event}", position)
        elif campaign and event != "deferred" and last != "unknown":
            self._settled[campaign] += 1
        self.messages[ref] = event
        if event == "sent" and last != "unknown":
            self._went(position, entry, ref)

    def _went(self, position: int, entry: dict[str, Any], ref: str) -> None:
        """A message left: there was a consent, and no cap is passed, the text's own or the organisation's."""
        at, contact, topic, campaign = int(entry["at"]), entry["contact"], entry["topic"], entry["campaign"]
        kind = self._kinds.get(campaign, "") if campaign else "invitation" if ref in self._invited else "service"
        if campaign:
            held = self.consents.get(contact, {}).get(topic, Consent())
            is_late = held.was == "granted" and at - held.since < GRACE
            if "consents" in self._told and kind != "service" and held.state != "granted" and not is_late:
                self._report.add("story", f"a mail of a campaign was sent while consent was {held.state}", position)
            sent = self._count(f"{contact} {topic}", at)
            promises = ((held.promise, "the text agreed to promises"), (held.own, "their own limit allows"))
            for limit, who in promises if "promises" in self._told else ():
                if limit and at - limit[2] >= GRACE:
                    self._hold(position, sent, at, limit[:2], who)
            is_settled = held.promise and at - held.promise[2] >= GRACE
            if "promises" in self._told and is_settled and held.kinds and kind and kind not in held.kinds.split(","):
                self._report.add("story", f"a mail of a kind ({kind}) the text agreed to does not name", position)
            if held.is_soft and "caps" in self._told and self._soft_off is not None and at - self._soft_off >= GRACE:
                self._report.add("story", "a mail stood on a purchase while policy allowed none", position)
        if kind == "service" or "caps" not in self._told:
            return
        scopes = ["total", *(["promotional"] if kind in {"promotional", "invitation"} else [])]
        for scope in scopes:
            sent = self._count(f"{contact} {scope}", at)
            for cap in self._caps[scope] if at - self._capped_since >= GRACE else ():
                self._hold(position, sent, at, cap, f"the cap ({scope}) allows")

    def _count(self, key: str, at: int) -> list[int]:
        sent = self._sent.setdefault(key, [])
        insort(sent, at)
        return sent

    def _hold(self, position: int, sent: list[int], at: int, cap: Sequence[int], who: str) -> None:
        n, seconds = cap
        count = bisect_right(sent, at) - bisect_right(sent, at - seconds * 1_000_000)
        if count > n:
            self._report.add("story", f"mail {count} within {seconds} seconds, where {who} {n}", position)

    def _campaign(self, position: int, event: str, entry: dict[str, Any], body: dict[str, Any]) -> None:
        campaign = entry["campaign"]
        if body.get("kind") in {"promotional", "informational", "service"}:
            self._kinds[campaign] = body["kind"]
        if event == "slice-planned":
            self._planned[campaign] += sum(body.values())
        elif event == "finished" and "campaigns" in self._told:
            planned, settled = self._planned[campaign], self._settled[campaign]
            if planned != settled:
                what = f"the campaign ended with {settled} mails accounted for of {planned} planned"
                self._report.add("story", what, position)

    def _topic(self, _position: int, event: str, _entry: dict[str, Any], body: dict[str, Any]) -> None:
        if event == "text-published":
            self._texts[str(body.get("text"))] = int(body["cap_n"]), int(body["cap_window"]), str(body.get("kinds", ""))
            self.worded[str(body.get("text"))] = str(body.get("sha256"))

    def _policy(self, _position: int, event: str, entry: dict[str, Any], body: dict[str, Any]) -> None:
        if event == "cap-changed":
            self._caps[body["scope"]] = body["caps"]
            self._capped_since = int(entry["at"])
        elif event == "begun" and body.get("name") == "soft-opt-in":
            self._soft_off = None if body["value"]["on"] else int(entry["at"])

    def _invitation(self, _position: int, event: str, entry: dict[str, Any], body: dict[str, Any]) -> None:
        ref = str(body.get("invitation"))
        if event == "decided" and body.get("mail") == "queued":
            self._invited.add(str(entry["message"]))
        if event in {"answered", "cancelled", "expired"}:
            self.invitations[ref] = str(body.get("answer") or event)
        else:
            self.invitations.setdefault(ref, "open")

    def _log(self, position: int, event: str, _entry: dict[str, Any], body: dict[str, Any]) -> None:
        if event == "key-rotated" and self._rotated.pop(position, None) != body:
            self._report.add("signature", "it hands the log to a key that the one before did not name", position)

    def finish(self) -> None:
        """What must have been told by the end."""
        if "order" in self._told:
            for size in self._rotated:
                self._report.add("signature", "the log's key changed here, but no entry says so", size)

    def told(self) -> dict[str, Any]:
        """How everything stands at the end, in numbers."""
        state = [one.state for topics in self.consents.values() for one in topics.values()]
        return {
            "consents": dict(sorted(Counter(state).items())),
            "messages": dict(sorted(Counter(self.messages.values()).items())),
            "campaigns": {one: {"planned": self._planned[one], "settled": self._settled[one]} for one in self._planned},
            "invitations": dict(sorted(Counter(self.invitations.values()).items())),
            "erased": len(self.erased),
        }


# --- the command ----------------------------------------------------------------------------------------------------


def verify(
    subject: str,
    *,
    witnessed: Sequence[str] = (),
    earlier: str = "",
    keys: Sequence[str] = (),
    log: str = "",
) -> Report:
    """Check an export (a path) or a published log (a URL). `witnessed`: notes. Raises UnreadableError."""
    report = Report()
    if "://" in subject:
        if not keys:
            raise UnreadableError("give the log's key with --key: one fetched with the log would prove nothing")
        trusted = Keys(keys)
        head = check_log(subject, trusted, witnesses(trusted, witnessed), report, {})
        _conclude(report, head, trusted, witnessed)
        return report
    export = Export(Path(subject), keys, report)
    try:
        head = opened(export.keys, export.read("checkpoint").decode(), "the export's checkpoint")
    except UnreadableError as error:
        report.add("signature", str(error))
        return report
    story = Story(COMPLETE.get(export.facts.get("what", ""), set()), report, export.keys)
    claims = witnesses(export.keys, witnessed)
    own = own_claims(export, report)
    if export.whole:
        check_whole(export, [*own, *claims, head], head.size, story, report)
    else:
        check_part(export, [*own, *claims], head, story, report)
    story.finish()
    check_texts(export, story, report)
    export.rest()
    report.story = story.told()
    if earlier:
        old = Export(Path(earlier), keys, Report())
        old_size = opened(old.keys, old.read("checkpoint").decode(), "the earlier export's checkpoint").size
        again = Export(Path(subject), keys, Report())
        compare_exports(old.entries(old_size), again.entries(head.size), export.whole, report)
    if log:
        held = {at: leaf_hashes([entry])[0] for at, entry in Export(Path(subject), keys, Report()).entries(head.size)}
        report.uncompared.clear()  # the published log has the hashes that this part lacks
        check_log(log, export.keys, [head, *claims], report, held)
    _conclude(report, head, export.keys, witnessed)
    return report


def own_claims(export: Export, report: Report) -> list[Claim]:
    """Every checkpoint of the log that the export holds, and what its keys said of it as one followed the other."""
    found = []
    for note in notes_in(export.read("checkpoints.txt").decode()):
        try:
            found.append(opened(export.keys, note, "a checkpoint of the log"))
        except UnreadableError as error:
            report.add("signature", str(error))
    for size, one in export.keys.rotated.items():
        found.append(Claim(size, base64.b64decode(one["root"]), "the statement of a former key"))
    return found


def check_texts(export: Export, story: Story, report: Report) -> None:
    """The words shown to people must be those whose hash the log holds."""
    for path in export.names("texts/"):
        text = json.loads(export.read(path))
        said = story.worded.get(Path(path).stem)
        if said and said != sha256(text["wording"].encode()).hexdigest():
            report.add("altered", f"the words of the consent text {path} are not those that were published")


def witnesses(keys: Keys, notes: Sequence[str]) -> list[Claim]:
    found = [opened(keys, note, "the witnessed checkpoint", is_witnessed=True) for note in notes]
    return [one for one in found if one.size]


def _conclude(report: Report, head: Claim, keys: Keys, witnessed: Sequence[str]) -> None:
    report.size, report.root = head.size, base64.b64encode(head.root).decode()
    report.keys = [f"{name}+{number.hex()}" for name, number in keys.known]
    report.witnessed = max((one.size for one in witnesses(keys, witnessed)), default=None)
    report.findings.sort(key=lambda one: (one.entry is None, one.entry or 0))


def lines_of(report: Report) -> Iterator[str]:
    """The report for a terminal: the first line says how it ended."""
    count = len(report.findings)
    yield f"NOT INTACT: {count} finding{'s' if count > 1 else ''}" if count else "intact"
    yield from (f"  {finding}" for finding in report.findings)
    yield from (f"  not compared: {what}" for what in report.uncompared)
    yield f"{report.size} entries under the signed checkpoint, root {report.root}; {report.entries} looked at"
    if report.witnessed is None:
        yield "no witnessed checkpoint was given: a history signed anew by whoever holds the key would not show"
    elif report.witnessed < report.size:
        yield f"entries {report.witnessed} to {report.size - 1}: not yet witnessed"
    else:
        yield "every entry is witnessed"
    yield f"signed by {', '.join(report.keys)}"
    for name, value in report.story.items():
        if name != "campaigns" and value:
            yield f"{name}: {json.dumps(value)}"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit code."""
    asked = argparse.ArgumentParser(prog="outreach-verify", description=(__doc__ or "").partition("\n")[0])
    asked.add_argument("subject", help="an export, or the address of a published log")
    asked.add_argument("--witnessed", action="append", default=[], metavar="FILE", help="checkpoints kept elsewhere")
    asked.add_argument("--earlier", default="", metavar="ZIP", help="an export made before")
    asked.add_argument("--key", action="append", default=[], help="the log's key, as published")
    asked.add_argument("--log", default="", metavar="URL", help="where the log of the export is published")
    asked.add_argument("--json", action="store_true", help="print one JSON object")
    given = asked.parse_args(arguments)
    try:
        notes = [note for path in given.witnessed for note in notes_in(Path(path).read_text(encoding="utf-8"))]
        report = verify(given.subject, witnessed=notes, earlier=given.earlier, keys=given.key, log=given.log)
    except (UnreadableError, OSError, UnicodeDecodeError) as error:
        sys.stderr.write(f"outreach-verify: {error}\n")
        return 2
    verdict = "not intact" if report.findings else "intact"
    whole = {"verdict": verdict, "code": report.code, **asdict(report)}
    said = json.dumps(whole, ensure_ascii=False) if given.json else "\n".join(lines_of(report))
    sys.stdout.write(f"{said}\n")
    return report.code


if __name__ == "__main__":
    sys.exit(main())
