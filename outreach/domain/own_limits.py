"""What a person may set for themselves: caps below the promise, hours in which no mail comes, how long a pause is.

Lower only: a cap is measured by its rate, and the promise goes on holding beside it, so that nobody's own setting ever
lets more mail through than the text they agreed to (PRODUCT.md, promise 4).
"""

from collections.abc import Iterable
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from outreach.domain.errors import InvalidInputError
from outreach.domain.frequency import SECOND, Cap

DAY = 86_400
PAUSES = (7, 30, 90)
"""Days a pause may last without naming a date."""

LONGEST_PAUSE = 366
"""Days until the latest date a pause may last to."""

LEAST_OPEN = 120
"""Minutes of a day in which mail may come: fewer, and a mail would rarely find its moment."""

_OFFERED = (
    Cap(1, 90 * DAY),
    Cap(1, 30 * DAY),
    Cap(2, 30 * DAY),
    Cap(1, 7 * DAY),
    Cap(2, 7 * DAY),
    Cap(3, 7 * DAY),
    Cap(1, DAY),
    Cap(2, DAY),
)


def is_lower(own: Cap, than: Cap) -> bool:
    """Whether `own` lets less through than another cap, over time."""
    return own.n * than.window < than.n * own.window


def lower_caps(*promises: Cap) -> tuple[Cap, ...]:
    """What is offered below every one of `promises`, the least first."""
    return tuple(cap for cap in _OFFERED if all(is_lower(cap, promise) for promise in promises))


def check_lower(own: Cap, promises: Iterable[Cap]) -> Cap:
    """`own`, if it is a cap and below each of `promises`. Raises InvalidInputError (field "cap")."""
    is_cap = own.n >= 1 and 3600 <= own.window <= LONGEST_PAUSE * DAY
    if not is_cap or not all(is_lower(own, promise) for promise in promises):
        raise InvalidInputError("Choose less than was promised to you. Nothing was changed.", "cap")
    return own


def check_quiet(start: int, end: int) -> tuple[int, int]:
    """Quiet hours (minutes after local midnight; equal: none) that leave room for mail. Raises InvalidInputError."""
    if not (0 <= start < 24 * 60 and 0 <= end < 24 * 60):
        raise InvalidInputError("Give both times as hours and minutes. Nothing was changed.", "quiet_from")
    if (end - start) % (24 * 60) > 24 * 60 - LEAST_OPEN:
        raise InvalidInputError(
            "Leave at least two hours a day in which mail may come. Nothing was changed.", "quiet_to"
        )
    return start, end


def pause_for(now: int, days: int) -> int:
    """When a pause of so many days ends (UTC microseconds). Raises InvalidInputError (field "days")."""
    if days not in PAUSES:
        raise InvalidInputError("Choose one of the lengths offered, or a date. Nothing was changed.", "days")
    return now + days * DAY * SECOND


def pause_until(now: int, last: date, zone: str) -> int:
    """The beginning of the day `last` where the person is (UTC microseconds), when their pause ends.

    Raises InvalidInputError (field "until") for a day that has begun or is more than a year away.
    """
    return check_pause(now, int(datetime.combine(last, time(), ZoneInfo(zone)).timestamp()) * SECOND)


def check_pause(now: int, ends: int) -> int:
    """`ends`, if a pause may last until then (UTC microseconds). Raises InvalidInputError (field "until")."""
    if not now < ends <= now + LONGEST_PAUSE * DAY * SECOND:
        raise InvalidInputError("Choose a day from tomorrow on, within a year. Nothing was changed.", "until")
    return ends


def most_in_any(instants: Iterable[int], window: int) -> int:
    """The most of `instants` (UTC microseconds) that fell into any one window of so many seconds."""
    ordered = sorted(instants)
    first = most = 0
    for place, at in enumerate(ordered):
        while at - ordered[first] >= window * SECOND:
            first += 1
        most = max(most, place - first + 1)
    return most
