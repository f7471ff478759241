"""The sealer: order, durability before signature, mending after a crash, and never a signature over another history."""

import pytest
from sqlalchemy import insert, select

from outreach.domain.audit import Checkpoint, verify_consistency
from outreach.domain.errors import AuditError
from outreach.services import seal as sealing
from outreach.services.context import Context
from outreach.services.seal import LogKey, checkpoint_file, kept_notes, mend, newest_kept, seal
from outreach.store import audit_log
from outreach.store.audit import Entry, record
from outreach.store.schema.audit import audit_leaf, checkpoint_note, leader
from tests.tampering import loosen


def write(ctx: Context, count: int = 1) -> None:
    with ctx.db.transaction() as conn:
        record(conn, ctx.db.now(conn), *(Entry(kind="topic.created", actor="engine") for _ in range(count)))


def notes(ctx: Context) -> dict[int, str]:
    with ctx.db.reading() as conn:
        return {row.size: row.note for row in conn.execute(select(checkpoint_note))}


def kept(ctx: Context) -> Checkpoint | None:
    return newest_kept(checkpoint_file(ctx), LogKey(ctx.keyring))[0]


def crash(*_args: object) -> str:
    raise KeyboardInterrupt


def test_sealing_an_empty_queue_does_nothing(ctx: Context) -> None:
    assert seal(ctx, 1) is None
    assert not checkpoint_file(ctx).exists()


def test_sealing_places_signs_and_exports(ctx: Context) -> None:
    write(ctx, 3)
    sealed = seal(ctx, 1)
    assert sealed is not None
    assert (sealed.size, sealed.count) == (3, 3)
    assert notes(ctx) == {3: sealed.note}
    assert checkpoint_file(ctx).read_text() == sealed.note
    assert kept(ctx) == Checkpoint(ctx.keyring.audit_name, 3, sealed.root)
    assert seal(ctx, 1) is None


def test_batches_continue_one_tree(ctx: Context) -> None:
    write(ctx, 5)
    sizes = []
    while sealed := seal(ctx, 1, limit=2):
        sizes.append(sealed.size)
    assert sizes == [2, 4, 5]
    with ctx.db.reading() as conn:
        leaves = audit_log.leaf_hashes(conn, 0, 5)
        points = [audit_log.point_at(conn, size) for size in (4, 5)]
    assert points[0] is not None and points[1] is not None
    assert verify_consistency(4, 5, points[0].root, points[1].root, [leaves[4]])
    assert [len(note.splitlines()) for note in kept_notes(checkpoint_file(ctx))] == [5, 5, 5]


def test_a_transaction_slower_than_the_sealer_is_not_passed_over(ctx: Context) -> None:
    if ctx.db.is_sqlite:
        return  # its writers take turns: no transaction can commit an earlier id later
    with ctx.db.transaction() as slow:
        record(slow, 1, Entry(kind="topic.created", actor="engine", body={"slow": True}))
        write(ctx)
        assert seal(ctx, 1) is not None
    sealed = seal(ctx, 1)
    assert sealed is not None
    assert (sealed.size, sealed.count) == (2, 1)


def test_a_crash_between_commit_and_signature_is_mended(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    write(ctx)
    seal(ctx, 1)
    write(ctx)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(LogKey, "sign", crash)
        seal(ctx, 1)
    assert set(notes(ctx)) == {1}
    assert seal(ctx, 1) is None
    assert set(notes(ctx)) == {1, 2}
    assert kept(ctx) == LogKey(ctx.keyring).open(notes(ctx)[2])


def test_a_crash_before_the_export_is_mended(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    write(ctx)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(sealing, "_keep", crash)
        seal(ctx, 1)
    assert kept(ctx) is None
    assert mend(ctx) == notes(ctx)[1] == checkpoint_file(ctx).read_text()


def test_a_half_written_export_is_cut_off_and_written_again(ctx: Context) -> None:
    write(ctx)
    seal(ctx, 1)
    with checkpoint_file(ctx).open("a") as file:
        file.write(f"{ctx.keyring.audit_name}\n2\nha")
    write(ctx)
    seal(ctx, 1)
    assert checkpoint_file(ctx).read_text() == notes(ctx)[1] + notes(ctx)[2]


def test_a_leader_that_was_replaced_seals_nothing(ctx: Context) -> None:
    with ctx.db.transaction() as conn:
        conn.execute(insert(leader).values(epoch=7, since=1))
    write(ctx)
    with pytest.raises(AuditError, match="Another leader"):
        seal(ctx, 6)
    assert notes(ctx) == {}
    assert seal(ctx, 7) is not None


@pytest.mark.parametrize(
    "tampering",
    [
        ("DELETE FROM checkpoint_note", "DELETE FROM checkpoint", "DELETE FROM audit_leaf"),
        ("UPDATE checkpoint SET root = edge WHERE size = 1", "UPDATE checkpoint SET edge = root"),
        ("UPDATE checkpoint_note SET note = 'nothing'",),
        ("DELETE FROM checkpoint_note WHERE size = 2", "DELETE FROM checkpoint WHERE size = 2"),
    ],
)
def test_nothing_is_signed_that_does_not_continue_the_signed_log(ctx: Context, tampering: tuple[str, ...]) -> None:
    for _ in range(2):
        write(ctx)
        seal(ctx, 1)
    loosen(ctx, "UPDATE checkpoint SET root = root", *tampering)
    if "root = edge WHERE size = 1" in tampering[0]:
        loosen(ctx, "UPDATE checkpoint SET root = (SELECT hash FROM audit_leaf WHERE position = 0) WHERE size = 2")
    write(ctx)
    before = checkpoint_file(ctx).read_text()
    with pytest.raises(AuditError):
        seal(ctx, 1)
    assert checkpoint_file(ctx).read_text() == before
    with ctx.db.reading() as conn:
        assert audit_log.count_pending(conn) == 1


def test_a_leaf_changed_before_the_signature_is_not_signed(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    write(ctx)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(LogKey, "sign", crash)
        seal(ctx, 1)
    loosen(ctx, "UPDATE audit_leaf SET hash = (SELECT nonce FROM audit_entry)")
    with pytest.raises(AuditError, match="changed below"):
        mend(ctx)
    with ctx.db.reading() as conn:
        assert len(conn.execute(select(audit_leaf.c.hash)).all()) == 1
    assert notes(ctx) == {}
