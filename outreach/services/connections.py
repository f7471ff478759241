"""Two people who both said yes: what each lets the other see, taking it back, muting, ending.

A page shows somebody's address to somebody else here and nowhere else, and only while its owner lets it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Select, select
from sqlalchemy.engine import Row

from outreach.domain import addresses
from outreach.domain.actors import RECIPIENT, Actor
from outreach.domain.errors import ConflictError, InvalidInputError, NotAllowedError, NotFoundError
from outreach.domain.tokens import Purpose
from outreach.services.context import Context
from outreach.services.expiry import erase_strangers
from outreach.services.public_text import House, read_house
from outreach.services.relaying import letting
from outreach.store import connections, consents, invitations, members, relaying
from outreach.store.audit import Entry, record
from outreach.store.boxes import ContactKeys
from outreach.store.connections import ConnectionRow
from outreach.store.members import MemberRow
from outreach.store.schema.members import invitation, member
from outreach.store.schema.people import contact

WHATS = ("name", "address")
"""What one side may show the other."""


@dataclass(frozen=True)
class Period:
    """`what` ("name" or "address") could be seen from `since` until `until`, UTC microseconds; None: still."""

    what: str
    since: int
    until: int | None


@dataclass(frozen=True, kw_only=True)
class Side:
    """What can be seen of one of the two now, and what could be when. Empty `name` or `address`: not shown."""

    name: str = ""
    address: str = ""
    periods: tuple[Period, ...] = ()

    @property
    def shows(self) -> frozenset[str]:
        return frozenset(period.what for period in self.periods if period.until is None)


@dataclass(frozen=True, kw_only=True)
class ConnectionView:
    """A connection as one of the two reads it. Instants in UTC microseconds.

    `theirs`: what I see of them, empty once it ended; `mine`: what they see of me. `way`: how it came about (hand,
    mail, link), `is_mine` if it was my invitation or my connect link. `my_name`, `my_masked`: what showing would show.
    """

    ref: bytes
    since: int
    way: str
    is_mine: bool
    theirs: Side
    mine: Side
    muted: int | None
    ended: int | None
    ended_by_me: bool
    is_erased: bool
    my_name: str
    my_masked: str


@dataclass(frozen=True, kw_only=True)
class EndView:
    """What the link in a mail says of its connection. `name`: of who is connected, while they show it."""

    house: House
    locale: str
    timezone: str
    name: str
    is_live: bool
    ended: int | None


def connect(
    conn: Connection,
    ctx: Context,  # noqa: ARG001  as every act inside a caller's transaction takes it
    now: int,
    *,
    invitation_row: Row[Any],
    inviter_contact: int,
    other_contact: int,
    shows: Mapping[int, Collection[str]],
    actor: Actor,
) -> bytes:
    """Connect two contacts inside the caller's transaction and return the connection's ref.

    `shows`: what each contact lets the other see from the start, of WHATS. A pair that is connected already stays one
    connection; what `shows` adds is added. Locks both contacts; the caller locks them first if it locks more.
    """
    refs = consents.lock_contacts(conn, [inviter_contact, other_contact])
    row = connections.live_between(conn, inviter_contact, other_contact)
    if row is None:
        pair = (inviter_contact, other_contact)
        row = connections.add(conn, now, invitation_id=invitation_row.id, pair=pair)
        relaying.make_addresses(conn, row.id, pair)
        body = {"connection": row.ref.hex(), "invitation": invitation_row.ref.hex(), "way": invitation_row.way}
        entries = [
            Entry(kind="connection.made", actor=actor.name, contact=refs[person], body=body) for person in sorted(refs)
        ]
        record(conn, now, *entries)
    for person in sorted(refs):
        for what in sorted(shows.get(person, ())):
            _show(conn, now, row, person, what, refs[person], actor)
    return bytes(row.ref)


def list_connections(ctx: Context, actor: Actor) -> list[ConnectionView]:
    """The member's connections: live ones newest first, then muted ones, then those that ended."""
    with ctx.db.reading() as conn:
        me = _me(conn, actor)
        views = _views(conn, ctx, me, connections.of_contact(conn, me.contact))
    return sorted(views, key=lambda view: (view.ended is not None, view.muted is not None, -view.since))


def see_connection(ctx: Context, actor: Actor, ref: bytes) -> ConnectionView:
    """One of the member's connections. Raises NotFoundError for anybody else's."""
    with ctx.db.reading() as conn:
        me = _me(conn, actor)
        return _views(conn, ctx, me, [_mine(conn, me, ref)])[0]


def disclose(ctx: Context, actor: Actor, ref: bytes, what: str) -> None:
    """Let the other side see my name or my address from now on. Twice is once. Raises ConflictError once it ended."""
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        me, row = _locked(conn, actor, ref)
        _show(conn, now, row, me.contact, what, me.contact_ref, actor)


