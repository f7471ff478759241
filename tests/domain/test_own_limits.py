"""What people may set for themselves: lower than the promise, never higher; hours with room for mail; pauses."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outreach.domain.errors import InvalidInputError
from outreach.domain.frequency import SECOND, Cap
from outreach.domain.own_limits import (
    DAY,
    check_lower,
    check_quiet,
    is_lower,
    lower_caps,
    most_in_any,
    pause_for,
    pause_until,
)

NOW = 1_790_000_000 * SECOND
CAPS = st.builds(Cap, st.integers(1, 30), st.sampled_from([DAY, 7 * DAY, 30 * DAY, 90 * DAY]))


@given(CAPS, CAPS)
def test_whatever_is_offered_lets_less_through_than_every_promise(promise: Cap, other: Cap) -> None:
    for cap in lower_caps(promise, other):
        assert cap.n / cap.window < promise.n / promise.window
        assert check_lower(cap, [promise, other]) == cap


@given(CAPS, CAPS)
def test_of_two_caps_at_most_one_is_lower(one: Cap, other: Cap) -> None:
    assert not (is_lower(one, other) and is_lower(other, one))
    assert not is_lower(one, one)


@pytest.mark.parametrize("own", [Cap(2, 7 * DAY), Cap(9, 7 * DAY), Cap(1, DAY), Cap(0, 7 * DAY), Cap(1, 1)])
def test_a_cap_at_or_above_the_promise_is_refused(own: Cap) -> None:
    with pytest.raises(InvalidInputError) as caught:
        check_lower(own, [Cap(2, 7 * DAY)])
    assert caught.value.field == "cap"


@pytest.mark.parametrize(("start", "end"), [(21 * 60, 8 * 60), (0, 0), (8 * 60, 18 * 60), (0, 22 * 60)])
def test_quiet_hours_may_be_longer_shorter_or_none(start: int, end: int) -> None:
    assert check_quiet(start, end) == (start, end)


@pytest.mark.parametrize(("start", "end"), [(8 * 60, 7 * 60), (0, 1439), (1440, 0), (-1, 10)])
def test_quiet_hours_leave_two_hours_for_mail(start: int, end: int) -> None:
    with pytest.raises(InvalidInputError):
        check_quiet(start, end)


def test_a_pause_lasts_the_days_chosen() -> None:
    assert pause_for(NOW, 30) == NOW + 30 * DAY * SECOND
    with pytest.raises(InvalidInputError):
        pause_for(NOW, 31)


def test_a_pause_ends_with_the_day_where_its_person_is() -> None:
    last = datetime.fromtimestamp(NOW / SECOND, UTC).date() + timedelta(days=3)
    ends = pause_until(NOW, last, "Pacific/Auckland")
    local = datetime.combine(last, datetime.min.time(), UTC).timestamp()
    assert 11 * 3600 <= local - ends / SECOND <= 13 * 3600


@pytest.mark.parametrize("last", [date(2020, 1, 1), date(2030, 1, 1)])
def test_a_pause_ends_within_a_year_from_now(last: date) -> None:
    with pytest.raises(InvalidInputError):
        pause_until(NOW, last, "UTC")


@given(st.lists(st.integers(0, 40)), st.integers(1, 10))
def test_the_busiest_window_is_found(seconds: list[int], window: int) -> None:
    instants = [one * SECOND for one in seconds]
    most = max((sum(1 for at in instants if start <= at < start + window * SECOND) for start in instants), default=0)
    assert most_in_any(instants, window) == most
