"""Rates, rests and warm-up of a pair: nothing leaves faster than allowed, and what was learned wears off."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from outreach.domain.pacing import (
    BURST,
    DAY,
    FASTEST,
    LONGEST_REST,
    PER_SECOND,
    SECOND,
    SLOWEST,
    WARM_UP,
    Limits,
    Pace,
    allowance,
    forget,
    give_back,
    is_held,
    is_notable,
    is_slow_down,
    learned,
    next_room,
    note,
    rate_of,
    recover,
    room,
    slow_down,
    take,
    try_again,
    warm_up_day,
)

NOW = 20_000 * DAY + DAY // 2
NONE = Limits()

rates = st.integers(1, 2_000_000)
waits = st.integers(0, 5 * SECOND)
limits = st.builds(
    Limits, st.none() | rates, st.just(()) | st.lists(st.integers(1, 500), min_size=1, max_size=4).map(tuple)
)
# (microseconds since the one before, messages wanted, how many of those leased come back, accepted, refused)
turns = st.lists(
    st.tuples(
        st.integers(0, 3 * SECOND) | st.integers(0, 2 * DAY),
        st.integers(1, 700),
        st.integers(0, 700),
        st.integers(0, 500),
        st.integers(0, 500),
    ),
    max_size=40,
)


def leases(bound: Limits, wishes: Iterable[tuple[int, int]], pace: Pace | None = None) -> list[tuple[int, int]]:
    """(instant, messages) of workers that each wait, then lease as much of what they want as there is room for."""
    pace, now = pace or Pace(), NOW
    taken = []
    for wait, wanted in wishes:
        now += wait
        free = room(pace, bound, now)
        mine = wanted if free is None else min(wanted, free)
        pace = take(pace, bound, now, mine)
        taken.append((now, mine))
    return taken


@given(rate=rates, wishes=st.lists(st.tuples(waits, st.integers(0, 5000)), max_size=40))
def test_no_window_holds_more_than_its_rate_and_one_burst(rate: int, wishes: list[tuple[int, int]]) -> None:
    taken = leases(Limits(ceiling=rate), wishes)
    burst = max(rate * BURST / SECOND / PER_SECOND, 1)
    for first, (start, _) in enumerate(taken):
        in_window = 0
        for end, messages in taken[first:]:
            in_window += messages
            assert in_window <= rate * (end - start) / SECOND / PER_SECOND + burst + 1e-6


@given(allowances=st.lists(st.integers(1, 5000), min_size=1, max_size=5), wishes=turns)
def test_no_day_gets_more_than_its_allowance(allowances: list[int], wishes: list[tuple[int, ...]]) -> None:
    bound, pace, now = Limits(allowances=tuple(allowances)), Pace(), NOW
    days: dict[int, int] = {}
    for wait, wanted, back, _, _ in wishes:
        now += wait
        free = room(pace, bound, now)
        if free is None:
            assert len([sent for sent in days.values() if sent]) >= len(allowances)
            break
        mine = min(wanted, free)
        pace = take(pace, bound, now, mine)
        pace = give_back(pace, bound, now, min(back, mine))
        returned = min(back, mine) if now % DAY > 3600 * SECOND else 0
        days[now // DAY] = days.get(now // DAY, 0) + mine - returned
    for sent, most in zip((sent for sent in days.values() if sent), allowances, strict=False):
        assert sent <= most


@example(bound=Limits(1_833_336), course=[(0, 1, 0, 2, 1)])  # a ceiling no learned rate may come near
@given(bound=limits, course=turns)
def test_rates_and_room_stay_within_bounds_whatever_happens(bound: Limits, course: list[tuple[int, ...]]) -> None:
    pace, now = Pace(), NOW
    for wait, wanted, back, accepted, refused in course:
        now += wait
        free = room(pace, bound, now)
        assert free is None or free >= 0
        mine = wanted if free is None else min(wanted, free)
        pace = give_back(take(pace, bound, now, mine), bound, now, min(back, mine))
        pace = note(pace, now, accepted, refused)
        if is_notable(pace, refused):
            pace = slow_down(pace, bound, now, accepted, refused, "421")
        else:
            pace = recover(pace, bound, now, accepted)
        rate = rate_of(pace, bound, now)
        assert rate is None or rate > 0
        assert bound.ceiling is None or (rate is not None and rate <= bound.ceiling)
        assert pace.rate is None or pace.rate <= FASTEST
        assert pace.sent >= 0
        assert pace.resting <= now + LONGEST_REST


@given(start=st.integers(SLOWEST, 500_000), course=st.lists(st.tuples(st.integers(0, SECOND), st.integers(0, 200))))
def test_without_refusals_the_rate_never_falls(start: int, course: list[tuple[int, int]]) -> None:
    pace, now = Pace(rate=start, slowed=NOW), NOW
    rate: float = start
    for wait, accepted in course:
        now += wait
        pace = recover(pace, NONE, now, accepted)
        after = rate_of(pace, NONE, now)
        assert after is None or after >= rate
        rate = float("inf") if after is None else after


@given(bound=limits, course=turns)
def test_next_room_is_when_something_fits_and_no_batch_before(bound: Limits, course: list[tuple[int, ...]]) -> None:
    pace, now = Pace(), NOW
    for wait, wanted, _, accepted, refused in course:
        now += wait
        free = room(pace, bound, now)
        pace = take(pace, bound, now, wanted if free is None else min(wanted, free))
        pace = note(pace, now, accepted, refused)
        if is_notable(pace, refused):
            pace = slow_down(pace, bound, now, accepted, refused, "421")
        at = next_room(pace, bound, now)
        assert at >= now
        then = room(pace, bound, at)
        assert then is None or then >= 1
        if at > now + 1 and allowance(pace, bound, at - 1) != 0:
            before, rate = room(pace, bound, at - 1), rate_of(pace, bound, at - 1)
            assert before is not None and rate is not None
            assert before == 0 or before < rate * 0.5 / PER_SECOND


def test_an_idle_pair_may_send_two_seconds_worth_at_once_and_always_one() -> None:
    assert room(Pace(), Limits(ceiling=50 * PER_SECOND), NOW) == 100
    assert room(Pace(), Limits(ceiling=1), NOW) == 1


def test_a_pair_nothing_limits_has_no_limit() -> None:
    assert room(Pace(), NONE, NOW) is None
    assert not is_held(Pace(), NONE, NOW)


def test_what_is_given_back_may_be_taken_again() -> None:
    bound = Limits(ceiling=50 * PER_SECOND)
    pace = take(Pace(), bound, NOW, 100)
    assert room(pace, bound, NOW) == 0
    assert room(give_back(pace, bound, NOW, 40), bound, NOW) == 40


def test_two_workers_share_one_bucket() -> None:
    taken = leases(Limits(ceiling=10 * PER_SECOND), [(0, 500), (0, 500), (SECOND, 500), (0, 500)])
    assert [messages for _, messages in taken] == [20, 0, 10, 0]


def test_a_refusal_cuts_the_rate_to_the_share_that_was_accepted() -> None:
    pace = slow_down(Pace(), NONE, NOW, accepted=40, refused=460, code="421 4.7.28")
    assert pace.rate is not None
    assert 20 * PER_SECOND < pace.rate < 40 * PER_SECOND
    assert (pace.code, pace.strikes, pace.slowed) == ("421 4.7.28", 1, NOW)
    slightly = slow_down(Pace(rate=20 * PER_SECOND, slowed=NOW), NONE, NOW, accepted=38, refused=2, code="421")
    assert slightly.rate == 14 * PER_SECOND


def test_a_single_refusal_does_not_bring_a_pair_to_a_halt() -> None:
    pace = slow_down(Pace(), NONE, NOW, accepted=0, refused=1, code="421")
    assert pace.rate is not None
    assert pace.rate >= 4 * PER_SECOND


def test_the_rest_doubles_with_each_refusal_in_a_row_up_to_a_quarter_of_an_hour() -> None:
    pace, now, rests = Pace(), NOW, []
    for _ in range(10):
        pace = slow_down(pace, NONE, now, accepted=0, refused=1, code="421")
        rests.append((pace.resting - now) // SECOND)
        now = pace.resting
    assert rests == [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]
    assert pace.rate == SLOWEST
    kind = recover(pace, NONE, now, accepted=1)
    assert slow_down(kind, NONE, now, 0, 1, "421").resting == now + 5 * SECOND


def test_refusals_of_mail_that_was_on_its_way_count_once() -> None:
    once = slow_down(Pace(), NONE, NOW, 0, 200, "421")
    assert slow_down(once, NONE, NOW + SECOND, 0, 200, "421") == once
    assert recover(once, NONE, NOW + SECOND, 200) == once


def test_nothing_leaves_during_a_rest_and_one_message_ends_it() -> None:
    pace = slow_down(Pace(), NONE, NOW, 0, 500, "421")
    assert room(pace, NONE, pace.resting - 1) == 0
    assert next_room(pace, NONE, NOW) == pace.resting
    assert room(pace, NONE, pace.resting) == 1


def test_a_full_pace_doubles_in_three_and_a_half_minutes() -> None:
    pace, now = Pace(rate=20 * PER_SECOND, slowed=NOW), NOW
    for _ in range(210):
        now += SECOND
        assert pace.rate is not None
        pace = recover(pace, NONE, now, pace.rate // PER_SECOND)
    assert pace.rate is not None
    assert 38 * PER_SECOND < pace.rate < 42 * PER_SECOND


def test_a_pace_that_is_not_used_hardly_grows() -> None:
    pace = Pace(rate=20 * PER_SECOND, slowed=NOW)
    for second in range(210):
        pace = recover(pace, NONE, NOW + second * SECOND, 1)
    assert pace.rate is not None
    assert pace.rate < 21 * PER_SECOND


def test_what_was_learned_is_forgotten_at_the_ceiling_at_great_speed_or_after_a_day() -> None:
    low = Pace(rate=9_990, slowed=NOW, strikes=2, code="421")
    assert recover(low, Limits(ceiling=10_000), NOW, 10).rate is None
    assert recover(replace(low, rate=FASTEST - 1), NONE, NOW, 10).rate is None
    assert learned(low, NOW + DAY - 1) == 9_990
    assert not is_held(low, NONE, NOW + DAY)
    assert forget(replace(low, resting=NOW + SECOND), NONE, NOW) == Pace()


@given(rate=rates, leased=st.integers(1, 50))
def test_forgetting_what_was_learned_gives_no_second_burst_under_a_ceiling(rate: int, leased: int) -> None:
    bound = Limits(ceiling=rate)
    pace = Pace(rate=max(1, rate // 8), slowed=NOW)
    free = room(pace, bound, NOW) or 0
    mine = min(leased, free)
    after = forget(take(pace, bound, NOW, mine), bound, NOW)
    most = rate * BURST // SECOND // PER_SECOND
    assert mine + (room(after, bound, NOW) or 0) <= max(most, 1)


def test_the_warm_up_takes_a_step_a_day_that_mail_leaves_and_ends() -> None:
    bound, pace = Limits(allowances=(2, 5)), Pace()
    at = NOW
    assert (warm_up_day(pace, bound, at), allowance(pace, bound, at)) == (1, 2)
    pace = take(pace, bound, at, 2)
    assert (room(pace, bound, at + SECOND), next_room(pace, bound, at)) == (0, at - at % DAY + DAY)
    at += 3 * DAY
    assert (warm_up_day(pace, bound, at), allowance(pace, bound, at)) == (2, 5)
    at += 3 * DAY
    assert warm_up_day(pace, bound, at) == 2  # on the days between nothing left
    pace = take(pace, bound, at, 1)
    assert (warm_up_day(pace, bound, at + DAY), room(pace, bound, at + DAY)) == (None, None)


def test_what_was_leased_yesterday_gives_today_nothing_back() -> None:
    bound, midnight = Limits(allowances=(5, 5)), NOW - NOW % DAY + DAY
    pace = take(Pace(), bound, midnight - SECOND, 5)
    pace = take(pace, bound, midnight + SECOND, 5)
    assert allowance(give_back(pace, bound, midnight + 2 * SECOND, 5), bound, midnight + 2 * SECOND) == 0
    noon = midnight + DAY // 2
    assert allowance(give_back(pace, bound, noon, 2), bound, noon) == 2


def test_a_days_allowance_leaves_over_an_hour() -> None:
    wishes = [(SECOND, 5000)] * 3600
    taken = leases(Limits(allowances=(7200,)), wishes)
    assert sum(messages for at, messages in taken if at < NOW + 1800 * SECOND) <= 3604
    assert sum(messages for _, messages in taken) >= 7190


def test_the_usual_schedule_at_most_doubles() -> None:
    assert (WARM_UP[0], WARM_UP[-1]) == (50, 409_600)
    assert all(after == 2 * before for before, after in pairwise(WARM_UP))


@pytest.mark.parametrize(
    ("accepted", "refused", "notable"), [(99, 1, False), (95, 5, True), (0, 1, False), (0, 5, True), (9, 0, False)]
)
def test_a_rare_refusal_is_not_about_the_pace(accepted: int, refused: int, notable: bool) -> None:
    assert is_notable(note(Pace(), NOW, accepted, refused), refused) is notable


def test_small_batches_are_judged_together() -> None:
    pace, slowed = Pace(), 0
    for number in range(3000):
        refused = int(number % 12 == 0)  # one in a hundred, in batches of eight
        pace = note(pace, NOW, 8 - refused, refused)
        slowed += is_notable(pace, refused)
    assert slowed == 0
    for _ in range(40):
        pace = note(pace, NOW, 6, 2)
        slowed += is_notable(pace, 2)
    assert slowed > 0


def test_after_a_rest_the_first_refusal_counts_until_something_was_accepted() -> None:
    pace = slow_down(Pace(), NONE, NOW, 0, 100, "421")
    assert note(pace, NOW, 0, 9) == pace  # it had left before
    after = note(pace, pace.resting, 0, 1)
    assert is_notable(after, 1)
    assert not is_notable(note(recover(pace, NONE, pace.resting, 1), pace.resting, 0, 1), 1)


@given(course=st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 2000)), max_size=30))
def test_what_was_met_is_remembered_within_bounds(course: list[tuple[int, int]]) -> None:
    pace = Pace()
    for passed, refused in course:
        pace = note(pace, NOW, passed, refused)
        assert 0 <= pace.passed + pace.refused <= 1000
        assert pace.refused or not pace.passed


def test_a_message_refused_for_the_pace_comes_back_with_the_next_room_and_later_each_time() -> None:
    assert try_again(NOW + 900 * SECOND, NOW, 1) == NOW + 900 * SECOND
    assert try_again(NOW, NOW, 1) == NOW + 60 * SECOND
    assert try_again(NOW, NOW, 500) == NOW + 1800 * SECOND


# In the providers' manner of speaking; addresses are documentation's.
SLOW_DOWNS = [
    (421, "4.7.28", "421 4.7.28 [192.0.2.1] Gmail has detected an unusual rate of unsolicited mail"),
    (421, "4.7.0", "421 4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to unexpected volume"),
    (421, "", "421 RP-001 (BAY004) Unfortunately, some messages from 192.0.2.1 weren't sent"),
    (451, "4.7.650", "451 4.7.650 [192.0.2.1] has been temporarily rate limited due to IP reputation (S775)"),
    (451, "4.7.500", "451 4.7.500 Server busy. Please try again later (S77719)"),
    (450, "", "450 too many connections from your IP (rate controlled)"),
    (452, "4.3.1", "452 4.3.1 Message rate exceeded"),
    (454, "", "454 Throttling failure: Maximum sending rate exceeded."),
    (451, "4.4.5", "451 4.4.5 Server busy"),
    (550, "5.7.1", "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent (S3150)"),
    (550, "5.4.5", "550 5.4.5 Daily sending quota exceeded"),
]  # fmt: skip
OTHERS = [
    (250, "2.0.0", "250 2.0.0 OK rate limit"),
    (None, "", "The relay did not answer"),
    (450, "4.2.0", "450 4.2.0 Recipient address rejected: Greylisted"),
    (451, "4.7.1", "451 4.7.1 Greylisting in action, please come back later"),
    (450, "4.2.1", "450 4.2.1 The user is receiving mail at a rate that prevents additional messages; rate limit"),
    (452, "4.2.2", "452 4.2.2 The recipient's mailbox is over its storage limit"),
    (421, "4.4.2", "421 4.4.2 Error: timeout exceeded"),
    (451, "4.3.0", "451 4.3.0 Temporary failure"),
    (550, "5.1.1", "550 5.1.1 No such user"),
    (550, "5.7.26", "550 5.7.26 Unauthenticated mail is not accepted"),
    (554, "5.7.1", "554 5.7.1 Content rejected"),
]


@pytest.mark.parametrize(("code", "enhanced", "reply"), SLOW_DOWNS)
def test_replies_that_ask_for_less_mail_slow_a_pair_down(code: int, enhanced: str, reply: str) -> None:
    assert is_slow_down(code, enhanced, reply)


@pytest.mark.parametrize(("code", "enhanced", "reply"), OTHERS)
def test_replies_about_one_mail_do_not(code: int | None, enhanced: str, reply: str) -> None:
    assert not is_slow_down(code, enhanced, reply)
