"""Proofs from stored tiles: that an entry is in the log, and that the log only grew (RFC 9162 §2.1.3, §2.1.4).

They check with `domain.audit.verify_inclusion` and `verify_consistency`, and with any other implementation. A proof
takes a few rows however long the log is: each level of 256 has one full tile or one run of hashes in it.
"""

from sqlalchemy import Connection

from outreach.domain.audit import consistency_proof, inclusion_proof
from outreach.store import audit_tiles


def inclusion(conn: Connection, index: int, size: int) -> list[bytes]:
    """The path from leaf `index` (from 0) to the root over the first `size` leaves: 32-byte hashes, lowest first.

    Raises ValueError unless 0 ≤ index < size, AuditError when the log has not got `size` leaves.
    """
    return inclusion_proof(audit_tiles.Hashes(conn, size).subtree, index, size)


def consistency(conn: Connection, old: int, new: int) -> list[bytes]:
    """That the tree of `old` leaves is the beginning of that of `new`; empty where they are equal.

    Raises ValueError unless 0 < old ≤ new, AuditError when the log has not got `new` leaves.
    """
    return consistency_proof(audit_tiles.Hashes(conn, new).subtree, old, new)


def root(conn: Connection, size: int) -> bytes:
    """The root over the first `size` (> 0) leaves. Raises AuditError when the log has not got so many."""
    return audit_tiles.Hashes(conn, size).subtree(0, size)


def position_of(conn: Connection, entry_id: int) -> int | None:
    """The place of an entry in the log, from 0, by its row's id; None while it waits to be sealed."""
    return audit_tiles.position_of(conn, entry_id)
