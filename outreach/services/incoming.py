"""What came in for a member: invitations to their mailbox or by a link they were handed, requests through their links.

Accepting needs the account of the mailbox that was invited, or the very link that was handed over. It says separately
what to show; nothing is shown that was not asked about (domain rule: a mailed link alone can only reduce and explain).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, exists, or_, select
from sqlalchemy.engine import Row

from outreach.domain import addresses
from outreach.domain.actors import Actor
from outreach.domain.errors import ConflictError, NotFoundError, TokenError
from outreach.domain.invitation import REFUSALS, Answer, Way
from outreach.domain.tokens import Purpose
from outreach.services import answers
from outreach.services.connect import tell_requester
from outreach.services.connections import connect
from outreach.services.context import Context
from outreach.services.expiry import erase_strangers
from outreach.services.invitation_rule import let_go
from outreach.services.members import must_be_open, tell_member
from outreach.store import connect_links, connections, consents, invitations, invitees, members
from outreach.store.address_moves import left
from outreach.store.audit import Entry, record
from outreach.store.boxes import ContactKeys
from outreach.store.members import MemberRow
from outreach.store.schema.campaigns import message
from outreach.store.schema.members import invitation

_DELIVERED = ("sent", "unknown")


class Fault(StrEnum):
    """Why something that came in cannot be accepted."""

    OWN = "own"
    OVER = "over"
    STOPPED = "stopped"


_WORDS = {
    Fault.OWN: "This is your own invitation. Pass its link on; nothing was changed.",
    Fault.OVER: "This has been answered or is past its time. Nothing was changed.",
    Fault.STOPPED: "Whoever this is from cannot be connected with at present. Nothing was changed.",
}


class CannotAcceptError(ConflictError):
    """`fault` says why, for pages in the reader's language."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(_WORDS[fault])
        self.fault = fault


@dataclass(frozen=True, kw_only=True)
class Incoming:
    """One thing that came in. `kind`: invitation or request; `way`: hand, mail or link. Instants in UTC microseconds.

    `name`: who invites, empty for a request: they have shown nothing. `label`: my own name for the link it came
    through. `came`: when they asked, or confirmed. `is_over`: it waits for no answer any more; `connection`: the live
    one with whoever it is from, once it is over. `my_name`, `my_masked`: what showing would show.
    """

    ref: bytes
    kind: str
    way: str
    name: str
    note: str
    relationship: str
    label: str
    came: int
    expires: int | None
    connection: bytes | None
    is_over: bool
    my_name: str
    my_masked: str


def list_incoming(ctx: Context, actor: Actor, *, hand_token: str = "") -> list[Incoming]:
    """What waits for the member's answer, newest first. `hand_token`: of the link this browser holds, if any."""
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        me = must_be_open(conn, actor)
        mine = and_(
            invitation.c.way == Way.LINK,
            invitation.c.member == me.id,
            invitation.c.answer == Answer.ACCEPTED,
            invitation.c.settlement.is_(None),
        )
        handed = and_(invitation.c.way == Way.HAND, invitation.c.ref == _held(ctx, now, hand_token))
        to_me = and_(_is_open(now), invitation.c.member != me.id, or_(handed, _was_mailed(conn, me)))
        query = select(invitation).where(or_(mine, to_me))
        rows = conn.execute(query.order_by(invitation.c.asked.desc(), invitation.c.id.desc())).all()
        return _views(conn, ctx, me, rows)


def see_incoming(ctx: Context, actor: Actor, ref: bytes, *, hand_token: str = "") -> Incoming:
    """One thing that came in, also once accepted. Raises NotFoundError for whatever is not for this member."""
    with ctx.db.reading() as conn:
        me = must_be_open(conn, actor)
        view = _views(conn, ctx, me, [_found(conn, ctx, me, ref, hand_token)])[0]
    if view.connection is None and view.is_over:
        raise NotFoundError("There is no such invitation.")
    return view


