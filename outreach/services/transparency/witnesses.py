"""Witnesses: places off this host that are given each published checkpoint, so that no history can be rewritten here.

The leader's job asks each witness of the settings in its turn. One that fails is asked again, ever less often, and
holds up neither the others nor the sealing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import structlog
from sqlalchemy import Connection

from outreach.domain.actors import Actor, Role
from outreach.domain.errors import NotFoundError, OutreachError
from outreach.hosts import Witness
from outreach.services.context import Context
from outreach.services.transparency import proofs, publish
from outreach.services.transparency.delivering import Errand, RefusedError, deliver
from outreach.services.transparency.public_log import see_keys, with_cosignatures
from outreach.store import audit_log, audit_tiles, witnesses
from outreach.store.audit import Entry, record
from outreach.store.witnesses import Standing

MINUTE = 60_000_000
_LATE_ROUNDS = 2
_SHOWN = 20

log = structlog.get_logger()


@dataclass(frozen=True, kw_only=True)
class WitnessHealth:
    """How a witness stands. `size`, `at`: the checkpoint it took last, and when (UTC microseconds); None: never one.

    `behind`: published entries it has not vouched for. `due`: when it is asked next. `trouble`: why it took nothing
    the last `failures` times, "" while all is well. `is_late`: it should have taken one by now. `cosigns`: its
    cosignatures are checked and kept.
    """

    name: str
    kind: str
    size: int | None
    at: int | None
    behind: int
    due: int
    failures: int
    trouble: str
    is_late: bool
    cosigns: bool


@dataclass(frozen=True, kw_only=True)
class Witnessing:
    """All an officer sees: the newest published checkpoint (`note` "" for none), the keys, and who took what."""

    size: int
    at: int | None
    note: str
    keys: str
    witnessed: int
    health: Sequence[WitnessHealth]
    takings: Sequence[witnesses.Taking]


def health(ctx: Context, conn: Connection, now: int) -> Sequence[WitnessHealth]:
    """Every witness of the settings, in their order. `now`: UTC microseconds."""
    point = publish.newest(conn)
    size = point.size if point else 0
    known = witnesses.standings(conn)
    return [
        _health(conn, name, one, known.get(name, _never_asked(name)), size, now)
        for name, one in ctx.settings.witnesses.items()
    ]


def see_witnesses(ctx: Context, actor: Actor) -> Witnessing:
    """What the officer's page shows."""
    actor.must_be(Role.OFFICER)
    with ctx.db.reading() as conn:
        point = publish.newest(conn)
        return Witnessing(
            size=point.size if point else 0,
            at=point.at if point else None,
            note=with_cosignatures(conn, point) if point else "",
            keys=see_keys(ctx),
            witnessed=witnesses.greatest_witnessed(conn),
            health=health(ctx, conn, ctx.db.now(conn)),
            takings=witnesses.takings(conn, _SHOWN),
        )


def ask_again(ctx: Context, actor: Actor, name: str) -> None:
    """Let a witness be asked at the next round, whatever was planned. Raises NotFoundError."""
    actor.must_be(Role.OFFICER)
    if name not in ctx.settings.witnesses:
        raise NotFoundError("The settings name no such witness.")
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        witnesses.ask_at(conn, name, now)
        record(conn, now, Entry(kind="witness.asked", actor=actor.name, body={"witness": name}))


def tell_witnesses(ctx: Context) -> int:
    """Give the newest published checkpoint to each witness that is due. Returns how many took one. For the engine."""
    return sum(_tell(ctx, name, one) for name, one in ctx.settings.witnesses.items())


def _health(conn: Connection, name: str, one: Witness, stands: Standing, size: int, now: int) -> WitnessHealth:
    held = stands.size or 0
    since = audit_tiles.first_published_after(conn, held)
    return WitnessHealth(
        name=name,
        kind=one.kind,
        size=stands.size,
        at=stands.at,
        behind=max(0, size - held),
        due=stands.due,
        failures=stands.failures,
        trouble=stands.trouble,
        is_late=since is not None and now > since + _LATE_ROUNDS * one.minutes * MINUTE,
        cosigns=one.key != "",
    )


def _tell(ctx: Context, name: str, one: Witness) -> bool:
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        point = publish.newest(conn)
        stands = witnesses.standings(conn).get(name, _never_asked(name))
    held = stands.size or 0
    if point is None or point.size <= held or now < stands.due:
        return False
    try:
        line = deliver(ctx, one, _errand(ctx, point, held, now))
    except (RefusedError, OutreachError) as error:
        failures = stands.failures + 1
        log.warning("witness.refused", witness=name, failures=failures, trouble=str(error))
        with ctx.db.transaction() as conn:
            wait = min(one.minutes, 2 ** min(failures - 1, 16))
            witnesses.failed(conn, name, failures=failures, due=now + wait * MINUTE, trouble=str(error))
        return False
    with ctx.db.transaction() as conn:
        due = now + one.minutes * MINUTE
        witnesses.took(conn, name, size=point.size, at=ctx.db.now(conn), due=due, cosignature=line)
    return True


def _never_asked(name: str) -> Standing:
    return Standing(name=name, size=None, at=None, due=0, failures=0, trouble="")


def _errand(ctx: Context, point: audit_log.SealedPoint, held: int, now: int) -> Errand:
    return Errand(point.note or "", point.size, held, now, partial(_prove, ctx, point.size))


def _prove(ctx: Context, size: int, old: int) -> Sequence[bytes]:
    with ctx.db.reading() as conn:
        return proofs.consistency(conn, old, size)
