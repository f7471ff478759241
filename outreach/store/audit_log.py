"""The sealed log in tables: what waits for its place, leaves and checkpoints. SQL for the sealer alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import Connection, func, insert, select, text

from outreach.domain.audit import Edge, entry_bytes, leaf_inputs
from outreach.domain.errors import AuditError
from outreach.store.bulk import among, bound, insert_rows
from outreach.store.schema.audit import audit_entry, audit_leaf, audit_pending, checkpoint, leader
from outreach.store.schema.audit import checkpoint_note as note_table

ENTRY_COLUMNS = (
    audit_entry.c.nonce,
    audit_entry.c.at,
    audit_entry.c.kind,
    audit_entry.c.actor,
    audit_entry.c.contact,
    audit_entry.c.topic,
    audit_entry.c.campaign,
    audit_entry.c.message,
    audit_entry.c.body,
)
_MOST_RANGES = 8
_ENTRY = ", ".join(column.name for column in (audit_entry.c.id, *ENTRY_COLUMNS))


@dataclass(frozen=True)
class SealedPoint:
    """A checkpoint as stored. `note` is None until it was signed."""

    edge: Edge
    root: bytes
    epoch: int
    at: int
    note: str | None

    @property
    def size(self) -> int:
        return self.edge.size


def stored_bytes(row: Any) -> bytes:
    """The canonical bytes of a row that has ENTRY_COLUMNS."""
    return entry_bytes(
        nonce=row.nonce,
        at=row.at,
        kind=row.kind,
        actor=row.actor,
        contact=row.contact,
        topic=row.topic,
        campaign=row.campaign,
        message=row.message,
        body=row.body,
    )


def fence(connection: Connection, epoch: int) -> None:
    """Hold the leader's row so that no new leader starts meanwhile. Raises AuditError if `epoch` leads no more."""
    newest = connection.execute(
        select(leader.c.epoch).order_by(leader.c.epoch.desc()).limit(1).with_for_update(read=True)
    ).scalar_one_or_none()
    sealed = connection.execute(select(func.max(checkpoint.c.epoch))).scalar_one()
    if (newest is not None and newest != epoch) or (sealed is not None and sealed > epoch):
        raise AuditError("Another leader seals the log now. Nothing was sealed by this one.")


def newest_point(connection: Connection, *, signed: bool = False) -> SealedPoint | None:
    """The newest checkpoint, or the newest that was signed."""
    return _point(connection, note_table.c.note.is_not(None) if signed else text("1 = 1"))


def point_at(connection: Connection, size: int) -> SealedPoint | None:
    """The checkpoint of exactly this size."""
    return _point(connection, checkpoint.c.size == size)


def unsigned_points(connection: Connection, after: int) -> list[SealedPoint]:
    """Checkpoints past size `after` that were committed but not signed, smallest first."""
    rows = connection.execute(
        _points().where(checkpoint.c.size > after, note_table.c.note.is_(None)).order_by(checkpoint.c.size)
    )
    return [_as_point(row) for row in rows]


def points_after(connection: Connection, size: int, limit: int) -> list[tuple[int, bytes, bytes, int, str | None]]:
    """Checkpoints past `size` just as stored, smallest first: size, root, edge, epoch, note."""
    rows = connection.execute(_points().where(checkpoint.c.size > size).order_by(checkpoint.c.size).limit(limit))
    return [(row.size, row.root, row.edge, row.epoch, row.note) for row in rows]


def add_note(connection: Connection, size: int, note: str) -> None:
    connection.execute(insert(note_table).values(size=size, note=note))


def is_pending(connection: Connection) -> bool:
    """Whether anything waits for its place."""
    return connection.execute(select(audit_pending.c.entry).limit(1)).first() is not None


def pending_entries(connection: Connection, limit: int) -> Sequence[Any]:
    """What waits for its place, oldest first: plain rows of id and ENTRY_COLUMNS.

    Never “everything after the last sealed id”: a slow transaction's entries would be passed over for good.
    """
    waiting = select(audit_pending.c.entry).order_by(audit_pending.c.entry).limit(limit)
    ids = connection.execute(waiting).scalars().all()
    if not ids:
        return []
    # By id, so that the sealed ones are never looked through.
    return _fetch(connection, f"SELECT {_ENTRY} FROM audit_entry WHERE {_is_one_of(connection, 'id', ids)} ORDER BY id")


