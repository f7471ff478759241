"""The clock of a person's request: a month by the calendar, two more once, never later than the law allows."""

from datetime import UTC, datetime

import pytest

from outreach.domain.rights import days_left, due


def _at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("came", "month", "longer"),
    [
        ("2026-03-05T10:20:30", "2026-04-05T10:20:30", "2026-06-05T10:20:30"),
        ("2026-01-31T23:59:59", "2026-02-28T23:59:59", "2026-04-30T23:59:59"),
        ("2028-01-31T08:00:00", "2028-02-29T08:00:00", "2028-04-30T08:00:00"),
        ("2026-11-30T08:00:00", "2026-12-30T08:00:00", "2027-02-28T08:00:00"),
        ("2026-12-15T08:00:00", "2027-01-15T08:00:00", "2027-03-15T08:00:00"),
    ],
)
def test_a_month_ends_on_the_same_date_or_the_last_there_is(came: str, month: str, longer: str) -> None:
    assert due(_at(came)) == _at(month)
    assert due(_at(came), is_extended=True) == _at(longer)


def test_what_is_left_is_told_in_whole_days_and_overdue_from_the_first_moment() -> None:
    end = _at("2026-04-05T10:00:00")
    assert days_left(end, _at("2026-04-03T10:00:00")) == 2
    assert days_left(end, _at("2026-04-05T09:59:59")) == 0
    assert days_left(end, end + 1) == -1
