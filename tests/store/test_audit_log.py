"""The sealer's tables: entries wait, get their place once, and tiles fill at every level."""

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from outreach.domain.audit import TILE, Edge, leaf_hash, root_of
from outreach.domain.errors import AuditError, InvalidInputError
from outreach.domain.tiles import grow
from outreach.services.context import Context
from outreach.store import audit_log, audit_tiles
from outreach.store.audit import Entry, record
from outreach.store.schema.audit import audit_entry, audit_pending, audit_tile, leader
from outreach.store.schema.transparency import audit_node


def write(ctx: Context, count: int) -> None:
    with ctx.db.transaction() as conn:
        record(conn, 1, *(Entry(kind="topic.created", actor="engine", body={"number": n}) for n in range(count)))


def test_entries_are_queued_with_their_act(ctx: Context) -> None:
    write(ctx, 3)
    with ctx.db.reading() as conn:
        rows = audit_log.pending_entries(conn, 10)
        assert [row[-1] for row in rows] == ['{"number":0}', '{"number":1}', '{"number":2}']
        assert len({row[1] for row in rows}) == 3
        assert len(audit_log.pending_entries(conn, 2)) == 2


def test_an_act_that_fails_leaves_no_entry(ctx: Context) -> None:
    with pytest.raises(RuntimeError), ctx.db.transaction() as conn:
        record(conn, 1, Entry(kind="topic.created", actor="engine"))
        raise RuntimeError
    with ctx.db.reading() as conn:
        assert audit_log.count_pending(conn) == 0


def test_a_body_too_long_for_a_bundle_is_refused(ctx: Context) -> None:
    with pytest.raises(InvalidInputError), ctx.db.transaction() as conn:
        record(conn, 1, Entry(kind="topic.created", actor="engine", body={"reason": "\0" * 9000}))


def test_placed_entries_leave_the_queue(ctx: Context) -> None:
    write(ctx, 3)
    with ctx.db.transaction() as conn:
        rows = audit_log.pending_entries(conn, 2)
        hashes = audit_log.leaves_of(rows)
        audit_log.add_leaves(conn, 0, [row[0] for row in rows], hashes)
    with ctx.db.reading() as conn:
        assert audit_log.count_pending(conn) == 1
        assert audit_log.leaf_hashes(conn, 0, 10) == hashes
        stored = conn.execute(select(audit_entry).order_by(audit_entry.c.id).limit(2)).all()
        assert [leaf_hash(audit_log.stored_bytes(row)) for row in stored] == hashes


@pytest.mark.parametrize("apart", [40, 2], ids=["a few ranges", "none beside another"])
def test_what_waits_between_sealed_entries_is_found_and_placed_alone(ctx: Context, apart: int) -> None:
    write(ctx, 200)
    with ctx.db.transaction() as conn:
        numbers = list(conn.execute(select(audit_pending.c.entry).order_by(audit_pending.c.entry)).scalars())
        sealed, waiting = numbers[::apart], [one for place, one in enumerate(numbers) if place % apart]
        audit_log.add_leaves(conn, 0, sealed, [b"h" * 32] * len(sealed))
        rows = audit_log.pending_entries(conn, 150)
        assert [row[0] for row in rows] == waiting[:150]
        audit_log.add_leaves(conn, len(sealed), [row[0] for row in rows], audit_log.leaves_of(rows))
    with ctx.db.reading() as conn:
        assert list(conn.execute(select(audit_pending.c.entry)).scalars()) == waiting[150:]


def test_an_entry_has_one_place_only(ctx: Context) -> None:
    write(ctx, 1)
    with ctx.db.transaction() as conn:
        entry = audit_log.pending_entries(conn, 1)[0][0]
        audit_log.add_leaves(conn, 0, [entry], [b"h" * 32])
    with pytest.raises(IntegrityError), ctx.db.transaction() as conn:
        audit_log.add_leaves(conn, 1, [entry], [b"h" * 32])


def test_tiles_fill_level_by_level(ctx: Context) -> None:
    size = TILE * TILE + TILE + 3
    hashes = [number.to_bytes(32, "big") for number in range(size)]
    with ctx.db.transaction() as conn:
        rows = [{"id": n + 1, "nonce": b"n" * 16, "at": 1, "kind": "k", "actor": "a"} for n in range(size)]
        conn.execute(insert(audit_entry), rows)
        conn.execute(insert(audit_pending), [{"entry": n + 1} for n in range(size)])
        old, edge = 0, Edge()
        for new in (100, TILE, TILE + 1, TILE * TILE - 1, size):
            audit_log.add_leaves(conn, old, range(old + 1, new + 1), hashes[old:new])
            edge, roots = grow(edge, hashes[old:new])
            audit_tiles.add_full_tiles(conn, old, hashes[old:new], roots)
            old = new
        counts = conn.execute(select(audit_tile.c.level).order_by(audit_tile.c.level)).scalars().all()
        top = conn.execute(select(audit_tile.c.hashes).where(audit_tile.c.level == 1)).scalar_one()
        nodes = conn.execute(select(audit_node.c.level, audit_node.c.number)).all()
    assert counts == [0] * (TILE + 1) + [1]
    assert sorted(nodes) == [*((1, n) for n in range(TILE + 1)), (2, 0)]
    assert top == b"".join(root_of(hashes[n * TILE : (n + 1) * TILE]) for n in range(TILE))


def test_two_sealers_cannot_claim_the_same_size(ctx: Context) -> None:
    edge = Edge().extended([b"h" * 32])
    with ctx.db.transaction() as conn:
        audit_log.add_checkpoint(conn, edge, epoch=1, at=1)
    with pytest.raises(IntegrityError), ctx.db.transaction() as conn:
        audit_log.add_checkpoint(conn, edge, epoch=2, at=1)


def test_a_leader_of_an_older_epoch_is_fenced_off(ctx: Context) -> None:
    with ctx.db.transaction() as conn:
        audit_log.fence(conn, 1)
        conn.execute(insert(leader).values(epoch=2, since=1))
        audit_log.fence(conn, 2)
        with pytest.raises(AuditError, match="Another leader"):
            audit_log.fence(conn, 1)
