"""What a person sees in their own room of the topics they agreed to: each promise beside what was really sent.

The figures come from the ledger that the caps are held by, for exactly this person's mailbox and the window of the
promise, so what is shown is what binds.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from outreach.domain import addresses
from outreach.domain.consent import LIVE, Event, State
from outreach.domain.errors import NotFoundError
from outreach.domain.frequency import SECOND, Cap
from outreach.domain.own_limits import DAY, lower_caps, most_in_any
from outreach.domain.rights import Kind
from outreach.domain.rights import State as RequestState
from outreach.services.agreed import read_agreed
from outreach.services.context import Context
from outreach.services.public_text import House, read_house
from outreach.services.receipts.links import token_of
from outreach.services.rights.way_in import owner_of
from outreach.store import consents, invitees, suppressions
from outreach.store import rights as rights_store
from outreach.store import room as store
from outreach.store.boxes import ContactKeys
from outreach.store.contacts import Person

LOOKED_BACK = 90
"""Days over which the busiest window is looked for."""


@dataclass(frozen=True, kw_only=True)
class TopicView:
    """One topic as its person sees it. Instants in UTC microseconds.

    `got`: mails within the promise's window that ends now; `most`: in any one such window of the last 90 days.
    `agreed`, `how` (confirmed, imported or soft: on a purchase), `source`, `wording`: from its evidence; `receipt`: the
    token of its receipt. `lower`: the caps offered below the promise; `can_restore`: a stop that can be taken back.
    """

    ref: bytes
    title: str
    gets: str
    sender: str
    text_locale: str
    text_version: int
    slug: str
    state: str
    since: int
    paused_until: int | None
    expires: int | None
    promise: Cap
    own: Cap | None
    got: int
    most: int
    agreed: int | None
    how: str
    source: str
    wording: str
    receipt: str
    lower: tuple[Cap, ...]
    can_restore: bool

    @property
    def name(self) -> str:
        """The topic's name outside: hexadecimal."""
        return self.ref.hex()

    @property
    def is_live(self) -> bool:
        return self.state in LIVE


@dataclass(frozen=True, kw_only=True)
class RoomView:
    """The room's first page. `total`: their own cap over everything; `bars`: kinds that stand; `others`: how many
    other spellings of this mailbox are held; `is_leaving`: an erasure is under way.
    """

    house: House
    masked: str
    locale: str
    timezone: str
    topics: tuple[TopicView, ...]
    total: Cap | None
    bars: frozenset[str]
    others: int
    is_leaving: bool

    @property
    def live(self) -> tuple[TopicView, ...]:
        return tuple(one for one in self.topics if one.is_live)


def see_room(ctx: Context, token: str) -> RoomView:
    """What the owner of a fresh link sees first. Changes nothing. Raises TokenError, TokenExpiredError."""
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        return room_of(conn, ctx, now, owner_of(conn, ctx, now, token))


def see_topic(ctx: Context, token: str, ref: bytes) -> tuple[RoomView, TopicView]:
    """One topic of the owner of a fresh link. Changes nothing. Raises as `see_room`, and NotFoundError."""
    room = see_room(ctx, token)
    found = next((one for one in room.topics if one.ref == ref), None)
    if found is None:
        raise NotFoundError("There is no such topic here.")
    return room, found


def room_of(conn: Connection, ctx: Context, now: int, person: Person) -> RoomView:
    """The room of a person whose link was read."""
    keys = ContactKeys(ctx.keyring, conn)
    own = store.settings(conn, person.id)
    exact = keys.text(person.id, own.address_box)
    bars = suppressions.live(conn, consents.bar_keys(conn, person.id))
    asked = rights_store.of_contact(conn, person.id)
    return RoomView(
        house=read_house(conn),
        masked=addresses.mask(exact) if exact else "",
        locale=person.locale,
        timezone=person.timezone,
        topics=topics_of(conn, ctx, now, person, keys),
        total=None if own.own_total_n is None else Cap(own.own_total_n, own.own_total_window),
        bars=frozenset(bar.kind for bar in bars),
        others=len(invitees.held_of_mailbox(conn, person.mailbox)) - 1,
        is_leaving=any(one.kind == Kind.ERASURE and one.state == RequestState.CARRYING_OUT for one in asked),
    )


def topics_of(conn: Connection, ctx: Context, now: int, person: Person, keys: ContactKeys) -> tuple[TopicView, ...]:
    """Every topic a person ever agreed to, by title."""
    rows = store.standings(conn, person.id)
    if not rows:
        return ()
    longest = max(LOOKED_BACK * DAY, *(row.cap_window for row in rows))
    ledger = store.counted(conn, person.mailbox, now - longest * SECOND)
    agreed, last = store.agreements(conn, person.id), store.last_events(conn, person.id)
    return tuple(
        _topic(ctx, now, keys, row, ledger.get(row.topic, ()), agreed.get(row.topic), last.get(row.topic))
        for row in rows
    )


def can_restore(row: Any, last: Any, now: int) -> bool:
    """Whether the person's own stop can be taken back: what they had agreed to still stands, and is still offered."""
    return bool(
        last is not None
        and last.event == Event.WITHDRAWN
        and last.from_state in LIVE
        and row.state == State.WITHDRAWN
        and row.closed is None
        and (row.expires is None or row.expires > now)
    )


def _topic(
    ctx: Context, now: int, keys: ContactKeys, row: Any, ledger: Sequence[int], agreed: Any, last: Any
) -> TopicView:
    promise = Cap(row.cap_n, row.cap_window)
    opened = now - promise.window * SECOND
    lately = now - LOOKED_BACK * DAY * SECOND
    evidence: Mapping[str, Any] = {} if agreed is None else keys.facts(row.contact, agreed.evidence_box)
    told = read_agreed(evidence, at=0 if agreed is None else agreed.at, wording=row.wording)
    return TopicView(
        ref=row.ref,
        title=row.title,
        gets=row.gets,
        sender=row.sender_name,
        text_locale=row.locale,
        text_version=row.version,
        slug=row.slug,
        state=row.state,
        since=row.since,
        paused_until=row.paused_until,
        expires=row.expires,
        promise=promise,
        own=None if row.own_n is None else Cap(row.own_n, row.own_window),
        got=sum(1 for at in ledger if at > opened),
        most=most_in_any((at for at in ledger if at > lately), promise.window),
        agreed=None if agreed is None else told.at,
        how="" if agreed is None else agreed.event,
        source=told.source,
        wording=told.wording,
        receipt="" if agreed is None else token_of(ctx, agreed.ref, agreed.at),
        lower=lower_caps(promise),
        can_restore=can_restore(row, last, now),
    )


def clock(ctx: Context) -> int:
    """The instant by which lengths of pauses are counted, UTC microseconds."""
    with ctx.db.reading() as conn:
        return ctx.db.now(conn)
