"""A campaign's life as a table one can read, whom it is narrowed to, and when a local time on a wall clock is.

The pipeline begins and finishes a campaign; everything else is a marketer's act. Pausing remembers what it interrupted,
so that resuming goes back there: a campaign paused before it began has mailed nobody and may still be rewritten.
"""

import json
import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from outreach.domain.errors import ConflictError, InvalidInputError


class State(StrEnum):
    """Where a campaign stands."""

    DRAFT = "draft"
    SCHEDULED = "scheduled"
    SENDING = "sending"
    PAUSED = "paused"
    SENT = "sent"
    CANCELLED = "cancelled"


class Event(StrEnum):
    """What may happen to a campaign. BEGIN and FINISH are the pipeline's."""

    SCHEDULE = "schedule"
    UNSCHEDULE = "unschedule"
    BEGIN = "begin"
    PAUSE = "pause"
    RESUME = "resume"
    FINISH = "finish"
    CANCEL = "cancel"


class Kind(StrEnum):
    """What a campaign's mails are. Its topic's text names those a person agreed to."""

    INFORMATIONAL = "informational"
    PROMOTIONAL = "promotional"
    SERVICE = "service"


@dataclass(frozen=True)
class Stand:
    """A state, and for PAUSED the state it goes back to."""

    state: State
    resumes_to: State | None = None

    def __post_init__(self) -> None:
        if (self.state is State.PAUSED) != (self.resumes_to is not None):
            raise ValueError("resumes_to belongs to a paused campaign, and only to one")


DRAFT = Stand(State.DRAFT)
SCHEDULED = Stand(State.SCHEDULED)
SENDING = Stand(State.SENDING)
HELD = Stand(State.PAUSED, State.SCHEDULED)  # paused before the first mail
HALTED = Stand(State.PAUSED, State.SENDING)  # paused amid sending
SENT = Stand(State.SENT)
CANCELLED = Stand(State.CANCELLED)

STANDS = (DRAFT, SCHEDULED, SENDING, HELD, HALTED, SENT, CANCELLED)
FINAL = frozenset({State.SENT, State.CANCELLED})

_TO = {
    "·": None,  # refused
    "dra": DRAFT,
    "sch": SCHEDULED,
    "sen": SENDING,
    "hel": HELD,
    "hal": HALTED,
    "snt": SENT,
    "can": CANCELLED,
}
# from:           draft scheduled sending held halted sent cancelled
_TABLE = """
    schedule      sch   ·         ·       ·    ·      ·    ·
    unschedule    ·     dra       ·       dra  ·      ·    ·
    begin         ·     sen       ·       ·    ·      ·    ·
    pause         ·     hel       hal     ·    ·      ·    ·
    resume        ·     ·         ·       sch  sen    ·    ·
    finish        ·     ·         snt     ·    ·      ·    ·
    cancel        can   can       can     can  can    ·    ·
"""


def _read(table: str) -> dict[tuple[Stand, Event], Stand | None]:
    rows = [line.split() for line in table.strip().splitlines()]
    return {(stand, Event(row[0])): _TO[cell] for row in rows for stand, cell in zip(STANDS, row[1:], strict=True)}


_NEXT = _read(_TABLE)
_DONE = {
    Event.SCHEDULE: "scheduled",
    Event.UNSCHEDULE: "taken back to a draft",
    Event.BEGIN: "begun",
    Event.PAUSE: "paused",
    Event.RESUME: "resumed",
    Event.FINISH: "finished",
    Event.CANCEL: "cancelled",
}
_IS = {
    State.DRAFT: "still a draft",
    State.SCHEDULED: "scheduled",
    State.SENDING: "being sent",
    State.PAUSED: "paused",
    State.SENT: "already sent",
    State.CANCELLED: "cancelled",
}


def transition(stand: Stand, event: Event) -> Stand:
    """Where the campaign stands after `event`. Raises ConflictError where the event makes no sense."""
    after = _NEXT[stand, event]
    if after is None:
        raise ConflictError(
            f"This campaign is {_IS[stand.state]}, so it cannot be {_DONE[event]}. Nothing was changed."
        )
    return after


def may(stand: Stand, event: Event) -> bool:
    """Whether `event` makes sense here: pages show only buttons that do."""
    return _NEXT[stand, event] is not None


def must_be_draft(stand: Stand) -> None:
    """Raise ConflictError unless the campaign may be edited."""
    if stand.state is State.DRAFT:
        return
    way = " Take it back to a draft first." if may(stand, Event.UNSCHEDULE) else " Copy it to write another."
    raise ConflictError(f"This campaign is {_IS[stand.state]}, so it cannot be edited. Nothing was changed.{way}")


_LOCALE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*", re.ASCII)