def claim_hand(ctx: Context, actor: Actor, token: str) -> bytes:
    """Look at a link that was handed over and return its invitation's ref. Binds and changes nothing.

    Raises CannotAcceptError for one's own or one that is over, TokenError for what is no such link.
    """
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        me = must_be_open(conn, actor)
        row = invitations.by_ref(conn, ctx.tokens.read(Purpose.HAND, token, now).ref)
        if row is None or row.way != Way.HAND:
            raise NotFoundError("There is nothing behind this link.")
        if row.member == me.id:
            raise CannotAcceptError(Fault.OWN)
        if not _stands(row, now):
            _made_before(conn, me, row)
        return bytes(row.ref)


def accept(
    ctx: Context, actor: Actor, ref: bytes, *, show_name: bool, show_address: bool, hand_token: str = ""
) -> bytes:
    """Say yes, and what to show from the start. Returns the connection's ref; twice is once.

    Raises NotFoundError for what is not for this member, CannotAcceptError for what can no longer be accepted.
    """
    chosen = {"name": show_name, "address": show_address}
    shows = frozenset(what for what, is_chosen in chosen.items() if is_chosen)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        me = must_be_open(conn, actor)
        row = _found(conn, ctx, me, ref, hand_token)
        if _is_request(me, row):
            return _accept_request(conn, ctx, now, me, row, shows, actor)
        return _accept_invitation(conn, ctx, now, me, row, shows, actor)


def refuse(ctx: Context, actor: Actor, ref: bytes, *, hand_token: str = "") -> None:
    """Say no. Nobody is told; twice is once. Raises NotFoundError, and CannotAcceptError once it was accepted."""
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        me = must_be_open(conn, actor)
        row = _found(conn, ctx, me, ref, hand_token, also=REFUSALS)
        if _is_request(me, row):
            _refuse_request(conn, now, me, row, actor)
            return
        if row.answer is None and row.expires <= now:
            raise CannotAcceptError(Fault.OVER)
        if answers.settle_refusal(conn, ctx, now, row, Answer.DECLINED, actor=actor).answer not in REFUSALS:
            raise CannotAcceptError(Fault.OVER)


def _accept_invitation(
    conn: Connection, ctx: Context, now: int, me: MemberRow, row: Row[Any], shows: frozenset[str], actor: Actor
) -> bytes:
    me, inviter, row = _locked(conn, me, row, actor)
    if not _stands(row, now):
        return _made_before(conn, me, row)
    if inviter.closed is not None or inviter.suspended is not None:
        raise CannotAcceptError(Fault.STOPPED)
    _say_yes(conn, now, me, row, actor)
    made = connect(
        conn,
        ctx,
        now,
        invitation_row=row,
        inviter_contact=inviter.contact,
        other_contact=me.contact,
        shows={inviter.contact: {"name"}, me.contact: shows},
        actor=actor,
    )
    if not connections.is_muted(conn, made, inviter.contact):
        tell_member(conn, ctx, now, inviter, template="answered", facts={"url": f"{ctx.settings.public_url}/me"})
    return made


def _say_yes(conn: Connection, now: int, me: MemberRow, row: Row[Any], actor: Actor) -> None:
    """Write the yes down. Where the inviter wrote to this mailbox before, that row goes on naming it and stays as it
    is: a change would show them whose mailbox their handed link was accepted from.
    """
    mailbox = None if invitees.names(conn, row, me.mailbox) else me.mailbox
    if row.mailbox is not None and row.contact == me.contact:
        mailbox = row.mailbox  # that of the address they had when they were invited
    gone = {"note_box": None, "label_box": None}
    values = {"answered": now, "answer": Answer.ACCEPTED, "mailbox": mailbox, "contact": me.contact, **gone}
    invitations.change(conn, row.id, **values)
    if row.contact not in {None, me.contact}:
        erase_strangers(conn, now, [row.contact], actor=actor, reason="answered from another address")
    body = {"invitation": row.ref.hex(), "way": row.way, "answer": "accepted"}
    record(conn, now, Entry(kind="invitation.answered", actor=actor.name, contact=me.contact_ref, body=body))


