"""What of the log an officer takes out: all of it, a period, or what is about one person, campaign or topic."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum

from sqlalchemy import ColumnElement

from outreach.domain.errors import InvalidInputError
from outreach.store import audit_export


class What(StrEnum):
    """Only the whole log shows that nothing was left out; a part shows that what it holds is in the log."""

    WHOLE = "whole"
    PERIOD = "period"
    CONTACT = "contact"
    CAMPAIGN = "campaign"
    TOPIC = "topic"


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """`ref`: of the person, campaign or topic, 16 bytes; `since` ≤ at < `until`: of a period, UTC microseconds.

    `held`: a signed checkpoint the officer has from elsewhere; a part then proves that the log continues it.
    """

    what: What
    ref: bytes | None = None
    since: int | None = None
    until: int | None = None
    held: str = ""

    def check(self) -> None:
        """Raises InvalidInputError where something is missing."""
        if self.what is What.PERIOD and (self.since is None or self.until is None or self.since >= self.until):
            raise InvalidInputError("Give the first and the last day of the period.", "since")
        if self.what not in {What.WHOLE, What.PERIOD} and self.ref is None:
            raise InvalidInputError(f"Give the reference of the {self.what}, as the log has it.", "ref")

    @property
    def condition(self) -> ColumnElement[bool] | None:
        """Which entries; None: all."""
        match self.what, self.ref:
            case What.CONTACT, bytes(ref):
                return audit_export.of_contact(ref)
            case What.CAMPAIGN, bytes(ref):
                return audit_export.of_campaign(ref)
            case What.TOPIC, bytes(ref):
                return audit_export.of_topic(ref)
            case What.PERIOD, _:
                return audit_export.of_period(self.since or 0, self.until or 0)
        return None


def read_wanted(typed: Mapping[str, str], zone: tzinfo = UTC) -> Wanted:
    """What was typed: `what`, `ref` in hex, `since` and `until`, days as they are in `zone`, and `held`.

    Raises InvalidInputError for what cannot be read.
    """
    return Wanted(
        what=What(typed["what"]),
        ref=_ref(typed.get("ref", "")),
        since=_midnight(typed.get("since", ""), "since", 0, zone),
        until=_midnight(typed.get("until", ""), "until", 1, zone),
        held=typed.get("held", ""),
    )


def _ref(typed: str) -> bytes | None:
    if not typed:
        return None
    try:
        ref = bytes.fromhex(typed)
    except ValueError:
        ref = b""
    if len(ref) != 16:
        raise InvalidInputError("A reference in the log is 32 letters and digits, 0 to 9 and a to f.", "ref")
    return ref


def _midnight(typed: str, field: str, days: int, zone: tzinfo) -> int | None:
    """The start of the day typed, `days` later: UTC microseconds."""
    if not typed:
        return None
    try:
        day = datetime.strptime(typed, "%Y-%m-%d").replace(tzinfo=zone) + timedelta(days=days)
        return int(day.timestamp()) * 1_000_000
    except (ValueError, OverflowError):
        raise InvalidInputError("Give days as year-month-day, such as 2026-11-22.", field) from None
