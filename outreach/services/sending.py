"""How fast mail leaves, for administrators: each relay's pace to each provider, and forgetting what refusals taught."""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from outreach.domain import pacing
from outreach.domain.actors import Actor, Role
from outreach.domain.errors import ConflictError
from outreach.domain.pacing import Limits, Pace
from outreach.services.context import Context
from outreach.services.reasons import check_reason
from outreach.store.audit import Entry, record
from outreach.store.messages import PROVIDERS
from outreach.store.pacing import Pair, drop_paces, hold_paces, read_paces, save_paces
from outreach.store.schema.organisation import sender


@dataclass(frozen=True, kw_only=True)
class PairView:
    """A relay's pace to one provider just now.

    Rates are thousandths of a message a second, None: no limit. `resting`: until when, UTC microseconds, None: it does
    not. `code`: of the refusal that last slowed it. `day` of `days` of the warm-up (None: none, or over), in which
    `left` of `allowance` may still go today.
    """

    relay: str
    provider: str
    rate: int | None
    ceiling: int | None
    learned: int | None
    resting: int | None
    slowed: int | None
    code: str
    day: int | None
    days: int
    left: int | None
    allowance: int | None


@dataclass(frozen=True, kw_only=True)
class RelayView:
    """A relay as the settings describe it, the senders that use it or its pool, and its pairs."""

    name: str
    host: str
    port: int
    connections: int
    pool: str
    weight: int
    senders: tuple[str, ...]
    pairs: tuple[PairView, ...]


@dataclass(frozen=True)
class Sending:
    """`at`: the database's now. No relays: all mail goes to the demo mailbox."""

    at: int
    relays: tuple[RelayView, ...]


def see_sending(ctx: Context, actor: Actor) -> Sending:
    """Every relay in the settings, and how fast mail may leave by it."""
    actor.must_be(Role.ADMINISTRATOR)
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        known = read_paces(conn)
        users = _users(conn)
    return Sending(
        now,
        tuple(
            RelayView(
                name=name,
                host=relay.host,
                port=relay.port,
                connections=relay.connections,
                pool=relay.pool,
                weight=relay.weight,
                senders=tuple(sorted({*users.get(name, ()), *users.get(relay.pool, ())})),
                pairs=tuple(_view(ctx, now, (name, one), known.get((name, one), Pace())) for one in PROVIDERS),
            )
            for name, relay in ctx.settings.relays.items()
        ),
    )


def slowed_pairs(ctx: Context, actor: Actor) -> list[PairView]:
    """Pairs of which something was learned that holds them back."""
    actor.must_be(Role.ADMINISTRATOR)
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        views = [_view(ctx, now, pair, pace) for pair, pace in read_paces(conn).items()]
    return [one for one in views if one.learned is not None]


def forget_pace(ctx: Context, actor: Actor, relay: str, provider: str, reason: str) -> None:
    """Forget what refusals taught about a pair, so that its mail leaves at the pace of the settings again.

    Raises InvalidInputError (field "reason"), or ConflictError when nothing is known that could be forgotten.
    """
    actor.must_be(Role.ADMINISTRATOR)
    said = check_reason(reason, "why it may be forgotten", "Nothing was forgotten.")
    pair = (relay, provider)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        if pair not in read_paces(conn):
            raise ConflictError("Nothing is known about this pair that could be forgotten.")
        pace = hold_paces(conn, [pair])[pair]
        learned = pacing.learned(pace, now)
        if learned is None:
            raise ConflictError("Nothing is known about this pair that could be forgotten.")
        limits = ctx.settings.limits_of(*pair)
        _let_go(conn, pair, pace, limits, now)
        body = {"relay": relay, "provider": provider, "rate": pacing.per_second(learned), "reason": said}
        record(conn, now, Entry(kind="pace.forgotten", actor=actor.name, body=body))


def _let_go(conn: Connection, pair: Pair, pace: Pace, limits: Limits, now: int) -> None:
    if limits.bind:
        save_paces(conn, {pair: pacing.forget(pace, limits, now)})
    else:
        drop_paces(conn, [pair])


def _users(conn: Connection) -> dict[str, list[str]]:
    users: dict[str, list[str]] = {}
    for row in conn.execute(
        select(sender.c.name, sender.c.relay).where(sender.c.closed.is_(None)).order_by(sender.c.name)
    ):
        users.setdefault(row.relay, []).append(row.name)
    return users


def _view(ctx: Context, now: int, pair: Pair, pace: Pace) -> PairView:
    limits = ctx.settings.limits_of(*pair)
    day, learned = pacing.warm_up_day(pace, limits, now), pacing.learned(pace, now)
    return PairView(
        relay=pair[0],
        provider=pair[1],
        rate=pacing.rate_of(pace, limits, now),
        ceiling=limits.ceiling,
        learned=learned,
        resting=pace.resting if pace.resting > now else None,
        slowed=pace.slowed if learned is not None else None,
        code=pace.code if learned is not None else "",
        day=day,
        days=len(limits.allowances),
        left=pacing.allowance(pace, limits, now),
        allowance=None if day is None else limits.allowances[day - 1],
    )
