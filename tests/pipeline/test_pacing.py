"""Leasing room and learning from answers, over real rows; then the whole pipeline against a provider that refuses."""

import threading
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal

from sqlalchemy import event

from outreach.domain.pacing import DAY, SECOND, Pace
from outreach.hosts import Pacing, Relay
from outreach.mail.transport import Outcome, Result
from outreach.pipeline.pacing import (
    Lease,
    give_back,
    held_pairs,
    learn,
    lease_for,
    next_room,
    open_lanes,
    room,
    worth_looking,
)
from outreach.services.context import Context
from outreach.store.pacing import hold_paces, read_paces, save_paces
from tests.pipeline.conftest import Line

PAIR = ("main", "gmail")


def paced(ctx: Context, **relays: Pacing) -> Context:
    """The same with these relays."""
    made = {name: Relay(host="127.0.0.1", pacing=pacing) for name, pacing in relays.items()}
    changed = {"relays": made, "public_url": "https://mail.northfield.example"}
    return replace(ctx, settings=ctx.settings.model_copy(update=changed))


def pooled(ctx: Context) -> Context:
    """The same with two relays in the pool that the sender names."""
    ctx = paced(ctx, main=Pacing(gmail=Decimal(10)), second=Pacing(gmail=Decimal(5)), third=Pacing(gmail=Decimal(1)))
    relays = ctx.settings.relays
    relays["second"] = relays["second"].model_copy(update={"pool": "main"})
    return ctx


def lease(ctx: Context, wanted: int, *, relays: Sequence[str] = ("main",), now: int = 0) -> dict[str, int] | None:
    with ctx.db.transaction() as conn:
        return room(ctx, conn, now or ctx.db.now(conn), relays, "gmail", wanted)


