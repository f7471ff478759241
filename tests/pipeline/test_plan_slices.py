"""Planning at size: slices that end between mailboxes, statements that do not multiply, sums that stay right."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, select, text

from outreach.pipeline import plan
from outreach.pipeline.reap import reap_expired
from outreach.services.context import Context
from outreach.services.forecast import progress
from outreach.store import tally, unfinished
from outreach.store.schema.audit import audit_entry, audit_pending
from outreach.store.schema.campaigns import message
from tests.counting import standing
from tests.factories import World
from tests.pipeline.claiming import claim_due
from tests.pipeline.conftest import Line

DAY = 86_400_000_000


@contextmanager
def counted(ctx: Context) -> Iterator[list[str]]:
    """The statements sent to the database meanwhile."""
    seen: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)

    event.listen(ctx.db.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(ctx.db.engine, "before_cursor_execute", note)


def audience(world: World, count: int, **consent: Any) -> int:
    """A topic that `count` people agreed to."""
    topic, words = world.topic(cap_n=1)
    for _ in range(count):
        world.grant(world.person(), topic, words, cap_n=1, **consent)
    return topic


def summed(line: Line, campaign_id: int) -> dict[tuple[str, str | None], int]:
    with line.ctx.db.reading() as conn:
        found = {stand: n for stand, n in tally.totals(conn, campaign_id).items() if n}
        assert found == standing(conn, campaign_id)
    return found


def test_a_mailbox_with_more_spellings_than_a_slice_stays_whole(
    line: Line, world: World, author: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "SLICE", 2)
    topic, words = world.topic()
    for address in ("a@example.org", *(f"b+{n}@example.org" for n in range(5)), "c@example.org", "d@example.org"):
        world.grant(world.person(address), topic, words)
    one = line.campaign(topic, author=author)
    line.plan()
    reasons = [reason for _state, reason in line.states(one).values()]
    assert (len(reasons), reasons.count("same_mailbox"), reasons.count(None)) == (8, 4, 4)


def test_each_slice_is_logged_with_its_counts_and_each_withheld_mail_by_name(
    line: Line, world: World, author: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "SLICE", 4)
    topic, words = world.topic()
    for state in ("granted", "paused", "granted", "withdrawn", "paused", "granted"):
        world.grant(world.person(), topic, words, state=state)
    one = line.campaign(topic, author=author)
    line.plan()
    first, second = line.entries("campaign.slice-planned")
    assert first == {"planned": 2, "paused": 1, "withdrawn": 1}
    assert second == {"planned": 1, "paused": 1}
    with line.ctx.db.reading() as conn:
        logged = conn.execute(select(audit_entry).where(audit_entry.c.kind == "message.withheld")).all()
        withheld = conn.execute(select(message.c.ref).where(message.c.state == "withheld")).scalars().all()
        assert sorted(row.message for row in logged) == sorted(withheld)
        assert len({row.nonce for row in logged}) == 3
        queued = set(conn.execute(select(audit_pending.c.entry)).scalars())
        assert {row.id for row in logged} <= queued
    assert summed(line, one) == {("planned", None): 3, ("withheld", "paused"): 2, ("withheld", "withdrawn"): 1}


def test_a_slice_takes_the_same_statements_however_many_are_in_it(line: Line, world: World, author: int) -> None:
    seen = []
    for people in (2, 9):
        line.campaign(audience(world, people), author=author)
        with counted(line.ctx) as statements:
            assert plan.plan_next(line.ctx)
        seen.append(len(statements))
        line.plan()
    assert seen[0] == seen[1]


def test_many_waiting_mails_are_looked_at_again_in_as_many_statements_as_few(
    line: Line, world: World, author: int
) -> None:
    seen = []
    for people in (2, 9):
        topic = audience(world, people, window=86_400)
        line.campaign(topic, author=author)
        line.plan()
        line.rounds()
        waits = line.campaign(topic, author=author, later_until=line.now() + 3 * DAY)
        line.plan()
        assert summed(line, waits) == {("waiting", None): people}
        line.pass_hours(25)
        with counted(line.ctx) as statements:
            assert plan.release_waiting(line.ctx) == people
        seen.append(len(statements))
        assert summed(line, waits) == {("planned", None): people}
        line.rounds()
        assert plan.finish_campaigns(line.ctx) == 2
    assert seen[0] == seen[1]


def test_a_campaign_with_a_mail_in_hand_is_not_finished(line: Line, world: World, author: int) -> None:
    one = line.campaign(audience(world, 2), author=author)
    line.plan()
    claim_due(line.ctx, "lost", 2)
    assert plan.finish_campaigns(line.ctx) == 0
    assert summed(line, one) == {("planned", None): 2}
    line.pass_hours(1)
    reap_expired(line.ctx)
    assert plan.finish_campaigns(line.ctx) == 1
    assert summed(line, one) == {("unknown", "no_reply"): 2}


def test_progress_knows_who_sleeps_and_when_they_wake(line: Line, world: World, author: int) -> None:
    topic, words = world.topic()
    for timezone in ("UTC", "UTC", "Asia/Kolkata"):
        world.grant(world.person(timezone=timezone), topic, words)
    minute = (line.now() // 60_000_000) % 1440
    with line.ctx.db.transaction() as conn:
        hours = {"a": (minute - 5) % 1440, "b": (minute + 60) % 1440}
        conn.execute(text("UPDATE contact SET quiet_from = :a, quiet_to = :b"), hours)
    one = line.campaign(topic, author=author)
    line.plan()
    seen = progress(line.ctx, one)
    assert (seen.to_go, seen.later, seen.total) == (1, (("quiet", 2),), 3)
    assert seen.next_later is not None
    assert 59 * 60_000_000 <= seen.next_later - line.now() <= 61 * 60_000_000
    line.rounds()
    assert progress(line.ctx, one).per_second == 1 / 60


def test_what_may_still_go_out_is_found_in_indexes_of_open_mail(line: Line) -> None:
    """Whatever the size of a campaign: a scan of it each second would stop everything else."""
    with line.ctx.db.reading() as conn:
        query = f"SELECT 1 FROM campaign WHERE {unfinished.may_go_out(conn)}"
        if line.ctx.db.is_sqlite:
            steps = [row.detail for row in conn.execute(text(f"EXPLAIN QUERY PLAN {query}"))]
        else:
            conn.execute(text("SET LOCAL enable_seqscan = off"))
            conn.execute(text("SET LOCAL enable_bitmapscan = off"))
            steps = list(conn.execute(text(f"EXPLAIN {query}")).scalars())
    assert any("ix_message_lane" in step for step in steps)
    assert any("ix_message_waiting" in step for step in steps)
    assert not any("SCAN m" in step or "Seq Scan on message" in step for step in steps)
