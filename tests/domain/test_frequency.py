"""Caps over exact rolling windows, the give ratio and quiet hours."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from outreach.domain.frequency import SECOND, Cap, Past, allows, gives_enough, quiet_until, used

HOUR = 3600


def past(counted: int | None, *, kind: str = "informational", planned: int = 0, topic: int = 1) -> Past:
    return Past("campaign", kind, topic, planned, counted, accepted=counted is not None)


def test_a_message_counts_until_exactly_one_window_after_its_hand_off() -> None:
    cap = Cap(1, HOUR)
    ledger = [past(1000 * SECOND)]
    assert not allows(ledger, cap, (1000 + HOUR) * SECOND - 1)
    assert allows(ledger, cap, (1000 + HOUR) * SECOND)


def test_two_calendar_days_are_one_window() -> None:
    """A peer counted calendar days, so that 23:00 and 00:00 both passed."""
    at_23 = int(datetime(2026, 3, 1, 23, tzinfo=UTC).timestamp()) * SECOND
    assert not allows([past(at_23)], Cap(1, 24 * HOUR), at_23 + HOUR * SECOND)


def test_what_is_reserved_counts_whatever_its_age() -> None:
    assert used([past(None)], Cap(1, HOUR), 10**18) == 1


@given(
    cap_n=st.integers(1, 4),
    window=st.integers(1, 50),
    wishes=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 60)), max_size=60),
)
def test_no_window_ever_holds_more_than_n(cap_n: int, window: int, wishes: list[tuple[int, int]]) -> None:
    """Each wish comes some time after the last one and, if allowed, is handed off after a delay; retries reserve on."""
    cap = Cap(cap_n, window)
    clock = 0
    planned: list[tuple[int, int]] = []  # (planned, handed off)
    for wait, delay in wishes:
        clock += wait
        now = clock * SECOND
        ledger = [past(sent * SECOND if sent <= clock else None) for _planned, sent in planned]
        if allows(ledger, cap, now):
            planned.append((clock, clock + delay))
    sent = sorted(sent for _planned, sent in planned)
    for start in sent:
        assert sum(1 for one in sent if start <= one < start + window) <= cap_n


def test_an_offer_needs_its_useful_mails_first_and_each_serves_once() -> None:
    useful = [past(10 + i) for i in range(3)]
    assert gives_enough(useful, 1, 3, before=100)
    assert not gives_enough(useful, 1, 4, before=100)
    offer = past(60, kind="promotional", planned=50)
    assert not gives_enough([*useful, offer], 1, 3, before=100)
    assert gives_enough([*useful, offer, *(past(70 + i) for i in range(3))], 1, 3, before=100)


def test_useful_mail_of_another_topic_does_not_pay_for_an_offer() -> None:
    assert not gives_enough([past(10, topic=2)], 1, 1, before=100)


ZONES = ["UTC", "Europe/Stockholm", "America/New_York", "Asia/Kolkata", "Pacific/Auckland", "Australia/Lord_Howe"]


@given(
    at=st.integers(1_700_000_000, 1_900_000_000),
    zone=st.sampled_from(ZONES),
    quiet=st.tuples(st.integers(0, 1439), st.integers(0, 1439)),
)
def test_quiet_hours_end_where_the_persons_own_clock_says(at: int, zone: str, quiet: tuple[int, int]) -> None:
    start, end = quiet
    until = quiet_until(at * SECOND, zone, start, end)
    assert until >= at * SECOND
    assert until - at * SECOND <= 26 * HOUR * SECOND
    local = datetime.fromtimestamp(until / SECOND, UTC).astimezone(ZoneInfo(zone))
    minute = local.hour * 60 + local.minute
    if start == end:
        assert until == at * SECOND
    elif start < end:
        assert not start <= minute < end
    else:
        assert end <= minute < start


def test_a_night_with_a_clock_change_still_ends_at_eight() -> None:
    zone = "Europe/Stockholm"
    night = int(datetime(2026, 3, 29, 0, 30, tzinfo=ZoneInfo(zone)).timestamp()) * SECOND
    until = quiet_until(night, zone, 21 * 60, 8 * 60)
    assert datetime.fromtimestamp(until / SECOND, ZoneInfo(zone)) == datetime(2026, 3, 29, 8, tzinfo=ZoneInfo(zone))
