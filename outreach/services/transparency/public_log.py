"""The log as anybody may read it: checkpoints, tiles of hashes and proofs; bundles of entries for officers alone.

C2SP tlog-tiles and tlog-checkpoint. Nothing here reaches past the newest published checkpoint (`publish.py`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from outreach.domain.actors import Actor, Role
from outreach.domain.audit import TILE, bundle
from outreach.domain.errors import InvalidInputError, NotFoundError
from outreach.domain.tiles import is_covered, read_place
from outreach.services.context import Context
from outreach.services.seal import LogKey
from outreach.services.transparency import proofs, publish
from outreach.store import audit_log, audit_tiles, witnesses

_HIGHEST = 63  # levels C2SP tlog-tiles knows
_NOT_THERE = "The published log has nothing there."


@dataclass(frozen=True, kw_only=True)
class Inclusion:
    """That `leaf` stands at `index` of the tree of `size` leaves under `root`. `checkpoint`: its note, if published."""

    origin: str
    index: int
    size: int
    leaf: bytes
    root: bytes
    proof: Sequence[bytes]
    checkpoint: str | None


@dataclass(frozen=True, kw_only=True)
class Growth:
    """That the tree of `old` leaves is the beginning of that of `new`."""

    origin: str
    old: int
    new: int
    old_root: bytes
    new_root: bytes
    proof: Sequence[bytes]


def see_checkpoint(ctx: Context) -> str:
    """The newest published checkpoint: our signed note, with witnesses' cosignatures. Raises NotFoundError."""
    with ctx.db.reading() as conn:
        point = publish.newest(conn)
        if point is None:
            raise NotFoundError("Nothing was published yet.")
        return with_cosignatures(conn, point)


def with_cosignatures(conn: Connection, point: audit_log.SealedPoint) -> str:
    """A checkpoint's note, with a line for each witness that cosigned it."""
    return (point.note or "") + "".join(f"{line}\n" for line in witnesses.cosignatures(conn, point.size))


def see_keys(ctx: Context) -> str:
    """The log's public keys, a line each as signed notes write them, the one that signs now first."""
    return "".join(f"{key}\n" for key in LogKey(ctx.keyring).verifiers)


def see_tile(ctx: Context, level: int, place: str) -> bytes:
    """Hashes of a tile, 32 bytes each. `place`: the end of its path, `x001/x234/067.p/7`. Raises NotFoundError."""
    number, width = _read(place)
    if level > _HIGHEST:
        raise NotFoundError(_NOT_THERE)
    with ctx.db.reading() as conn:
        hashes = audit_tiles.published_tile(conn, level, number, width, _size(conn))
    if hashes is None:
        raise NotFoundError(_NOT_THERE)
    return hashes


def see_bundle(ctx: Context, actor: Actor, place: str) -> bytes:
    """The entries under a level-0 tile, each after its length as uint16. For officers. Raises NotFoundError."""
    actor.must_be(Role.OFFICER)
    number, width = _read(place)
    with ctx.db.reading() as conn:
        if not is_covered(0, number, width, _size(conn)):
            raise NotFoundError(_NOT_THERE)
        return bundle(audit_tiles.entries(conn, number * TILE, number * TILE + width))


def prove_inclusion(ctx: Context, index: int, size: int | None = None) -> Inclusion:
    """Where entry `index` stands in the published tree of `size`, the newest if None. Raises InvalidInputError."""
    with ctx.db.reading() as conn:
        size = _within(conn, size)
        if not 0 <= index < size:
            raise InvalidInputError("index must be a place in the log of that size, counted from 0.", "index")
        point = audit_log.point_at(conn, size) if audit_tiles.is_published(conn, size) else None
        return Inclusion(
            origin=ctx.keyring.audit_name,
            index=index,
            size=size,
            leaf=audit_tiles.Hashes(conn, size).subtree(index, index + 1),
            root=point.root if point else proofs.root(conn, size),
            proof=proofs.inclusion(conn, index, size),
            checkpoint=with_cosignatures(conn, point) if point else None,
        )


def prove_growth(ctx: Context, old: int, new: int | None = None) -> Growth:
    """That the published log only grew from `old` to `new`, the newest size if None. Raises InvalidInputError."""
    with ctx.db.reading() as conn:
        new = _within(conn, new)
        if not 0 < old <= new:
            raise InvalidInputError("old must be a size of the log from 1 to the new one.", "old")
        return Growth(
            origin=ctx.keyring.audit_name,
            old=old,
            new=new,
            old_root=proofs.root(conn, old),
            new_root=proofs.root(conn, new),
            proof=proofs.consistency(conn, old, new),
        )


def _within(conn: Connection, size: int | None) -> int:
    shown = _size(conn)
    if not shown:
        raise NotFoundError("Nothing was published yet.")
    if size is None:
        return shown
    if not 0 < size <= shown:
        raise InvalidInputError(f"The published log has {shown} entries; a size is from 1 to that.", "size")
    return size


def _size(conn: Connection) -> int:
    point = publish.newest(conn)
    return point.size if point else 0


def _read(place: str) -> tuple[int, int]:
    try:
        return read_place(place)
    except ValueError:
        raise NotFoundError(_NOT_THERE) from None