def answered(ctx: Context, *answers: tuple[int, str], relay: str = "main", now: int = 0) -> dict[int, int]:
    """Learn from (SMTP code, enhanced code) of messages to Gmail, numbered from 1."""
    results = {2: Result.SENT, 4: Result.DEFERRED, 5: Result.FAILED}
    outcomes = [
        Outcome(number, results[code // 100], code=code, enhanced=enhanced, relay=relay)
        for number, (code, enhanced) in enumerate(answers, 1)
    ]
    with ctx.db.transaction() as conn:
        return learn(ctx, conn, now or ctx.db.now(conn), outcomes, {one.message_id: "gmail" for one in outcomes})


def row(ctx: Context) -> Pace | None:
    with ctx.db.reading() as conn:
        return read_paces(conn).get(PAIR)


def clock(ctx: Context) -> int:
    with ctx.db.reading() as conn:
        return ctx.db.now(conn)


TAKEN, REFUSED = (250, ""), (421, "4.7.28")


def test_a_pair_nothing_limits_costs_one_read_and_has_no_row(ctx: Context) -> None:
    said: list[str] = []
    event.listen(ctx.db.engine, "before_cursor_execute", lambda *args: said.append(args[2]))
    assert lease(paced(ctx, main=Pacing()), 500, now=1) is None
    answered(ctx, *[TAKEN] * 500, now=1)
    asked = [one for one in said if not one.startswith("BEGIN")]
    assert [one.split()[0] for one in asked] == ["SELECT", "SELECT"]
    assert row(ctx) is None


def test_a_ceiling_leases_two_seconds_worth_then_what_time_brings(ctx: Context) -> None:
    ctx = paced(ctx, main=Pacing(gmail=10))
    now = clock(ctx)
    assert lease(ctx, 500, now=now) == {"main": 20}
    assert lease(ctx, 500, now=now) == {"main": 0}
    assert lease(ctx, 500, now=now + SECOND) == {"main": 10}


def test_a_relay_without_limits_beside_one_with_a_ceiling_may_take_everything(ctx: Context) -> None:
    ctx = paced(ctx, main=Pacing(gmail=10), second=Pacing(yahoo=1))
    assert lease(ctx, 500, relays=["second", "main"]) == {"second": 500, "main": 20}


def test_many_workers_at_once_lease_no_more_than_one_would(ctx: Context) -> None:
    ctx = paced(ctx, main=Pacing(gmail=50))
    now, leased = clock(ctx), []
    ready = threading.Barrier(6)

    def work() -> None:
        ready.wait(30)
        for _ in range(4):
            leased.append((lease(ctx, 30, now=now) or {})["main"])

    workers = [threading.Thread(target=work) for _ in range(6)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert len(leased) == 24
    assert sum(leased) == 100


def test_what_no_message_used_is_given_back(ctx: Context) -> None:
    ctx = paced(ctx, main=Pacing(gmail=10), second=Pacing())
    assert lease(ctx, 15, relays=["main", "second"]) == {"main": 15, "second": 15}
    give_back(ctx, {"main": 15, "second": 3}, "gmail")
    give_back(ctx, {"main": 0}, "gmail")
    assert lease(ctx, 20) == {"main": 20}


def test_the_warm_up_leases_a_days_allowance_and_tells_when_the_next_day_comes(ctx: Context) -> None:
    ctx = paced(ctx, main=Pacing(warm_up=(3, 7)))
    now = clock(ctx)
    now += DAY - now % DAY
    assert [lease(ctx, 9, now=now + hour * 3600 * SECOND) for hour in range(4)] == [
        {"main": one} for one in (1, 1, 1, 0)
    ]
    with ctx.db.reading() as conn:
        held = held_pairs(ctx, conn, now + 4 * 3600 * SECOND)
    assert held == {PAIR: now + DAY}
    assert lease(ctx, 9, now=now + DAY) == {"main": 1}


def test_a_lane_waits_only_while_no_relay_of_its_pool_has_room(ctx: Context) -> None:
    ctx = paced(ctx, main=Pacing(gmail=10), second=Pacing(gmail=1))
    now = clock(ctx)
    lease(ctx, 500, relays=["main"], now=now)
    with ctx.db.reading() as conn:
        held = held_pairs(ctx, conn, now)
    assert next_room(held, ["main"], "gmail", now) == now + SECOND // 2
    assert next_room(held, ["main", "second"], "gmail", now) == now
    assert next_room(held, ["main"], "yahoo", now) == now


def test_a_refusal_makes_the_pair_rest_and_says_so_in_the_log(line: Line) -> None:
    ctx, now = line.ctx, clock(line.ctx)
    again = answered(ctx, *[TAKEN] * 20, *[REFUSED] * 80, now=now)
    kept = row(ctx)
    assert kept is not None
    assert (kept.resting, kept.code) == (now + 5 * SECOND, "421 4.7.28")
    assert lease(ctx, 500, now=now + 4 * SECOND) == {"main": 0}
    assert set(again) == set(range(21, 101))
    assert set(again.values()) == {kept.resting}
    body = {"relay": "main", "provider": "gmail", "rate": "11.111/s", "rest": 5, "code": "421 4.7.28"}
    assert line.entries("pace.slowed") == [body]
    answered(ctx, REFUSED, now=now + SECOND)
    assert len(line.entries("pace.slowed")) == 1


def test_one_refusal_among_many_is_not_the_providers_word(line: Line) -> None:
    ctx = line.ctx
    assert set(answered(ctx, *[TAKEN] * 99, REFUSED)) == {100}
    assert row(ctx) == Pace(passed=99, refused=1)
    assert lease(ctx, 500) is None
    answered(ctx, *[TAKEN] * 3000)
    assert row(ctx) is None
    assert line.entries("pace.slowed") == line.entries("pace.recovered") == []


def test_refusals_in_batches_of_one_are_counted_together(line: Line) -> None:
    now, slowed = clock(line.ctx), []
    for _ in range(5):
        again = answered(line.ctx, REFUSED, now=now)
        slowed.append(again[1] > now)
    assert slowed == [False] * 4 + [True]
    assert len(line.entries("pace.slowed")) == 1


def test_what_no_relay_answered_teaches_nothing(ctx: Context) -> None:
    answered(ctx, REFUSED, relay="")
    outcome = Outcome(1, Result.DEFERRED, relay="main", reply="The relay did not answer: rate limit")
    with ctx.db.transaction() as conn:
        assert learn(ctx, conn, ctx.db.now(conn), [outcome], {1: "gmail"}) == {}
    assert row(ctx) is None


def test_only_the_pair_that_was_refused_is_slowed(ctx: Context) -> None:
    answered(ctx, *[REFUSED] * 5)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        assert room(ctx, conn, now, ["main"], "gmail", 500) == {"main": 0}
        assert room(ctx, conn, now, ["main"], "yahoo", 500) is None
        assert room(ctx, conn, now, ["other"], "gmail", 500) is None


def test_a_pair_that_recovered_is_forgotten_and_free_again(line: Line) -> None:
    ctx, now = line.ctx, clock(line.ctx)
    with ctx.db.transaction() as conn:
        hold_paces(conn, [PAIR])
        save_paces(conn, {PAIR: Pace(rate=999_900, slowed=now)})
    answered(ctx, *[TAKEN] * 100, now=now)
    assert row(ctx) is None
    assert line.entries("pace.recovered") == [{"relay": "main", "provider": "gmail"}]
    assert lease(ctx, 500, now=now) is None


def test_recovery_stops_at_the_ceiling_and_keeps_its_bucket(ctx: Context) -> None:
    ctx, now = paced(ctx, main=Pacing(gmail=10)), clock(ctx)
    lease(ctx, 500, now=now)
    answered(ctx, *[REFUSED] * 9, now=now)
    later = now + 3600 * SECOND
    for second in range(2000):
        with ctx.db.reading() as conn:
            if read_paces(conn)[PAIR].rate is None:
                break
        answered(ctx, *[TAKEN] * 20, now=later + second * SECOND)
    kept = row(ctx)
    assert kept is not None
    assert kept.rate is None
    assert lease(ctx, 500, now=later + 3600 * SECOND) == {"main": 20}


def test_a_rate_nobody_tested_for_a_day_holds_nobody(ctx: Context) -> None:
    now = clock(ctx)
    answered(ctx, *[REFUSED] * 5, now=now)
    assert lease(ctx, 500, now=now + 6 * SECOND) is not None
    assert lease(ctx, 500, now=now + DAY) is None
    answered(ctx, TAKEN, now=now + DAY)
    assert row(ctx) is None


def test_a_campaigns_lane_is_limited_by_its_senders_pool_and_other_lanes_by_nothing(line: Line, author: int) -> None:
    topic, _ = line.world.topic()
    lane = f"5-campaign-{line.campaign(topic, author=author)}-gmail"
    ctx = pooled(line.ctx)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        assert worth_looking(ctx, conn, now, lane, 500) == 30
        assert worth_looking(ctx, conn, now, lane, 7) == 7
        leased = lease_for(ctx, conn, now, lane, 500)
        assert leased == Lease("gmail", {"main": 20, "second": 10})
        assert worth_looking(ctx, conn, now, lane, 500) == 0
        assert lease_for(ctx, conn, now, lane.replace("gmail", "yahoo"), 500) is None
        assert worth_looking(ctx, conn, now, "1-confirmation", 500) == 500
        assert lease_for(ctx, conn, now, "1-confirmation", 500) is None
        assert open_lanes(ctx, conn, now, [lane, "1-confirmation"]) == ["1-confirmation"]
        assert open_lanes(ctx, conn, now + SECOND, [lane, "1-confirmation"]) == [lane, "1-confirmation"]


def test_a_lease_knows_what_its_batch_did_not_use() -> None:
    lease = Lease("gmail", {"main": 3, "second": 2})
    results = [("main", Result.SENT), ("main", Result.DEFERRED), ("second", Result.PUT_BACK), ("", Result.FAILED)]
    outcomes = [Outcome(number, result, relay=relay) for number, (relay, result) in enumerate(results)]
    assert (lease.total, lease.left(outcomes)) == (5, {"main": 1, "second": 2})