def take_back(ctx: Context, actor: Actor, ref: bytes, what: str) -> None:
    """Show my name or my address no longer. What was seen is seen. Twice is once."""
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        me, row = _locked(conn, actor, ref)
        if connections.hide(conn, now, row.id, me.contact, _known(what)):
            body = {"connection": row.ref.hex(), "what": what}
            entry = Entry(kind="disclosure.taken-back", actor=actor.name, contact=me.contact_ref, body=body)
            record(conn, now, entry)


def mute(ctx: Context, actor: Actor, ref: bytes) -> None:
    """Let nothing about this connection reach me; the other side is not told. Mails of theirs wait. Twice is once."""
    _set_muted(ctx, actor, ref, is_muted=True)


def unmute(ctx: Context, actor: Actor, ref: bytes) -> None:
    """Take a mute back: mails that waited come now. Twice is once."""
    _set_muted(ctx, actor, ref, is_muted=False)


def end(ctx: Context, actor: Actor, ref: bytes) -> None:
    """End a connection: from now on neither sees anything of the other. Twice is once."""
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        me = _me(conn, actor)
        row = _mine(conn, me, ref)
        end_row(conn, now, row, by=me.contact, actor=actor, why="pressed")


def end_all(
    conn: Connection,
    ctx: Context,  # noqa: ARG001  as every act inside a caller's transaction takes it
    now: int,
    contact_id: int,
    actor: Actor,
) -> int:
    """End every live connection of a contact who leaves, inside the caller's transaction. Returns how many.

    The caller holds no lock but `lock_everybody`'s, and perhaps members' after it.
    """
    lock_everybody(conn, contact_id)
    rows = connections.live_of(conn, [contact_id])
    return sum(end_row(conn, now, row, by=contact_id, actor=actor, why="account closed") for row in rows)


def lock_everybody(conn: Connection, contact_id: int) -> None:
    """Lock a contact, and whomever they are connected with, in id order. Nobody can connect with them after this."""
    rows = connections.live_of(conn, [contact_id])
    consents.lock_contacts(conn, {contact_id, *(person for row in rows for person in (row.low, row.high))})


def view_end(ctx: Context, token: str) -> EndView:
    """What the link in the mail that told of a connection would end. Changes nothing.

    Raises TokenError, and NotFoundError for a link of any other mail: that mail can be in strange hands.
    """
    with ctx.db.reading() as conn:
        return _view_end(conn, ctx, _asked(conn, ctx, token))


def end_by_link(ctx: Context, token: str) -> EndView:
    """End a connection, for the side whose mail told of it. Twice is once. Raises as `view_end`."""
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        asked = _asked(conn, ctx, token)
        row, inviter = _of_link(conn, asked)
        if row is not None:
            end_row(conn, now, row, by=_other(row, inviter), actor=RECIPIENT, why="pressed")
        return _view_end(conn, ctx, asked)


def _show(conn: Connection, now: int, row: ConnectionRow, person: int, what: str, ref: bytes, actor: Actor) -> None:
    if connections.show(conn, now, row.id, person, _known(what)):
        body = {"connection": row.ref.hex(), "what": what}
        record(conn, now, Entry(kind="disclosure.given", actor=actor.name, contact=ref, body=body))


def _known(what: str) -> str:
    if what not in WHATS:
        raise InvalidInputError("Choose what to show: the name or the address.", "what")
    return what


def _set_muted(ctx: Context, actor: Actor, ref: bytes, *, is_muted: bool) -> None:
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        me, row = _locked(conn, actor, ref)
        if connections.set_muted(conn, row.id, me.contact, now if is_muted else None):
            kind = "connection.muted" if is_muted else "connection.unmuted"
            body = {"connection": row.ref.hex()}
            record(conn, now, Entry(kind=kind, actor=actor.name, contact=me.contact_ref, body=body))
            if not is_muted:
                letting.let_waiting_through(conn, ctx, now, row.id, me.contact)


def end_row(conn: Connection, now: int, row: ConnectionRow, *, by: int, actor: Actor, why: str) -> bool:
    """End it inside the caller's transaction, unless it has ended; who held no account and nothing else is erased."""
    refs = consents.lock_contacts(conn, [row.low, row.high])
    fresh = connections.by_ref(conn, row.ref, lock=True)
    if fresh is None or fresh.ended is not None:
        return False
    connections.end(conn, now, row.id, by)
    letting.end(conn, now, row.id)
    body = {"connection": row.ref.hex(), "why": why}
    sides = [
        Entry(
            kind="connection.ended",
            actor=actor.name,
            contact=refs[person],
            body={**body, "by": "self" if person == by else "other"},
        )
        for person in sorted(refs)
    ]
    record(conn, now, *sides)
    erase_strangers(conn, now, refs, actor=actor, reason="connection ended")
    return True


def _me(conn: Connection, actor: Actor) -> MemberRow:
    row = members.by_id(conn, actor.must_be_member())
    if row is None or row.closed is not None:
        raise NotAllowedError("This account is closed.")
    return row


def _mine(conn: Connection, me: MemberRow, ref: bytes) -> ConnectionRow:
    row = connections.by_ref(conn, ref)
    if row is None or me.contact not in {row.low, row.high}:
        raise NotFoundError("There is no such connection.")
    return row


