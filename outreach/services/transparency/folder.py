"""The published log as files in a folder, laid out as it is served: for any web server, an archive, or another disk.

C2SP tlog-tiles. Hashes and checkpoints only, never an entry. A full tile never changes, so that doing it again writes
what is new and the checkpoint, which comes last: whoever reads meanwhile finds all that a checkpoint needs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from outreach.domain.audit import HASH, TILE, tile_path
from outreach.domain.errors import AuditError, NotFoundError
from outreach.domain.tiles import HEIGHT
from outreach.services.context import Context
from outreach.services.transparency import publish
from outreach.services.transparency.public_log import see_keys, with_cosignatures
from outreach.store import audit_tiles


@dataclass(frozen=True)
class Written:
    """How many entries the checkpoint covers, and how many tiles were new."""

    size: int
    tiles: int


def write_folder(ctx: Context, folder: Path) -> Written:
    """Bring `folder` up to the newest published checkpoint. Raises NotFoundError while there is none, AuditError where
    the log has lost hashes, OSError.
    """
    with ctx.db.reading() as conn:
        point = publish.newest(conn)
        if point is None:
            raise NotFoundError("Nothing was published yet.")
        made = sum(_write_tile(conn, folder, *tile, point.size) for tile in _tiles(point.size))
        note = with_cosignatures(conn, point)
    _write(folder / "keys", see_keys(ctx).encode())
    _write(folder / "checkpoint", note.encode())
    return Written(point.size, made)


def _tiles(size: int) -> Iterator[tuple[int, int, int]]:
    """(level, number, width) of every tile of a tree, the last of each level as wide as it is."""
    level, hashes = 0, size
    while hashes:
        for number in range(-(-hashes // TILE)):
            yield level, number, min(TILE, hashes - number * TILE)
        level, hashes = level + 1, hashes >> HEIGHT


def _write_tile(conn: Connection, folder: Path, level: int, number: int, width: int, size: int) -> bool:
    path = folder / tile_path(level, number, width)
    if path.exists() and path.stat().st_size == width * HASH:
        return False
    hashes = audit_tiles.published_tile(conn, level, number, width, size)
    if hashes is None:
        raise AuditError("The log has lost some of its hashes. Run audit verify.")
    _write(path, hashes)
    return True


def _write(path: Path, octets: bytes) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(octets)
    part.replace(path)