def _accept_request(
    conn: Connection, ctx: Context, now: int, me: MemberRow, row: Row[Any], shows: frozenset[str], actor: Actor
) -> bytes:
    me, _, row = _locked(conn, me, row, actor)
    asker, asker_ref = _asker(conn, row)
    if row.settlement is not None or row.answer != Answer.ACCEPTED or asker is None:
        return _made_before(conn, me, row)
    _settle(conn, now, row, "accepted", asker_ref, actor)
    made = connect(
        conn,
        ctx,
        now,
        invitation_row=row,
        inviter_contact=me.contact,
        other_contact=asker,
        shows={me.contact: shows | {"name"}},  # the link named its owner
        actor=actor,
    )
    if row.contact != asker:
        invitations.change(conn, row.id, contact=asker)
        erase_strangers(conn, now, [row.contact], actor=actor, reason="connected by account")
    tell_requester(conn, ctx, now, invitees.again(conn, row.id))
    return made


def _refuse_request(conn: Connection, now: int, me: MemberRow, row: Row[Any], actor: Actor) -> None:
    _, _, row = _locked(conn, me, row, actor)
    if row.settlement == "accepted":
        raise CannotAcceptError(Fault.OVER)
    if row.settlement is None:
        _settle(conn, now, row, "refused", _asker(conn, row)[1], actor)
        let_go(conn, now, invitees.again(conn, row.id), actor=actor, reason="refused")


def _settle(conn: Connection, now: int, row: Row[Any], settlement: str, asker_ref: bytes | None, actor: Actor) -> None:
    invitations.change(conn, row.id, settled=now, settlement=settlement)
    body = {"invitation": row.ref.hex(), "way": row.way, "settlement": settlement}
    record(conn, now, Entry(kind="invitation.answered", actor=actor.name, contact=asker_ref, body=body))


def _locked(conn: Connection, me: MemberRow, row: Row[Any], actor: Actor) -> tuple[MemberRow, MemberRow, Row[Any]]:
    """Me, the inviter and the invitation as they are once nobody else can change them. Raises NotFoundError if I left.

    Locked in the one order: people of either side, all spellings of the mailbox invited, then members, then the row.
    """
    inviter = members.by_id(conn, row.member)
    assert inviter is not None  # noqa: S101  a foreign key holds the row
    mailbox = row.mailbox if row.member == me.id else me.mailbox
    people = {inviter.contact, me.contact, row.contact, *invitees.held_of_mailbox(conn, mailbox)}
    consents.lock_contacts(conn, people - {None})
    invitees.lock_members(conn, {inviter.id, me.id})
    inviter = members.by_id(conn, row.member)
    fresh = invitations.by_ref(conn, row.ref, lock=True)
    assert inviter is not None  # noqa: S101  members are never deleted
    assert fresh is not None  # noqa: S101  nor are invitations
    return must_be_open(conn, actor), inviter, fresh


def _asker(conn: Connection, row: Row[Any]) -> tuple[int | None, bytes | None]:
    """The contact and ref of who asked, of their account where they have one; None once nobody is held."""
    asker = None if row.contact is None else members.account_in(conn, row.mailbox) or int(row.contact)
    if asker is None or not connections.held(conn, [asker]):
        return None, None
    return asker, consents.lock_contacts(conn, [asker])[asker]


def _is_request(me: MemberRow, row: Row[Any]) -> bool:
    return bool(row.way == Way.LINK and row.member == me.id)


def _stands(row: Row[Any], now: int) -> bool:
    return bool(row.answered is None and row.expires > now)


def _is_open(now: int) -> ColumnElement[bool]:
    return and_(invitation.c.answered.is_(None), invitation.c.expires > now)


def _was_mailed(conn: Connection, me: MemberRow) -> ColumnElement[bool]:
    """Invitations to this mailbox whose mail went out: whatever was withheld reaches nobody by this way either.

    Those to an address they had before came along with them; to one whose mail went elsewhere without its account, only
    its own count.
    """
    mail = exists().where(
        message.c.mailbox == me.mailbox,
        message.c.invitation == invitation.c.id,
        message.c.origin == "invitation",
        message.c.state.in_(_DELIVERED),
    )
    mine = invitation.c.contact == me.contact
    if not left(conn, me.contact):
        mine = or_(mine, invitation.c.mailbox == me.mailbox)
    return and_(invitation.c.way == Way.MAIL, mine, invitation.c.member != me.id, mail)