@dataclass(frozen=True)
class Segment:
    """Narrows a topic to part of its people. Empty: everyone. Instants in UTC microseconds, from (≥) and before (<)."""

    locales: tuple[str, ...] = ()
    agreed_after: int | None = None
    agreed_before: int | None = None

    def __post_init__(self) -> None:
        for locale in self.locales:
            if not _LOCALE.fullmatch(locale):
                raise InvalidInputError("A language is written like “sv” or “pt-BR”.", "locales")
        low, high = self.agreed_after, self.agreed_before
        if low is not None and high is not None and low >= high:
            raise InvalidInputError("“From” must be the earlier day, “before” the later.", "agreed_before")

    def to_json(self) -> str:
        """The form in which it is stored and from which SQL is made."""
        facts = {
            "locales": sorted(set(self.locales)),
            "agreed_after": self.agreed_after,
            "agreed_before": self.agreed_before,
        }
        return json.dumps(facts, sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Segment":
        """Read `to_json`'s form; `{}` is everyone. Raises InvalidInputError on anything else."""
        try:
            facts = json.loads(text)
        except ValueError:
            facts = None
        if not isinstance(facts, dict) or facts.keys() - {"locales", "agreed_after", "agreed_before"}:
            raise InvalidInputError("This is not a segment.", "segment")
        locales = facts.get("locales") or []
        if not isinstance(locales, list) or not all(isinstance(locale, str) for locale in locales):
            raise InvalidInputError("A segment's languages are a list of texts.", "locales")
        return cls(tuple(locales), _instant(facts, "agreed_after"), _instant(facts, "agreed_before"))


def _instant(facts: dict[str, Any], name: str) -> int | None:
    value = facts.get(name)
    if value is None or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise InvalidInputError("A segment's days are whole microseconds.", name)


def zone(name: str) -> ZoneInfo:
    """The IANA time zone of this name. Raises InvalidInputError."""
    if name not in available_timezones():
        raise InvalidInputError("There is no time zone of that name; it is written like “Europe/Stockholm”.", "zone")
    return ZoneInfo(name)


def wall_time(text: str, zone_name: str, occurrence: str = "") -> int:
    """The instant (UTC microseconds) at which clocks in the zone show `text` ("2026-11-30T08:00").

    When clocks go back a time comes twice: `occurrence` says "first" or "second". When they go forward a time is
    skipped, and refused. Raises InvalidInputError that names which of the two it is.
    """
    where = zone(zone_name)
    try:
        local = datetime.strptime(text, "%Y-%m-%dT%H:%M").replace(tzinfo=where)
    except ValueError:
        raise InvalidInputError("Give the day and the time, such as 30 November 2026, 08:00.", "local") from None
    early, late = local.replace(fold=0), local.replace(fold=1)
    shown = f"{local:%H:%M} on {local.day} {local:%B %Y}"
    if early.utcoffset() == late.utcoffset():
        return micros(early)
    if early.astimezone(UTC).astimezone(where).replace(tzinfo=None) != local.replace(tzinfo=None):
        opens = early.astimezone(UTC).astimezone(where)
        raise InvalidInputError(
            f"There is no {shown} in {zone_name}: clocks go forward over it. Choose {opens:%H:%M} or another time.",
            "local",
        )
    if occurrence not in {"first", "second"}:
        raise InvalidInputError(
            f"{shown} comes twice in {zone_name}, because clocks go back. Choose the first or the second.", "occurrence"
        )
    return micros(early if occurrence == "first" else late)


def day_begins(text: str, zone_name: str, field: str = "day") -> int:
    """The first instant (UTC microseconds) of the day `text` ("2026-11-30") in the zone. Raises InvalidInputError."""
    where = zone(zone_name)
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise InvalidInputError("Give the day, such as 30 November 2026.", field) from None
    return micros(datetime.combine(day, time(), tzinfo=where))


def micros(moment: datetime) -> int:
    """UTC microseconds since 1970 of an aware moment, exactly."""
    since = moment.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


ASKED_NOT_TO = "asked not to"
FEW = 5


@dataclass(frozen=True)
class Figure:
    """A number as marketers may see it; `exactly` is None where it reads "fewer than 5"."""

    reason: str
    exactly: int | None


@dataclass(frozen=True)
class Figures:
    """Counts by reason, and the sum of those shown exactly. `at_least`: some are hidden, so the sum is a floor."""

    rows: tuple[Figure, ...]
    total: int
    at_least: bool


def for_marketers(counts: dict[str, int], *, asked: frozenset[str], own: frozenset[str] = frozenset()) -> Figures:
    """What promise 9 lets a marketer see of why people were not mailed.

    The reasons in `asked`, where it names any, read as one, "asked not to". A count under 5 reads "fewer than 5",
    nought included where the person chose it (`asked`, `own`): such a row is always there, so neither its coming nor
    its going tells of anyone. The total adds up only what is shown exactly; subtracting it yields nothing that was
    hidden.
    """
    merged = {reason: count for reason, count in counts.items() if reason not in asked and count}
    if asked:
        merged[ASKED_NOT_TO] = sum(count for reason, count in counts.items() if reason in asked)
    for reason in own:
        merged.setdefault(reason, 0)
    rows = tuple(
        Figure(reason, count if count >= FEW else None)
        for reason, count in sorted(merged.items(), key=lambda row: (-max(row[1], FEW - 1), row[0]))
    )
    return Figures(rows, sum(row.exactly or 0 for row in rows), any(row.exactly is None for row in rows))
