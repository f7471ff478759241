"""The tree cut into tiles of 256 hashes (C2SP tlog-tiles): how it grows by them, and which of them a proof needs.

Level 0 holds leaf hashes; each hash of a level above is the root of one full tile below it.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence

from outreach.domain.audit import HASH, TILE, Edge

HEIGHT = TILE.bit_length() - 1
"""A tile spans so many levels of the tree."""

_PLACE = re.compile(r"((?:x\d{3}/)*)(\d{3})(?:\.p/([1-9]\d{0,2}))?", re.ASCII)
_MOST_GROUPS = 6


def perfect_root(hashes: Sequence[bytes]) -> bytes:
    """The root over hashes whose count is a power of two: the levels are hashed one after another."""
    while len(hashes) > 1:
        packed = b"".join(hashes)
        hashes = [
            hashlib.sha256(b"\x01" + packed[at : at + 2 * HASH]).digest() for at in range(0, len(packed), 2 * HASH)
        ]
    return hashes[0]


def grow(edge: Edge, leaves: Sequence[bytes]) -> tuple[Edge, list[bytes]]:
    """(the edge after appending leaf hashes, the roots of the level-0 tiles that became full by them).

    Every hash of the tree is computed once: what lies above a full tile is extended by its root.
    """
    full = edge.size // TILE
    above, rest = Edge(full, edge.hashes[: full.bit_count()]), Edge(edge.size % TILE, edge.hashes[full.bit_count() :])
    roots, place = [], 0
    while place < len(leaves):
        taken = leaves[place : place + TILE - rest.size]
        place += len(taken)
        if len(taken) == TILE:
            roots.append(perfect_root(taken))
            continue
        rest = rest.extended(taken)
        if rest.size == TILE:
            roots.append(rest.root)
            rest = Edge()
    return Edge(edge.size + len(leaves), above.extended(roots).hashes + rest.hashes), roots


def perfect_parts(start: int, end: int) -> Iterator[tuple[int, int]]:
    """The complete subtrees that make up leaves start … end - 1, from the left: (height, number at that height)."""
    while start < end:
        height = (end - start).bit_length() - 1
        if start:
            height = min(height, (start & -start).bit_length() - 1)
        yield height, start >> height
        start += 1 << height


def is_covered(level: int, number: int, width: int, size: int) -> bool:
    """Whether a tree of `size` leaves has the first `width` hashes of this tile."""
    return 0 < width <= TILE and (number * TILE + width) << (HEIGHT * level) <= size


def read_place(place: str) -> tuple[int, int]:
    """(number, width) of a tile as its path names it: `x001/x234/067` or `x001/x234/067.p/7`.

    Raises ValueError for anything else; there is one way only to write each.
    """
    found = _PLACE.fullmatch(place)
    if not found or place.count("x") > _MOST_GROUPS or place.startswith("x000/"):
        raise ValueError("not the place of a tile")
    width = int(found[3]) if found[3] else TILE
    if found[3] and width >= TILE:
        raise ValueError("a partial tile has 1 to 255 hashes")
    return int(found[1].replace("x", "").replace("/", "") + found[2]), width