def _made_before(conn: Connection, me: MemberRow, row: Row[Any]) -> bytes:
    """The live connection with whoever this is from. Raises CannotAcceptError without one."""
    there = _connection(conn, me, row)
    if there is None:
        raise CannotAcceptError(Fault.OVER)
    return there


def _found(
    conn: Connection,
    ctx: Context,
    me: MemberRow,
    ref: bytes,
    hand_token: str,
    *,
    also: frozenset[Answer] = frozenset(),
) -> Row[Any]:
    """What came in for this member under `ref`: open, accepted by them, or ended as one of `also`."""
    now = ctx.db.now(conn)
    row = invitations.by_ref(conn, ref)
    if row is not None and _is_request(me, row) and row.answer == Answer.ACCEPTED:
        return row
    if row is not None and row.way != Way.LINK:
        is_held = row.way == Way.HAND and ref == _held(ctx, now, hand_token)
        if is_held and row.member == me.id:
            raise CannotAcceptError(Fault.OWN)
        if is_held or _is_to(conn, me, row, now, also | {Answer.ACCEPTED}):
            return row
    raise NotFoundError("There is no such invitation.")


def _is_to(conn: Connection, me: MemberRow, row: Row[Any], now: int, ends: frozenset[Answer]) -> bool:
    """Whether an invitation is bound to this member or their mailbox, and open or ended as one of `ends`."""
    is_mine = row.contact == me.contact or (row.mailbox == me.mailbox and not left(conn, me.contact))
    if row.member == me.id or not is_mine:
        return False
    if not _stands(row, now):
        return row.answer in ends
    query = select(invitation.c.id).where(invitation.c.id == row.id, _was_mailed(conn, me))
    return conn.execute(query).first() is not None


def _held(ctx: Context, now: int, hand_token: str) -> bytes:
    """The invitation of the link this browser holds; empty for none that is ours."""
    try:
        return ctx.tokens.read(Purpose.HAND, hand_token, now).ref
    except TokenError:
        return b""


def _connection(conn: Connection, me: MemberRow, row: Row[Any]) -> bytes | None:
    """The live connection of the two."""
    inviter = members.by_id(conn, row.member)
    mailbox = row.mailbox if row.member == me.id else me.mailbox
    if inviter is None or mailbox is None:
        return None
    live = connections.live_with_mailbox(conn, inviter.contact, mailbox)
    return None if live is None else bytes(live.ref)


def _views(conn: Connection, ctx: Context, me: MemberRow, rows: Sequence[Row[Any]]) -> list[Incoming]:
    now = ctx.db.now(conn)
    keys = ContactKeys(ctx.keyring, conn)
    inviters = {one: members.by_id(conn, one) for one in {row.member for row in rows}}
    keys.load([me.contact, *(inviter.contact for inviter in inviters.values() if inviter is not None)])
    links = {link.id: link.label_box for link in connect_links.of_member(conn, me.id)}
    mine = {
        "my_name": members.name_of(keys, me),
        "my_masked": addresses.mask(keys.text(me.contact, me.address_box) or ""),
    }
    views = []
    for row in rows:
        is_request = _is_request(me, row)
        is_over = row.settlement is not None if is_request else not _stands(row, now)
        inviter = None if is_request else inviters[row.member]
        label = keys.text(me.contact, links.get(row.link)) if is_request else ""
        views.append(
            Incoming(
                ref=row.ref,
                kind="request" if is_request else "invitation",
                way=row.way,
                name="" if inviter is None else members.name_of(keys, inviter),
                note="" if inviter is None else keys.text(inviter.contact, row.note_box) or "",
                relationship=row.relationship or "",
                label=label or "",
                came=row.answered if is_request else row.asked,
                expires=None if is_request else row.expires,
                connection=_connection(conn, me, row) if is_over else None,
                is_over=is_over,
                **mine,
            )
        )
    return views