def newest_pending(connection: Connection, kind: str) -> Sequence[Any]:
    """The newest entry of `kind` that waits, as `pending_entries` gives it; empty for none."""
    query = (
        f"SELECT {_ENTRY} FROM audit_entry WHERE kind = :kind AND id IN (SELECT entry FROM audit_pending) "
        "ORDER BY id DESC LIMIT 1"
    )
    return connection.execute(text(query), {"kind": kind}).all()


def _fetch(connection: Connection, query: str) -> Sequence[Any]:
    """Rows as the driver has them, in its quickest form: of thousands, what a layer between would cost counts."""
    is_postgresql = connection.dialect.name == "postgresql"
    driver: Any = connection.connection.driver_connection
    cursor = driver.cursor(binary=True) if is_postgresql else driver.cursor()
    try:
        found: Sequence[Any] = cursor.execute(query).fetchall()
        return found
    finally:
        cursor.close()


def _is_one_of(connection: Connection, column: str, ids: Sequence[int]) -> str:
    """SQL that says `column` is one of these ids, which ascend: by their ranges, where they are few."""
    if ids[-1] - ids[0] + 1 == len(ids):
        return f"{column} BETWEEN {ids[0]} AND {ids[-1]}"
    starts = [0, *(place for place in range(1, len(ids)) if ids[place] != ids[place - 1] + 1)]
    if len(starts) > _MOST_RANGES:
        return among(connection, column).replace(":ids", f"'{bound(connection, ids)}'")
    ends = [*(place - 1 for place in starts[1:]), len(ids) - 1]
    ranges = (f"{column} BETWEEN {ids[start]} AND {ids[end]}" for start, end in zip(starts, ends, strict=True))
    return f"({' OR '.join(ranges)})"


def leaves_of(rows: Sequence[Any]) -> list[bytes]:
    """The leaf hashes of rows of id and ENTRY_COLUMNS, in their order."""
    return [sha256(octets).digest() for octets in leaf_inputs(row[1:] for row in rows)]


def count_pending(connection: Connection) -> int:
    return int(connection.execute(select(func.count()).select_from(audit_pending)).scalar_one())


def add_leaves(connection: Connection, start: int, entries: Sequence[int], hashes: Sequence[bytes]) -> None:
    """Give entries their places from `start` on and take them out of the queue."""
    rows = list(zip(range(start, start + len(entries)), entries, hashes, strict=True))
    insert_rows(connection, audit_leaf, ("position", "entry", "hash"), rows)
    connection.exec_driver_sql(f"DELETE FROM audit_pending WHERE {_is_one_of(connection, 'entry', sorted(entries))}")


def add_checkpoint(connection: Connection, edge: Edge, *, epoch: int, at: int) -> None:
    """Claim the place: a second sealer of the same size fails on the primary key."""
    connection.execute(
        insert(checkpoint).values(size=edge.size, root=edge.root, edge=edge.to_bytes(), epoch=epoch, at=at)
    )


def leaf_hashes(connection: Connection, start: int, end: int) -> list[bytes]:
    """The stored hashes of leaves start … end - 1; shorter when some are missing."""
    query = (
        select(audit_leaf.c.hash)
        .where(audit_leaf.c.position >= start, audit_leaf.c.position < end)
        .order_by(audit_leaf.c.position)
    )
    return list(connection.execute(query).scalars().all())


def _points() -> Any:
    return select(
        checkpoint.c.size, checkpoint.c.root, checkpoint.c.edge, checkpoint.c.epoch, checkpoint.c.at, note_table.c.note
    ).outerjoin(note_table, note_table.c.size == checkpoint.c.size)


def _point(connection: Connection, condition: Any) -> SealedPoint | None:
    row = connection.execute(_points().where(condition).order_by(checkpoint.c.size.desc()).limit(1)).one_or_none()
    return None if row is None else _as_point(row)


def _as_point(row: Any) -> SealedPoint:
    return SealedPoint(Edge.from_bytes(row.size, row.edge), row.root, row.epoch, row.at, row.note)
