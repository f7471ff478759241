"""The tree in tiles: grown by them it is the same tree, and each tile has one name."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outreach.domain.audit import TILE, Edge, root_of, tile_path
from outreach.domain.tiles import grow, is_covered, perfect_parts, perfect_root, read_place


def hashes(count: int, start: int = 0) -> list[bytes]:
    return [hashlib.sha256(json.dumps(n).encode()).digest() for n in range(start, start + count)]


@given(st.integers(0, 1100), st.lists(st.integers(0, 600), max_size=4))
def test_a_tree_grown_by_tiles_is_the_tree_grown_by_leaves(first: int, pieces: list[int]) -> None:
    edge, leaves = Edge().extended(hashes(first)), hashes(first)
    for piece in pieces:
        more = hashes(piece, len(leaves))
        edge, roots = grow(edge, more)
        full = range(len(leaves) // TILE, (len(leaves) + piece) // TILE)
        leaves += more
        assert roots == [root_of(leaves[n * TILE : (n + 1) * TILE]) for n in full]
    assert edge == Edge().extended(leaves)


@pytest.mark.parametrize("height", range(9))
def test_a_perfect_tree_has_the_same_root_however_it_is_hashed(height: int) -> None:
    assert perfect_root(hashes(1 << height)) == root_of(hashes(1 << height))


@given(st.integers(0, 5000), st.integers(0, 5000))
def test_perfect_parts_cover_a_range_once_and_stand_where_the_tree_has_them(start: int, count: int) -> None:
    at = start
    for height, number in perfect_parts(start, start + count):
        assert number << height == at
        at += 1 << height
    assert at == start + count


@given(st.integers(0, 10**15), st.integers(1, TILE))
def test_a_tiles_path_is_read_as_it_is_written(number: int, width: int) -> None:
    assert read_place(tile_path(0, number, width).removeprefix("tile/0/")) == (number, width)


@pytest.mark.parametrize(
    "place",
    ["", "0", "00", "0000", "1/000", "x001", "x000/001", "001/x001", "000.p/0", "000.p/256", "000.p/", "000.p/01",
     "x1234/000", "٠٠٠", "000/", "-01", "x001/" * 7 + "000"],
)  # fmt: skip
def test_another_way_to_write_a_place_is_none(place: str) -> None:
    with pytest.raises(ValueError, match="tile"):
        read_place(place)


def test_the_tiles_of_a_tree_of_70000_are_those_the_specification_names() -> None:
    """C2SP tlog-tiles, “Partial Tiles”."""
    there = {(0, 272, 256), (0, 273, 112), (1, 0, 256), (1, 1, 17), (2, 0, 1)}
    beyond = {(0, 273, 113), (0, 273, 256), (1, 1, 18), (2, 0, 2), (3, 0, 1), (0, 0, 0)}
    assert all(is_covered(*tile, 70_000) for tile in there)
    assert not any(is_covered(*tile, 70_000) for tile in beyond)
