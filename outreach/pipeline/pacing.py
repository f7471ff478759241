"""Paces sending: leases room for a batch, gives back what was not used, and learns from what providers answer.

Bulk lanes ask for room; confirmations, replies and notices are never held by a provider's pace, but what they meet is
learned from all the same. A pair that nothing limits has no row, and costs one small read a batch. A worker that dies
with leased room has only delayed the others.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from outreach.config import Settings
from outreach.domain import pacing
from outreach.domain.pacing import Limits, Pace
from outreach.hosts import Pacing
from outreach.mail.transport import Outcome, Result
from outreach.services.context import Context
from outreach.store.audit import Entry, record
from outreach.store.pacing import Pair, drop_paces, hold_paces, read_paces, save_paces
from outreach.store.schema.campaigns import campaign
from outreach.store.schema.consents import topic
from outreach.store.schema.organisation import sender

_CAMPAIGN_LANE = re.compile(r"5-campaign-(\d+)-(\w+)")


def room(
    ctx: Context, conn: Connection, now: int, relays: Sequence[str], provider: str, wanted: int
) -> dict[str, int] | None:
    """How many of `wanted` messages each of `relays` may take now, leased in this transaction; None: nothing limits.

    Each relay is leased as much as it may take, since nobody knows yet which will carry what: together at most
    `wanted` are to be handed over, and `give_back` returns the rest. The rows stay locked until the transaction ends,
    so ask when every other lock is held.
    """
    known = read_paces(conn)
    pairs = [(relay, provider) for relay in relays]
    bound = [one for one in pairs if pacing.is_held(known.get(one, Pace()), ctx.settings.limits_of(*one), now)]
    if not bound:
        return None
    leased = dict.fromkeys(relays, wanted)
    changed = {}
    for pair, pace in hold_paces(conn, bound).items():
        free = pacing.room(pace, ctx.settings.limits_of(*pair), now)
        leased[pair[0]] = mine = wanted if free is None else min(wanted, free)
        changed[pair] = pacing.take(pace, ctx.settings.limits_of(*pair), now, mine)
    save_paces(conn, changed)
    return leased


def give_back(ctx: Context, room_left: Mapping[str, int], provider: str) -> None:
    """Return leased room that no message used, in a transaction of its own. Relays without limits are passed over."""
    unused = {(relay, provider): left for relay, left in room_left.items() if left > 0}
    if not unused:
        return
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        known = read_paces(conn)
        held = hold_paces(conn, (pair for pair in unused if pair in known))
        save_paces(
            conn,
            {
                pair: pacing.give_back(pace, ctx.settings.limits_of(*pair), now, unused[pair])
                for pair, pace in held.items()
            },
        )


def held_pairs(ctx: Context, conn: Connection, now: int) -> dict[Pair, int]:
    """Pairs that have no room now, and when they will: one small read for all lanes of a round."""
    found = {
        pair: pacing.next_room(pace, ctx.settings.limits_of(*pair), now) for pair, pace in read_paces(conn).items()
    }
    return {pair: at for pair, at in found.items() if at > now}


def next_room(held: Mapping[Pair, int], relays: Iterable[str], provider: str, now: int) -> int:
    """When any of a pool's relays has room for this provider's mail; `now` when one has it. `held`: of `held_pairs`."""
    return min((held.get((relay, provider), now) for relay in relays), default=now)


@dataclass(frozen=True)
class Lease:
    """Room leased for a batch: how many messages to `provider` each relay may take, so `total` at most."""

    provider: str
    room: Mapping[str, int]

    @property
    def total(self) -> int:
        return sum(self.room.values())

    def left(self, outcomes: Iterable[Outcome]) -> dict[str, int]:
        """What `outcomes` have not used: a message that was put back took nothing."""
        used = Counter(one.relay for one in outcomes if one.result is not Result.PUT_BACK)
        return {relay: max(0, leased - used[relay]) for relay, leased in self.room.items()}


def worth_looking(ctx: Context, conn: Connection, now: int, lane: str, most: int) -> int:
    """How many of a lane's messages, `most` at most, a claim need look at: what has room now. Locks nothing."""
    behind = _behind(ctx, conn, lane)
    if behind is None:
        return most
    known, free = read_paces(conn), 0
    for relay in behind[0]:
        pair = (relay, behind[1])
        its = pacing.room(known.get(pair, Pace()), ctx.settings.limits_of(*pair), now)
        free += most if its is None else its
    return min(most, free)


def lease_for(ctx: Context, conn: Connection, now: int, lane: str, wanted: int) -> Lease | None:
    """Lease `room` for a batch of a campaign's lane; None: nothing limits it, as nothing limits other lanes.

    Call it when the messages are locked, then take no more than `total` of them, and `give_back` what is `left`.
    """
    behind = _behind(ctx, conn, lane)
    leased = None if behind is None else room(ctx, conn, now, *behind, wanted)
    return None if behind is None or leased is None else Lease(behind[1], leased)


