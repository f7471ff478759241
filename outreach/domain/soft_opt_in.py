"""The soft opt-in: mail that stands on a purchase or an inquiry, with its evidence, while an officer allows it.

ePrivacy Directive 13(2): for the controller's own similar products alone, where objecting was offered when the address
was taken. It is no consent, and never the default. It ends at the latest when CASL s. 10(10) would end it.
"""

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from outreach.domain.policy_kinds import INQUIRY_MONTHS, Value

FOR_EVER = 2**63 - 1
"""Later than any instant."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Ground(StrEnum):
    """What it stands on."""

    PURCHASE = "purchase"
    INQUIRY = "inquiry"


@dataclass(frozen=True)
class Soft:
    """What one person's mail stands on: since `at` and until `ends`, UTC microseconds."""

    ground: Ground
    at: int
    ends: int


def stands_on(value: Value, ground: Ground, at: int) -> Soft:
    """A purchase or an inquiry at `at` under the policy `value`, whose months count from then."""
    months = value["months"]
    return Soft(ground, at, months_later(at, min(months, INQUIRY_MONTHS) if ground == Ground.INQUIRY else months))


def too_old(value: Value, now: int) -> int:
    """What happened up to this instant carries no mail at `now`; nothing does while the policy is off."""
    return months_later(now, -value["months"]) if value["on"] else FOR_EVER


def months_later(at: int, months: int) -> int:
    """The same day so many months later, or that month's last; UTC microseconds."""
    moment = _EPOCH + timedelta(microseconds=at)
    year, month = divmod(moment.year * 12 + moment.month - 1 + months, 12)
    day = min(moment.day, monthrange(year, month + 1)[1])
    return (moment.replace(year=year, month=month + 1, day=day) - _EPOCH) // timedelta(microseconds=1)
