"""What anybody may know of how the promises are kept: sums of the log over whole days, under a signed checkpoint.

They follow from the entries of the log alone up to the checkpoint's size, so whoever holds an export can add them up
again; only `beyond` was found in the ledger the caps are decided by, when each entry was counted. Small numbers read
"fewer than 5" (promise 9), and no sum is given that would bring one out by subtraction.
"""

from collections import Counter
from dataclasses import dataclass

from sqlalchemy import Connection

from outreach.domain.campaign import FEW
from outreach.domain.eligibility import ASKED_NOT_TO
from outreach.services.context import Context
from outreach.services.public_text import offered, read_house
from outreach.store import audit_log, log_figures
from outreach.store.log_figures import DAY, EXCEEDED, PASSING, RULED

DAYS = 90
_KINDS = ("message.sent", "message.withheld", "message.failed", "message.unknown",
          "consent.withdrawn", "consent.complained", "consent.confirmed", EXCEEDED)  # fmt: skip
_WHYS = {
    "cap_promise": "promise",
    "cap_own": "own",
    "cap_total": "total",
    "cap_promotional": "promotional",
    "ratio": "ratio",
    "paused": "paused",
    "expired": "expired",
    "kind": "kind",
    "no_consent": "no_consent",
    "bounce": "address",
}
"""Reasons a reader can make something of, as the page words them; what people asked for is one, all else is other."""


@dataclass(frozen=True)
class Figure:
    """A number, or None for fewer than five."""

    exactly: int | None


@dataclass(frozen=True, kw_only=True)
class TopicFigures:
    """One topic: its promise, at most `cap_n` in `cap_window` seconds; `beyond`: mails that broke it, None for none."""

    title: str
    cap_n: int
    cap_window: int
    sent: Figure
    agreed: Figure
    stopped: Figure
    complained: Figure
    beyond: Figure | None

    @property
    def is_kept(self) -> bool:
        return self.beyond is None


@dataclass(frozen=True, kw_only=True)
class PublicFigures:
    """The days `since` to before `until` (UTC microseconds), by the log up to `size`: its `root` in hex, the `note`.

    `other`: sent for no open topic, such as confirmations; `withheld`: (why, how many) over everything.
    """

    since: int
    until: int
    size: int
    root: str
    sealed: int
    note: str
    topics: tuple[TopicFigures, ...]
    other: Figure
    failed: Figure
    unknown: Figure
    withheld: tuple[tuple[str, Figure], ...]

    @property
    def last(self) -> int:
        """The beginning of the last day."""
        return self.until - DAY


def figures_version(ctx: Context) -> tuple[int, int]:
    """What the figures hang on: the size counted up to, and the day. They change with nothing else but the topics."""
    with ctx.db.reading() as conn:
        return log_figures.counted(conn), ctx.db.now(conn) // DAY


def public_figures(ctx: Context, locale: str) -> PublicFigures | None:
    """The figures of the last DAYS whole days; None before anything was sealed and counted."""
    with ctx.db.reading() as conn:
        size = log_figures.counted(conn)
        point = audit_log.point_at(conn, size)
        first = log_figures.first_day(conn)
        if point is None or first is None:
            return None
        today = ctx.db.now(conn) // DAY
        since = max(first, today - DAYS)
        counts: Counter[tuple[str, bytes, str]] = Counter()
        for kind, ref, reason, _provider, n in log_figures.sums(conn, since, today, _KINDS):
            counts[kind, ref, reason] += n
        topics = _topics(conn, locale, counts)
        held = {promise.ref for promise in offered(conn, read_house(conn), locale)}
        sent = sum(n for (kind, ref, _), n in counts.items() if kind == "message.sent" and ref not in held)
        return PublicFigures(
            since=since * DAY,
            until=max(since, today) * DAY,
            size=size,
            root=point.root.hex(),
            sealed=point.at,
            note=point.note or "",
            topics=topics,
            other=_figure(sent),
            failed=_figure(_count(counts, "message.failed")),
            unknown=_figure(_open(counts)),
            withheld=_withheld(counts),
        )


def _topics(conn: Connection, locale: str, counts: Counter[tuple[str, bytes, str]]) -> tuple[TopicFigures, ...]:
    found = []
    for promise in offered(conn, read_house(conn), locale):
        beyond = _count(counts, EXCEEDED, promise.ref)
        found.append(
            TopicFigures(
                title=promise.title,
                cap_n=promise.cap_n,
                cap_window=promise.cap_window,
                sent=_figure(_count(counts, "message.sent", promise.ref)),
                agreed=_chosen(_count(counts, "consent.confirmed", promise.ref)),
                stopped=_chosen(_count(counts, "consent.withdrawn", promise.ref)),
                complained=_chosen(_count(counts, "consent.complained", promise.ref)),
                beyond=_figure(beyond) if beyond else None,
            )
        )
    return tuple(found)


def _count(counts: Counter[tuple[str, bytes, str]], kind: str, ref: bytes | None = None) -> int:
    return sum(n for (one, of, _), n in counts.items() if one == kind and ref in (None, of))


def _open(counts: Counter[tuple[str, bytes, str]]) -> int:
    """Unknown outcomes that were the end, without those an officer has ruled on."""
    unknown = sum(n for (kind, _, reason), n in counts.items() if kind == "message.unknown" and reason != PASSING)
    ruled = sum(n for (kind, _, reason), n in counts.items() if (kind, reason) in _RULINGS)
    return max(0, unknown - ruled)


_RULINGS = {("message.sent", RULED), ("message.failed", "lost")}


def _withheld(counts: Counter[tuple[str, bytes, str]]) -> tuple[tuple[str, Figure], ...]:
    """By reason, most first. What people asked for is one reason, and always there."""
    grouped: Counter[str] = Counter()
    for (kind, _ref, reason), n in counts.items():
        if kind == "message.withheld":
            grouped["asked" if reason in ASKED_NOT_TO else _WHYS.get(reason, "other")] += n
    asked = grouped.pop("asked", 0)
    rows = [(why, _figure(n)) for why, n in grouped.items()]
    return tuple(sorted([("asked", _chosen(asked)), *rows], key=lambda row: -(row[1].exactly or 0)))


def _figure(n: int) -> Figure:
    """A count of mails: nought is said, one to four are not."""
    return Figure(n if n == 0 or n >= FEW else None)


def _chosen(n: int) -> Figure:
    """A count of what people chose: nought reads as few do, so that its coming and going tells of nobody."""
    return Figure(n if n >= FEW else None)
