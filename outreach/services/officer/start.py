"""What needs an officer's eye, on one page: read from indexes and sums, so that it opens as quickly on any log."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from outreach.domain.actors import Actor, Role
from outreach.domain.audit import EMPTY_ROOT
from outreach.services.context import Context
from outreach.services.officer.figures import Hits, Rate, caps_hit, rates
from outreach.services.officer.unusual import Unusual, find_unusual
from outreach.services.policies.approvals import waiting
from outreach.services.rights.requests import Due, due
from outreach.services.transparency.witnesses import WitnessHealth, health
from outreach.store import audit_log, log_figures, unknown
from outreach.store.approvals import Asked
from outreach.store.schema.audit import audit_entry, audit_pending

STALE = 15 * 60_000_000
"""Microseconds an entry may wait for its place before the page says that sealing stands still."""


@dataclass(frozen=True, kw_only=True)
class LogState:
    """The newest checkpoint: `root` in hex, `at` None for an empty log, `note` empty until signed.

    `pending`: entries that wait for their place, `waits`: since when the oldest of them; `is_stuck`: for too long.
    """

    size: int
    root: str
    at: int | None
    note: str
    pending: int
    waits: int | None
    is_stuck: bool


@dataclass(frozen=True, kw_only=True)
class Start:
    """`rates` and `caps` are sums up to `counted` entries of the log; `unknown`: mails that wait for a ruling.

    `requests`: people's, the one due first first; `approvals`: what waits for a second yes, oldest first.
    """

    log: LogState
    requests: tuple[Due, ...]
    approvals: tuple[Asked, ...]
    witnesses: tuple[WitnessHealth, ...]
    unknown: int
    rates: tuple[Rate, ...]
    caps: tuple[Hits, ...]
    counted: int
    unusual: tuple[Unusual, ...]

    @property
    def crossed(self) -> tuple[Rate, ...]:
        """Rates beyond a line."""
        return tuple(one for one in self.rates if one.is_crossed)

    @property
    def late_witnesses(self) -> tuple[WitnessHealth, ...]:
        """Witnesses that should have taken a checkpoint by now."""
        return tuple(one for one in self.witnesses if one.is_late)

    @property
    def is_quiet(self) -> bool:
        """Whether nothing waits for an officer."""
        waiting = (self.requests, self.approvals, self.late_witnesses, self.crossed, self.unusual)
        return not (self.unknown or self.log.is_stuck or any(waiting))


def see_start(ctx: Context, actor: Actor) -> Start:
    """The officer's start page. Writes nothing."""
    actor.must_be(Role.OFFICER)
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        return Start(
            log=_log_state(conn, now),
            requests=due(conn, now),
            approvals=tuple(waiting(conn, now)),
            witnesses=tuple(health(ctx, conn, now)),
            unknown=unknown.count_waiting(conn),
            rates=tuple(rates(conn, now)),
            caps=tuple(caps_hit(conn, now)),
            counted=log_figures.counted(conn),
            unusual=tuple(find_unusual(conn, now)),
        )


def _log_state(conn: Connection, now: int) -> LogState:
    newest = audit_log.newest_point(conn)
    waits = _waits(conn)
    return LogState(
        size=newest.size if newest else 0,
        root=(newest.root if newest else EMPTY_ROOT).hex(),
        at=newest.at if newest else None,
        note=newest.note or "" if newest else "",
        pending=audit_log.count_pending(conn),
        waits=waits,
        is_stuck=is_sealing_stuck(conn, now),
    )


def is_sealing_stuck(conn: Connection, now: int) -> bool:
    """Whether an entry waits for its place longer than it should."""
    waits = _waits(conn)
    return waits is not None and now - waits > STALE


def _waits(conn: Connection) -> int | None:
    """Since when the oldest entry waits for its place."""
    oldest = select(func.min(audit_pending.c.entry)).scalar_subquery()
    return conn.execute(select(audit_entry.c.at).where(audit_entry.c.id == oldest)).scalar()
