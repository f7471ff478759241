"""The log's hashes as stored in tiles: what proofs and the published log are made of, never by reading all leaves."""

from collections.abc import Sequence
from functools import reduce

from sqlalchemy import Connection, insert, select

from outreach.domain.audit import TILE, node_hash, split_hashes
from outreach.domain.errors import AuditError
from outreach.domain.tiles import HEIGHT, is_covered, perfect_parts, perfect_root
from outreach.store.audit_log import ENTRY_COLUMNS, SealedPoint, leaf_hashes, point_at, stored_bytes
from outreach.store.bulk import insert_rows
from outreach.store.schema.audit import audit_entry, audit_leaf, audit_tile
from outreach.store.schema.transparency import audit_node, publication


class Hashes:
    """The tree of the first `size` leaves, each tile of it read once. Lives as long as one proof."""

    def __init__(self, connection: Connection, size: int) -> None:
        self._connection = connection
        self._size = size
        self._tiles: dict[tuple[int, int], Sequence[bytes]] = {}

    def subtree(self, start: int, end: int) -> bytes:
        """The root over leaves start … end - 1, as `domain.audit.Subtree` asks. Raises AuditError for hashes lost."""
        roots = [self._perfect(height, number) for height, number in perfect_parts(start, end)]
        return reduce(lambda right, left: node_hash(left, right), reversed(roots[:-1]), roots[-1])

    def _perfect(self, height: int, number: int) -> bytes:
        level, above = divmod(height, HEIGHT)
        tile, first = divmod(number << above, TILE)
        hashes = self._tile(level, tile)[first : first + (1 << above)]
        if len(hashes) != 1 << above:
            raise AuditError("The log has lost some of its hashes. Run audit verify.")
        return perfect_root(hashes)

    def _tile(self, level: int, number: int) -> Sequence[bytes]:
        key = (level, number)
        if key not in self._tiles:
            count = min(TILE, (self._size >> (HEIGHT * level)) - number * TILE)
            self._tiles[key] = tile_hashes(self._connection, level, number, count)
        return self._tiles[key]


def tile_hashes(connection: Connection, level: int, number: int, count: int) -> Sequence[bytes]:
    """The first `count` hashes of a tile, fewer where the log has lost some. A full tile is one row."""
    if count == TILE:
        full = select(audit_tile.c.hashes).where(audit_tile.c.level == level, audit_tile.c.number == number)
        packed = connection.execute(full).scalar_one_or_none()
        return split_hashes(packed) if packed else ()
    start = number * TILE
    if level == 0:
        return leaf_hashes(connection, start, start + count)
    return node_hashes(connection, level, start, start + count)


def node_hashes(connection: Connection, level: int, start: int, end: int) -> list[bytes]:
    """The stored hashes start … end - 1 of a level above the leaves; shorter when some are missing."""
    query = (
        select(audit_node.c.hash)
        .where(audit_node.c.level == level, audit_node.c.number >= start, audit_node.c.number < end)
        .order_by(audit_node.c.number)
    )
    return list(connection.execute(query).scalars())


def published_tile(connection: Connection, level: int, number: int, width: int, size: int) -> bytes | None:
    """A tile's first `width` hashes within the tree of `size` leaves, packed; None where it has not got so many."""
    if not is_covered(level, number, width, size):
        return None
    hashes = tile_hashes(connection, level, number, width)
    return b"".join(hashes) if len(hashes) == width else None


def entries(connection: Connection, start: int, end: int) -> list[bytes]:
    """The canonical bytes of the entries at places start … end - 1, in order; shorter when some are missing."""
    query = (
        select(*ENTRY_COLUMNS)
        .join(audit_leaf, audit_leaf.c.entry == audit_entry.c.id)
        .where(audit_leaf.c.position >= start, audit_leaf.c.position < end)
        .order_by(audit_leaf.c.position)
    )
    return [stored_bytes(row) for row in connection.execute(query)]


def position_of(connection: Connection, entry: int) -> int | None:
    """The place in the log of an entry's row, from 0; None while it waits to be sealed."""
    return connection.execute(select(audit_leaf.c.position).where(audit_leaf.c.entry == entry)).scalar_one_or_none()


def add_full_tiles(connection: Connection, old: int, leaves: Sequence[bytes], roots: Sequence[bytes]) -> None:
    """Store what became full while `leaves` joined a tree of `old`: tiles at every level, and their roots above them.

    `roots`: of the level-0 tiles that became full, as `domain.tiles.grow` found them.
    """
    if not roots:
        return
    first = old // TILE
    before = leaf_hashes(connection, first * TILE, old)
    level, hashes = 0, [*before, *leaves][: len(roots) * TILE]
    while roots:
        tiles = [(level, first + at, b"".join(hashes[at * TILE : (at + 1) * TILE])) for at in range(len(roots))]
        insert_rows(connection, audit_tile, ("level", "number", "hashes"), tiles)
        level += 1
        nodes = [(level, first + at, root) for at, root in enumerate(roots)]
        insert_rows(connection, audit_node, ("level", "number", "hash"), nodes)
        end = first + len(roots)
        first //= TILE
        hashes = node_hashes(connection, level, first * TILE, end // TILE * TILE)
        roots = [perfect_root(hashes[at : at + TILE]) for at in range(0, len(hashes), TILE)]


def newest_published(connection: Connection) -> tuple[SealedPoint, int] | None:
    """The newest checkpoint that was published, and when: UTC microseconds."""
    query = select(publication.c.size, publication.c.at).order_by(publication.c.size.desc()).limit(1)
    row = connection.execute(query).one_or_none()
    point = None if row is None else point_at(connection, row.size)
    return None if row is None or point is None else (point, row.at)


def add_publication(connection: Connection, size: int, at: int) -> None:
    """Show the world the signed checkpoint of this size."""
    connection.execute(insert(publication).values(size=size, at=at))


def is_published(connection: Connection, size: int) -> bool:
    """Whether the checkpoint of just this size was published."""
    return connection.execute(select(publication.c.size).where(publication.c.size == size)).first() is not None


def first_published_after(connection: Connection, size: int) -> int | None:
    """When the first checkpoint larger than `size` was published: UTC microseconds, None for never."""
    query = select(publication.c.at).where(publication.c.size > size).order_by(publication.c.size).limit(1)
    return connection.execute(query).scalar_one_or_none()
