"""Keeps the sums of the sealed log for whoever leads, and says how complaints and bounces stand by provider."""

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection

from outreach.mail.inbound.incoming import Kind
from outreach.services.context import Context
from outreach.store import inbound, log_figures
from outreach.store.log_figures import COMPLAINTS, DAY
from outreach.store.messages import PROVIDERS

PERIODS = (1, 7, 30)
COMPLAINTS_WARN, COMPLAINTS_STOP = 800, 3_000
"""Complaints in a million mails: we warn at 0.08 %; Gmail wants a sender below 0.10 % and never at 0.30 %."""

BOUNCES_WARN, BOUNCES_STOP = 20_000, 50_000
"""Bounces in a million mails: our own lines, 2 % and 5 %; the mailbox providers publish none."""

FEWEST = 100
"""Mails below which a rate says nothing."""

_REFUSED = frozenset({"address", "refused", "gave_up"})
_RETURNED = frozenset({Kind.HARD_BOUNCE.value, Kind.SOFT_BOUNCE.value})


class Level(StrEnum):
    """Where a rate stands against its line."""

    FEW = "few"
    FINE = "fine"
    WARN = "warn"
    STOP = "stop"


@dataclass(frozen=True, kw_only=True)
class Rate:
    """One provider's answer to what went to it in `days` days (UTC, today included).

    `sent`: mails it took; `refused`: those it would not take; `returned`: those it took and sent back later.
    """

    provider: str
    days: int
    sent: int
    refused: int
    returned: int
    complained: int

    @property
    def bounced(self) -> int:
        return self.refused + self.returned

    @property
    def complaints(self) -> Level:
        return self._level(self.complained, self.sent, COMPLAINTS_WARN, COMPLAINTS_STOP)

    @property
    def bounces(self) -> Level:
        return self._level(self.bounced, self.tried, BOUNCES_WARN, BOUNCES_STOP)

    @property
    def tried(self) -> int:
        """Mails that came to an end at the provider, either way."""
        return self.sent + self.refused

    @property
    def is_crossed(self) -> bool:
        return bool({self.complaints, self.bounces} & {Level.WARN, Level.STOP})

    @staticmethod
    def _level(count: int, of: int, warn: int, stop: int) -> Level:
        if of < FEWEST:
            return Level.FEW
        millionths = count * 1_000_000 // of
        return Level.STOP if millionths >= stop else Level.WARN if millionths >= warn else Level.FINE


@dataclass(frozen=True)
class Hits:
    """How many mails each cap kept back in `days` days, most first: (reason, mails)."""

    days: int
    caps: tuple[tuple[str, int], ...]


def count_log(ctx: Context) -> bool:
    """Add the next slice of the sealed log to its sums; False once everything signed is counted.

    Read in one transaction and written in another, so that nobody waits for the reading; a slice is added once,
    whoever else counts.
    """
    with ctx.db.reading() as conn:
        start = log_figures.counted(conn)
        end = log_figures.next_size(conn, start)
        if end is None:
            return False
        found = log_figures.read_slice(conn, start, end)
    with ctx.db.transaction() as conn:
        return log_figures.add(conn, start, end, found)


def rates(conn: Connection, now: int) -> list[Rate]:
    """By provider and period, those without mail left out."""
    today = now // DAY
    found = []
    for days in PERIODS:
        sent: Counter[str] = Counter()
        refused: Counter[str] = Counter()
        returned = inbound.came_back_since(conn, (today - days + 1) * DAY, _RETURNED)
        complained: Counter[str] = Counter()
        kinds = ("message.sent", "message.failed", COMPLAINTS)
        for kind, _topic, reason, provider, n in log_figures.sums(conn, today - days + 1, today + 1, kinds):
            if kind == "message.sent":
                sent[provider] += n
            elif kind == COMPLAINTS:
                complained[provider] += n
            elif reason in _REFUSED:
                refused[provider] += n
        found += [
            Rate(
                provider=one,
                days=days,
                sent=sent[one],
                refused=refused[one],
                returned=returned.get(one, 0),
                complained=complained[one],
            )
            for one in PROVIDERS
            if sent[one] or refused[one] or one in returned or complained[one]
        ]
    return found


def caps_hit(conn: Connection, now: int) -> list[Hits]:
    """What the caps kept back, over each period."""
    today = now // DAY
    found = []
    for days in PERIODS:
        caps: Counter[str] = Counter()
        for _kind, _topic, reason, _provider, n in log_figures.sums(
            conn, today - days + 1, today + 1, ("message.withheld",)
        ):
            if reason.startswith("cap_"):
                caps[reason] += n
        found.append(Hits(days, tuple(caps.most_common())))
    return found