def open_lanes(ctx: Context, conn: Connection, now: int, lanes: Sequence[str]) -> list[str]:
    """Those of `lanes` that have room now, in the same order: a throttled provider's backlog is not looked into."""
    held = held_pairs(ctx, conn, now) if lanes else {}
    if not held:
        return list(lanes)
    parts = {lane: (int(found[1]), found[2]) for lane in lanes if (found := _CAMPAIGN_LANE.fullmatch(lane))}
    pools = _pools(conn, [campaign_id for campaign_id, _ in parts.values()])
    waiting = {
        lane
        for lane, (campaign_id, provider) in parts.items()
        if next_room(held, ctx.settings.relays_behind(pools[campaign_id]), provider, now) > now
    }
    return [lane for lane in lanes if lane not in waiting]


@dataclass
class _Met:
    """What a batch met at one pair: mail that was taken, mail refused for the pace, and mail refused for itself."""

    sent: int = 0
    refused: int = 0
    others: int = 0
    code: str = ""

    @property
    def passed(self) -> int:
        return self.sent + self.others


def learn(
    ctx: Context, conn: Connection, now: int, outcomes: Sequence[Outcome], providers: Mapping[int, str]
) -> dict[int, int]:
    """Slow pairs down that asked for it, let others recover. `providers`: of each message.

    Returns when each message that was deferred for the pace may go again at the earliest, by message id;
    `domain.pacing.try_again` says when it does. Call it late in the transaction: the rows of pairs stay locked until
    it ends. Pairs that refuse nothing and are not remembered for anything are not touched.
    """
    met = _meetings(outcomes, providers)
    known = read_paces(conn) if met else {}
    paces = hold_paces(conn, (pair for pair, what in met.items() if what.refused or _is_learned(known.get(pair))))
    rooms = {}
    for pair, pace in paces.items():
        limits, what = ctx.settings.limits_of(*pair), met[pair]
        after = pacing.note(pace, now, what.passed, what.refused)
        if pacing.is_notable(after, what.refused):
            after = pacing.slow_down(after, limits, now, what.passed, what.refused, what.code)
        else:
            after = pacing.recover(after, limits, now, what.sent)
        rooms[pair] = pacing.next_room(after, limits, now)
        _keep(conn, now, pair, pace, after, limits)
    waiting = (one for one in outcomes if one.result is Result.DEFERRED and _is_slow(one))
    placed = ((one.message_id, (one.relay, providers.get(one.message_id, ""))) for one in waiting)
    return {message_id: rooms[pair] for message_id, pair in placed if pair in rooms}


def _is_learned(pace: Pace | None) -> bool:
    """Whether refusals have left anything with this pair."""
    return pace is not None and (pace.rate is not None or pace.refused > 0)


def _behind(ctx: Context, conn: Connection, lane: str) -> tuple[tuple[str, ...], str] | None:
    """The relays and the provider of a campaign's lane; None where nothing at all is limited."""
    found = _CAMPAIGN_LANE.fullmatch(lane)
    if found is None or not (_is_limited(ctx.settings) or read_paces(conn)):
        return None
    campaign_id = int(found[1])
    return ctx.settings.relays_behind(_pools(conn, [campaign_id])[campaign_id]), found[2]


def _is_limited(settings: Settings) -> bool:
    return any(relay.pacing != Pacing() for relay in settings.relays.values())


def _pools(conn: Connection, campaigns: Sequence[int]) -> dict[int, str]:
    """The relay or pool that the sender of each campaign names."""
    query = select(campaign.c.id, sender.c.relay).join(topic, topic.c.id == campaign.c.topic)
    query = query.join(sender, sender.c.id == topic.c.sender).where(campaign.c.id.in_(campaigns))
    return {row.id: row.relay for row in conn.execute(query)}


def _meetings(outcomes: Sequence[Outcome], providers: Mapping[int, str]) -> dict[Pair, _Met]:
    met: dict[Pair, _Met] = defaultdict(_Met)
    for one in outcomes:
        provider = providers.get(one.message_id)
        if provider is None or not one.relay or one.code is None:
            continue
        what = met[one.relay, provider]
        if one.result is Result.SENT:
            what.sent += 1
        elif _is_slow(one):
            what.refused += 1
            what.code = what.code or f"{one.code} {one.enhanced}".strip()
        else:
            what.others += 1
    return met


def _is_slow(one: Outcome) -> bool:
    return one.result in {Result.DEFERRED, Result.FAILED} and pacing.is_slow_down(one.code, one.enhanced, one.reply)


def _keep(conn: Connection, now: int, pair: Pair, before: Pace, after: Pace, limits: Limits) -> None:
    """Write a pair's row if it changed; delete it when nothing is left to remember. The log tells both ends."""
    names = {"relay": pair[0], "provider": pair[1]}
    if after.slowed > before.slowed:
        body = names | {"rate": pacing.per_second(after.rate or 0), "rest": (after.resting - now) // pacing.SECOND}
        record(conn, now, Entry(kind="pace.slowed", actor="engine", body=body | {"code": after.code}))
    elif after.rate is None and before.rate is not None:
        record(conn, now, Entry(kind="pace.recovered", actor="engine", body=names))
    if not (limits.bind or _is_learned(after)):
        drop_paces(conn, [pair])
    elif after != before:
        save_paces(conn, {pair: after})
