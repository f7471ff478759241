"""What a person may ask for, and by when it must be answered: GDPR 12(3), 15 to 18, 20 and 21."""

import calendar
from datetime import UTC, datetime
from enum import StrEnum

_DAY = 86_400_000_000
WARNING = 7 * _DAY
"""Microseconds before a request is due from which it is said to be due soon."""

MONTHS = 1
LONGER = 2
"""An extension adds so many months, once, for a reason told to the person within the first (GDPR 12(3))."""


class Kind(StrEnum):
    """What is asked for."""

    ACCESS = "access"
    PORTABILITY = "portability"
    CORRECTION = "correction"
    ERASURE = "erasure"
    OBJECTION = "objection"
    RESTRICTION = "restriction"


class State(StrEnum):
    """Where a request stands. An erasure is carried out once the mail that tells of it has left."""

    OPEN = "open"
    CARRYING_OUT = "carrying-out"
    DONE = "done"
    REFUSED = "refused"


def due(opened: int, *, is_extended: bool = False) -> int:
    """When a request that came at `opened` must be answered; both in UTC microseconds.

    The same date one month on, or three once extended; the month's last day where it has no such date (Regulation
    1182/71, Art. 3(2)(c)). The hour stays what it was, so that no reading of the rule is later than this one.
    """
    moment = datetime.fromtimestamp(opened // 1_000_000, UTC)
    number = moment.year * 12 + moment.month - 1 + MONTHS + (LONGER if is_extended else 0)
    year, month = number // 12, number % 12 + 1
    day = min(moment.day, calendar.monthrange(year, month)[1])
    later = moment.replace(year=year, month=month, day=day)
    return int(later.timestamp()) * 1_000_000 + opened % 1_000_000


def days_left(due_at: int, now: int) -> int:
    """Whole days until then; negative once it is over, -1 on the first day."""
    return (due_at - now) // _DAY
