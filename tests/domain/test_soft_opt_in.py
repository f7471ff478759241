"""How long a purchase carries mail: whole months of the calendar, never after the policy is off."""

from datetime import UTC, datetime

import pytest

from outreach.domain.soft_opt_in import FOR_EVER, Ground, months_later, stands_on, too_old


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("start", "months", "end"),
    [
        ("2026-01-31T10:00", 1, "2026-02-28T10:00"),
        ("2024-02-29T00:00", 24, "2026-02-28T00:00"),
        ("2026-11-22T23:59", 6, "2027-05-22T23:59"),
        ("2026-03-31T10:00", -1, "2026-02-28T10:00"),
        ("2026-01-05T10:00", -24, "2024-01-05T10:00"),
    ],
)
def test_months_are_those_of_the_calendar(start: str, months: int, end: str) -> None:
    assert months_later(at(start), months) == at(end)


def test_an_inquiry_never_lives_longer_than_half_a_year() -> None:
    bought = at("2026-01-10T12:00")
    allowed = {"on": True, "months": 24}
    assert stands_on(allowed, Ground.PURCHASE, bought).ends == at("2028-01-10T12:00")
    assert stands_on(allowed, Ground.INQUIRY, bought).ends == at("2026-07-10T12:00")
    assert stands_on({"on": True, "months": 3}, Ground.INQUIRY, bought).ends == at("2026-04-10T12:00")


def test_what_is_too_old_follows_the_policy_of_the_moment() -> None:
    now = at("2026-11-22T19:00")
    assert too_old({"on": True, "months": 6}, now) == at("2026-05-22T19:00")
    assert too_old({"on": False, "months": 24}, now) == FOR_EVER
