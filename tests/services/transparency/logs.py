"""Logs for tests: entries written and sealed, or leaves put straight into the tree."""

import hashlib

from sqlalchemy import insert

from outreach.domain.audit import Edge
from outreach.domain.tiles import grow
from outreach.services.context import Context
from outreach.services.seal import seal
from outreach.store import audit_log, audit_tiles
from outreach.store.audit import Entry, record
from outreach.store.schema.audit import audit_pending


def write(ctx: Context, count: int = 1, **body: object) -> None:
    """Entries that wait to be sealed."""
    with ctx.db.transaction() as conn:
        entries = (Entry(kind="topic.created", actor="engine", body={"n": n, **body}) for n in range(count))
        record(conn, ctx.db.now(conn), *entries)


def write_and_seal(ctx: Context, count: int = 1) -> None:
    write(ctx, count)
    while seal(ctx, 1):
        pass


def plant(ctx: Context, *sizes: int) -> list[bytes]:
    """A tree of made-up leaves, grown to each of `sizes` in turn; returns the leaf hashes."""
    leaves = [hashlib.sha256(n.to_bytes(8, "big")).digest() for n in range(sizes[-1])]
    edge = Edge()
    with ctx.db.transaction() as conn:
        for size in sizes:
            more = leaves[edge.size : size]
            conn.execute(insert(audit_pending), [{"entry": n + 1} for n in range(edge.size, size)])
            audit_log.add_leaves(conn, edge.size, range(edge.size + 1, size + 1), more)
            after, roots = grow(edge, more)
            audit_tiles.add_full_tiles(conn, edge.size, more, roots)
            edge = after
            audit_log.add_checkpoint(conn, edge, epoch=1, at=1)
    return leaves


def pass_time(ctx: Context, seconds: int) -> None:
    """Move the clock on."""
    clock = ctx.settings.clock_file
    assert clock is not None
    before = int(clock.read_text()) if clock.exists() else 0
    clock.write_text(str(before + seconds))
