"""Proofs from stored tiles are those of the whole tree, and take a few rows of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise

import pytest
from sqlalchemy import event

from outreach.domain.audit import consistency_proof, inclusion_proof, subtree_of, verify_consistency, verify_inclusion
from outreach.domain.errors import AuditError
from outreach.services.context import Context
from outreach.services.transparency import proofs
from outreach.store.audit_log import leaf_hashes
from tests.services.transparency.logs import plant, write, write_and_seal
from tests.tampering import loosen


@contextmanager
def statements(ctx: Context) -> Iterator[list[str]]:
    """What the database is asked meanwhile."""
    asked: list[str] = []

    def note(_conn: object, _cursor: object, statement: str, *_more: object) -> None:
        asked.append(statement)

    event.listen(ctx.db.engine, "before_cursor_execute", note)
    yield asked
    event.remove(ctx.db.engine, "before_cursor_execute", note)


SIZES = (1, 7, 255, 256, 257, 600, 70_000)
PLACES = (0, 1, 254, 255, 256, 599, 600, 65_535, 65_536, 69_888, 69_999)


def test_proofs_are_those_of_all_leaves_at_any_size(ctx: Context) -> None:
    leaves = plant(ctx, *SIZES)
    subtree = subtree_of(leaves)
    with ctx.db.reading() as conn:
        for size in (*SIZES, 5, 511, 65_537):
            for index in (index for index in PLACES if index < size):
                assert proofs.inclusion(conn, index, size) == inclusion_proof(subtree, index, size), (index, size)
        for old, new in pairwise(sorted({*SIZES, 5, 511, 65_537})):
            assert proofs.consistency(conn, old, new) == consistency_proof(subtree, old, new), (old, new)
        assert proofs.consistency(conn, 600, 600) == []
        roots = {size: proofs.root(conn, size) for size in SIZES}
    assert roots == {size: subtree(0, size) for size in SIZES}


def test_a_proof_reads_a_few_tiles_however_long_the_log_is(ctx: Context) -> None:
    plant(ctx, 70_000)
    with ctx.db.reading() as conn:
        with statements(ctx) as proving:
            proofs.inclusion(conn, 300, 70_000)
        with statements(ctx) as growing:
            proofs.consistency(conn, 300, 70_000)
    assert len(proving) <= 6
    assert len(growing) <= 6


def test_what_is_not_in_the_log_is_not_proved(ctx: Context) -> None:
    plant(ctx, 300)
    with ctx.db.reading() as conn:
        for index, size in ((-1, 300), (300, 300)):
            with pytest.raises(ValueError, match="no such leaf"):
                proofs.inclusion(conn, index, size)
        for old, new in ((0, 300), (301, 300)):
            with pytest.raises(ValueError, match="sizes"):
                proofs.consistency(conn, old, new)
        with pytest.raises(AuditError, match="lost"):
            proofs.inclusion(conn, 0, 301)


@pytest.mark.parametrize("tampering", ["DELETE FROM audit_leaf WHERE position = 299", "DELETE FROM audit_tile"])
def test_hashes_that_were_lost_are_said_to_be(ctx: Context, tampering: str) -> None:
    plant(ctx, 300)
    loosen(ctx, tampering)
    with ctx.db.reading() as conn, pytest.raises(AuditError, match="lost"):
        proofs.inclusion(conn, 3, 300)


def test_an_entry_knows_its_place_once_it_is_sealed(ctx: Context) -> None:
    write(ctx)
    with ctx.db.reading() as conn:
        assert proofs.position_of(conn, 1) is None
    write_and_seal(ctx)
    with ctx.db.reading() as conn:
        assert [proofs.position_of(conn, entry) for entry in (1, 2, 3)] == [0, 1, None]


def test_a_proof_of_a_sealed_entry_holds_and_no_other(ctx: Context) -> None:
    write_and_seal(ctx, 300)
    write_and_seal(ctx, 40)
    with ctx.db.reading() as conn:
        root, old = proofs.root(conn, 340), proofs.root(conn, 300)
        leaf = proofs.inclusion(conn, 0, 340)
        growth = proofs.consistency(conn, 300, 340)
        (hashed,) = leaf_hashes(conn, 0, 1)
    assert verify_inclusion(hashed, 0, 340, leaf, root)
    assert not verify_inclusion(hashed, 1, 340, leaf, root)
    assert verify_consistency(300, 340, old, root, growth)
    assert not verify_consistency(300, 340, root, old, growth)
