"""What is published, and when: whole tiles of entries, at most so often, and nothing of what lies between."""

import pytest
from sqlalchemy import select

from outreach.domain.errors import AuditError
from outreach.domain.padding import KIND
from outreach.services.context import Context
from outreach.services.seal import seal
from outreach.services.transparency import publish as publishing
from outreach.services.transparency.publish import newest, publish
from outreach.services.verify import verify
from outreach.store import audit_log
from outreach.store.schema.audit import audit_entry, leader
from tests.services.transparency.logs import pass_time, write, write_and_seal
from tests.tampering import loosen

HOUR = 3600


def published(ctx: Context) -> int:
    with ctx.db.reading() as conn:
        point = newest(conn)
        assert point is None or point.note is not None
        return point.size if point else 0


def test_an_empty_log_is_not_published(ctx: Context) -> None:
    assert publish(ctx, 1) is None
    assert published(ctx) == 0


def test_the_log_is_padded_to_whole_tiles_before_it_is_shown(ctx: Context) -> None:
    write(ctx, 3)
    size = publish(ctx, 1)
    assert size in {256, 512}
    assert published(ctx) == size
    with ctx.db.reading() as conn:
        kinds = conn.execute(select(audit_entry.c.kind)).scalars().all()
        nonces = conn.execute(select(audit_entry.c.nonce)).scalars().all()
    assert kinds.count(KIND) == size - 3
    assert len(set(nonces)) == size
    assert verify(ctx).is_clean


def test_what_is_sealed_between_stays_inside_until_its_time(ctx: Context) -> None:
    write_and_seal(ctx, 3)
    first = publish(ctx, 1)
    assert first is not None
    write_and_seal(ctx, 5)
    assert publish(ctx, 1) is None
    assert published(ctx) == first
    pass_time(ctx, HOUR)
    second = publish(ctx, 1)
    assert second is not None and second > first and second % 256 == 0
    assert published(ctx) == second


def test_with_nothing_new_nothing_is_published_and_nothing_padded(ctx: Context) -> None:
    write(ctx)
    first = publish(ctx, 1)
    for _ in range(3):
        pass_time(ctx, HOUR)
        assert publish(ctx, 1) is None
    with ctx.db.reading() as conn:
        assert audit_log.count_pending(conn) == 0
    assert published(ctx) == first


@pytest.mark.parametrize("dither", [0, 250, 255])
def test_a_crash_amid_publishing_is_made_good_by_the_next(
    ctx: Context, monkeypatch: pytest.MonkeyPatch, dither: int
) -> None:
    write(ctx, 10)
    monkeypatch.setattr("outreach.services.transparency.publish.randbelow", lambda _most: dither)

    def crash(*_args: object, **_more: object) -> None:
        raise KeyboardInterrupt

    for broken in ("seal", "_pad"):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(publishing, broken, crash)
            publish(ctx, 1)
        assert published(ctx) == 0
    size = publish(ctx, 1)
    assert size is not None and size % 256 == 0
    assert verify(ctx).is_clean


def test_a_leader_that_was_replaced_publishes_nothing(ctx: Context) -> None:
    write_and_seal(ctx)
    with ctx.db.transaction() as conn:
        conn.execute(leader.insert().values(epoch=7, since=1))
    with pytest.raises(AuditError, match="Another leader"):
        publish(ctx, 1)
    assert published(ctx) == 0
    assert publish(ctx, 7) is not None


def test_a_log_that_was_changed_is_not_published(ctx: Context) -> None:
    write_and_seal(ctx, 2)
    loosen(ctx, "DELETE FROM checkpoint_note", "DELETE FROM checkpoint", "DELETE FROM audit_leaf")
    write(ctx)
    with pytest.raises(AuditError):
        publish(ctx, 1)
    assert published(ctx) == 0
    with pytest.raises(AuditError):
        seal(ctx, 1)
