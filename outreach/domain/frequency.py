"""How often: exact rolling windows, the give ratio and quiet hours, as pure rules over one mailbox's ledger.

The cap rule, exact under retries (ARCHITECTURE.md): a message that is planned or attempted counts as if it
were sent now, whatever its due; an accepted one counts over (now − W, now]; an unknown one likewise from the end of
its lease. So a place, once reserved, is never needed twice, and a window never holds more than N.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

SECOND = 1_000_000
"""Microseconds."""


@dataclass(frozen=True)
class Cap:
    """At most `n` messages in any window of `window` seconds."""

    n: int
    window: int


@dataclass(frozen=True)
class Past:
    """One message in a mailbox's ledger that reserves a place or has used one.

    `counted`: UTC microseconds from which it counts; None while it reserves. `planned`: when it took its place.
    """

    origin: str
    kind: str
    topic: int | None
    planned: int
    counted: int | None
    accepted: bool

    def is_of(self, topic: int) -> bool:
        """Whether it stands under that topic's promise: mails of campaigns, and the question whether it shall go on (no
        other confirmation belongs to a topic).
        """
        return self.topic == topic and self.origin in {"campaign", "confirmation"}

    @property
    def is_promotional(self) -> bool:
        """Promotions and invitations are counted together."""
        return self.kind == "promotional" or self.origin == "invitation"

    @property
    def is_capped(self) -> bool:
        """Everything but service mail stands under the total ceiling."""
        return self.kind != "service" or self.origin == "invitation"


def used(ledger: Iterable[Past], cap: Cap, now: int) -> int:
    """How many places of `cap` are taken at `now` (UTC microseconds)."""
    opened = now - cap.window * SECOND
    return sum(1 for past in ledger if past.counted is None or past.counted > opened)


def allows(ledger: Iterable[Past], cap: Cap, now: int) -> bool:
    """Whether one more message fits."""
    return used(ledger, cap, now) + 1 <= cap.n


def gives_enough(ledger: Iterable[Past], topic: int, ratio_k: int, before: int) -> bool:
    """Whether a promotional mail of `topic` reserved at `before` follows at least `ratio_k` informational ones.

    Counts informational mails accepted since the last promotional reservation made earlier than `before`.
    """
    if ratio_k == 0:
        return True
    of_topic = [past for past in ledger if past.is_of(topic)]
    last = max((past.planned for past in of_topic if past.kind == "promotional" and past.planned < before), default=0)
    given = sum(
        1 for p in of_topic if p.kind == "informational" and p.accepted and p.counted is not None and p.counted > last
    )
    return given >= ratio_k


def quiet_until(now: int, zone: str, quiet_from: int, quiet_to: int) -> int:
    """The first instant at or after `now` outside the quiet hours, in UTC microseconds.

    `quiet_from`, `quiet_to`: minutes after local midnight; equal means no quiet hours; the span may cross midnight.
    A local time that a clock change skips or repeats is taken at its first possible instant after the quiet.
    """
    if quiet_from == quiet_to:
        return now
    local = datetime.fromtimestamp(now / SECOND, UTC).astimezone(ZoneInfo(zone))
    minute = local.hour * 60 + local.minute
    crosses = quiet_from > quiet_to
    quiet = minute >= quiet_from or minute < quiet_to if crosses else quiet_from <= minute < quiet_to
    if not quiet:
        return now
    day = local.date() + timedelta(days=1 if crosses and minute >= quiet_from else 0)
    end = datetime.combine(day, time(quiet_to // 60 % 24, quiet_to % 60), ZoneInfo(zone))
    if quiet_to == 24 * 60:
        end += timedelta(days=1)
    return max(now, int(end.timestamp()) * SECOND)