def _locked(conn: Connection, actor: Actor, ref: bytes) -> tuple[MemberRow, ConnectionRow]:
    """My live connection, both contacts locked first, as everywhere; and me as I am then: an address can change."""
    row = _mine(conn, _me(conn, actor), ref)
    consents.lock_contacts(conn, [row.low, row.high])
    me = _me(conn, actor)
    fresh = connections.by_ref(conn, ref, lock=True)
    if fresh is None or fresh.ended is not None or me.contact not in {fresh.low, fresh.high}:
        raise ConflictError("This connection has ended. Nothing was changed.")
    return me, fresh


def _other(row: ConnectionRow, person: int) -> int:
    return int(row.high if row.low == person else row.low)


def _views(conn: Connection, ctx: Context, me: MemberRow, rows: Collection[ConnectionRow]) -> list[ConnectionView]:
    """The views of many connections, in a fixed number of statements."""
    ids = [row.id for row in rows]
    others = {row.id: _other(row, me.contact) for row in rows}
    keys = ContactKeys(ctx.keyring, conn)
    keys.load([me.contact, *others.values()])
    people = _people(conn, keys, [me.contact, *others.values()])
    origins = _origins(conn, [row.invitation for row in rows])
    shown = connections.shown(conn, ids)
    muted = connections.muted(conn, me.contact, ids)
    held = connections.held(conn, others.values())
    mine = people[me.contact]
    nobody = Side()
    return [
        ConnectionView(
            ref=row.ref,
            since=row.since,
            way=origins[row.invitation].way,
            is_mine=origins[row.invitation].member == me.id,
            theirs=nobody if row.ended else _side(shown[row.id], others[row.id], people[others[row.id]]),
            mine=_side(shown[row.id], me.contact, mine),
            muted=muted.get(row.id),
            ended=row.ended,
            ended_by_me=row.ended_by == me.contact,
            is_erased=others[row.id] not in held,
            my_name=mine.name,
            my_masked=addresses.mask(mine.address),
        )
        for row in rows
    ]


def _people(conn: Connection, keys: ContactKeys, contacts: Collection[int]) -> dict[int, Side]:
    """Everybody's name and address, as their owners gave them; empty for who has no account or was erased."""
    columns = (contact.c.id, contact.c.address_box, member.c.name_box)
    query = select(*columns).outerjoin(member, (member.c.contact == contact.c.id) & member.c.closed.is_(None))
    return {
        row.id: Side(name=keys.text(row.id, row.name_box) or "", address=keys.text(row.id, row.address_box) or "")
        for row in conn.execute(query.where(contact.c.id.in_(list(contacts)))).all()
    }


def _origins(conn: Connection, ids: Collection[int]) -> dict[int, Row[Any]]:
    query: Select[Any] = select(invitation.c.id, invitation.c.way, invitation.c.member)
    return {row.id: row for row in conn.execute(query.where(invitation.c.id.in_(list(ids))))}


def _side(rows: Collection[Row[Any]], person: int, whole: Side) -> Side:
    """Of a person, only what they show now; and when what was shown."""
    periods = tuple(Period(row.what, row.since, row.until) for row in rows if row.contact == person)
    now = Side(periods=periods)
    return replace(
        now,
        name=whole.name if "name" in now.shows else "",
        address=whole.address if "address" in now.shows else "",
    )


def _asked(conn: Connection, ctx: Context, token: str) -> Row[Any]:
    """The request that a connection's mail told of: its token is of the instant its owner accepted."""
    read = ctx.tokens.read(Purpose.INVITATION, token, ctx.db.now(conn))
    row = invitations.by_ref(conn, read.ref)
    if row is None or row.settlement != "accepted" or row.settled != read.issued:
        raise NotFoundError("There is nothing behind this link.")
    return row


def _of_link(conn: Connection, asked: Row[Any]) -> tuple[ConnectionRow | None, int]:
    """The connection of the pair an invitation is about, the live one first; and the inviter's contact."""
    inviter = members.by_id(conn, asked.member)
    assert inviter is not None  # noqa: S101  a foreign key holds the row
    live = None if asked.mailbox is None else connections.live_with_mailbox(conn, inviter.contact, asked.mailbox)
    return live or connections.last_of_invitation(conn, asked.id), int(inviter.contact)


def _view_end(conn: Connection, ctx: Context, asked: Row[Any]) -> EndView:
    row, inviter = _of_link(conn, asked)
    house = read_house(conn)
    is_live = row is not None and row.ended is None
    name = ""
    if row is not None and is_live:
        keys = ContactKeys(ctx.keyring, conn)
        name = _side(connections.shown(conn, [row.id])[row.id], inviter, _people(conn, keys, [inviter])[inviter]).name
    zone = conn.execute(select(contact.c.timezone).where(contact.c.id == asked.contact)).scalar_one_or_none()
    return EndView(
        house=house,
        locale=asked.locale,
        timezone=zone or house.timezone,
        name=name,
        is_live=is_live,
        ended=None if row is None else row.ended,
    )
