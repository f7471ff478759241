"""The member's side of an invitation: look at it first, press once, see what became of it, take it back.

Nothing here looks the recipient up. A press writes one row, for a mail one request besides, and one entry, whoever is
invited; the engine (services/invitations.py) decides. Refusals of every kind read "no answer", as silence does.
"""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.engine import Row

from outreach.domain import addresses
from outreach.domain.actors import Actor
from outreach.domain.errors import ConflictError, InvalidInputError, NotFoundError
from outreach.domain.invitation import HAND_DAYS, Answer, Policy, Relationship, Way, allowance, next_free
from outreach.domain.plain_words import check_note
from outreach.domain.tokens import Purpose
from outreach.mail.content import Filled
from outreach.services.context import Context
from outreach.services.invitation_mail import Words, preview, sender_name
from outreach.services.members import must_be_active, must_be_open
from outreach.services.public_text import House, read_house
from outreach.store import invitations, invitees, members, requests
from outreach.store.audit import Entry, record
from outreach.store.boxes import ContactKeys, seal
from outreach.store.members import MemberRow
from outreach.translations import LOCALES

DOOR = "invite"
PAGE = 50
_DAY = 86_400_000_000


@dataclass(frozen=True)
class Draft:
    """What the form holds. `relationship`: one of Relationship's values, none pre-selected."""

    way: Way
    address: str = ""
    note: str = ""
    relationship: str = ""
    locale: str = "en"


@dataclass(frozen=True, kw_only=True)
class Preview:
    """The exact words before anything is sent. `label`: the masked address; `mail`: None for one passed on by hand.
    `sender`: the name its From shows.

    `keep_days`: after so many days an unanswered address is erased; `expires_days`: how long it can be answered.
    """

    way: Way
    inviter: str
    note: str
    relationship: Relationship
    locale: str
    house: House
    keep_days: int
    expires_days: int
    label: str = ""
    mail: Filled | None = None
    sender: str = ""


@dataclass(frozen=True, kw_only=True)
class May:
    """What a member may do now. `next`: when another is possible (UTC microseconds), None: at once."""

    by_mail: bool
    a_day: int
    a_month: int
    left_today: int
    next: int | None
    suspended: bool


@dataclass(frozen=True, kw_only=True)
class Sent:
    """An invitation as its inviter sees it. `state`: open, accepted, closed or cancelled; `label`: the masked address.

    `hand_url`: the link to pass on, while it can be answered. Instants in UTC microseconds.
    """

    ref: bytes
    way: Way
    label: str
    relationship: str
    locale: str
    asked: int
    expires: int
    state: str
    wants_reminder: bool
    reminded: bool
    hand_url: str = ""
    note: str = ""


def check_draft(ctx: Context, actor: Actor, draft: Draft) -> Preview:
    """What would be sent, exactly. Acts on nothing. Raises InvalidInputError (its `field` as in Draft)."""
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        row = must_be_active(conn, actor)
        policy = invitations.policy_at(conn, now)
        checked = _checked(draft, policy)
        _must_have_room(conn, row, policy, now)
        return _preview(conn, ctx, row, checked, policy, now)


def send_invitation(ctx: Context, actor: Actor, draft: Draft) -> bytes:
    """The one press that invites; returns the invitation's ref. Raises what `check_draft` raises.

    Runs the same statements whoever is invited.
    """
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        row = _active(conn, actor)
        policy = invitations.policy_at(conn, now)
        checked = _checked(draft, policy)
        _must_have_room(conn, row, policy, now)
        made = _add(conn, ctx, now, row, checked, policy)
        if checked.address is not None:
            _ask_engine(conn, ctx, now, row, {"address": checked.address.exact, "invitation": made.ref.hex()})
        body = {
            "invitation": made.ref.hex(),
            "way": made.way,
            "relationship": made.relationship,
            "locale": made.locale,
            "expires": made.expires,
        }
        entry = Entry(kind="invitation.asked", actor=actor.name, contact=row.contact_ref, body=body)
        record(conn, now, entry)
        return bytes(made.ref)


def may_invite(ctx: Context, actor: Actor) -> May:
    """What the form may offer. Works for a suspended member too, who then reads so."""
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        row = must_be_open(conn, actor)
        policy = invitations.policy_at(conn, now)
        allowed = allowance(policy, invitations.record_of(conn, row.id, now))
        pressed = invitations.pressed_since(conn, row.id, now - 30 * _DAY)
        free = next_free(pressed, allowed, now)
        today = sum(1 for at in pressed if at > now - _DAY)
        left = min(allowed.a_day - today, allowed.a_month - len(pressed))
        return May(
            by_mail=policy.by_mail,
            a_day=allowed.a_day,
            a_month=allowed.a_month,
            left_today=max(0, left),
            next=free if free > now else None,
            suspended=row.suspended is not None,
        )


def list_sent(ctx: Context, actor: Actor, page: int = 1) -> list[Sent]:
    """A member's invitations, newest first, 50 a page; those through connect links are not among them."""
    with ctx.db.reading() as conn:
        row = must_be_open(conn, actor)
        rows = invitees.made_by(conn, row.id, limit=PAGE, offset=(max(page, 1) - 1) * PAGE)
        now, keys = ctx.db.now(conn), ContactKeys(ctx.keyring, conn)
        return [_sent(ctx, keys, row, one, now) for one in rows]


def see_sent(ctx: Context, actor: Actor, ref: bytes) -> Sent:
    """One of the member's own. Raises NotFoundError."""
    with ctx.db.reading() as conn:
        row = must_be_open(conn, actor)
        return _sent(ctx, ContactKeys(ctx.keyring, conn), row, _own(conn, row, ref), ctx.db.now(conn))


def cancel_invitation(ctx: Context, actor: Actor, ref: bytes) -> None:
    """Take an unanswered invitation back; twice is once. Raises NotFoundError, ConflictError once it is over.

    One that was refused is taken back just so: its inviter cannot tell. A mail not yet sent stays unsent.
    """
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        invitees.lock_members(conn, [actor.must_be_member()])
        row = must_be_open(conn, actor)
        one = _own(conn, row, ref, lock=True)
        state = _state(one, now)
        if state == "cancelled":
            return
        if state != "open":
            raise ConflictError("This invitation is no longer open. Nothing was changed.")
        ended = {"answer": Answer.CANCELLED, "answered": now} if one.answered is None else {}
        invitations.change(conn, one.id, settled=now, **ended)
        body = {"invitation": one.ref.hex()}
        record(conn, now, Entry(kind="invitation.cancelled", actor=actor.name, contact=row.contact_ref, body=body))


def send_reminder(ctx: Context, actor: Actor, ref: bytes) -> None:
    """Remind once, because the recipient asked to be. Raises ConflictError when they did not, or it is over."""
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        row = _active(conn, actor)
        one = _own(conn, row, ref, lock=True)
        if one.reminder == "sent":
            return
        if one.reminder != "asked" or _state(one, now) != "open":
            raise ConflictError("They have not asked to be reminded. Nothing was sent.")
        invitations.change(conn, one.id, reminder="sent")
        _ask_engine(conn, ctx, now, row, {"invitation": one.ref.hex(), "reminder": True})
        body = {"invitation": one.ref.hex()}
        record(conn, now, Entry(kind="invitation.reminded", actor=actor.name, contact=row.contact_ref, body=body))


@dataclass(frozen=True)
class _Checked:
    way: Way
    address: addresses.Address | None
    note: str
    relationship: Relationship
    locale: str


def _checked(draft: Draft, policy: Policy) -> _Checked:
    """The draft, if it may go at all. Looks at nobody."""
    if draft.way not in {Way.HAND, Way.MAIL}:
        raise InvalidInputError("Choose how the invitation goes: by mail, or passed on by hand.", "way")
    if draft.way == Way.MAIL and not policy.by_mail:
        raise InvalidInputError("Invitations by mail are switched off here. Pass a link on by hand instead.", "way")
    address = addresses.parse(draft.address) if draft.way == Way.MAIL else None
    note = check_note(draft.note)
    try:
        relationship = Relationship(draft.relationship)
    except ValueError:
        raise InvalidInputError("Say how you know each other.", "relationship") from None
    if draft.locale not in LOCALES:
        raise InvalidInputError("Choose the language the invitation is written in.", "locale")
    return _Checked(draft.way, address, note, relationship, draft.locale)


def _must_have_room(conn: Connection, row: MemberRow, policy: Policy, now: int) -> None:
    allowed = allowance(policy, invitations.record_of(conn, row.id, now))
    free = next_free(invitations.pressed_since(conn, row.id, now - 30 * _DAY), allowed, now)
    if free > now:
        raise AllowanceError(free)


class AllowanceError(InvalidInputError):
    """The member made as many as they may for now. `next`: when another is possible, UTC microseconds."""

    def __init__(self, free: int) -> None:
        super().__init__("You have made as many invitations as you may for now. Nothing was sent.", "way")
        self.next = free


def _add(conn: Connection, ctx: Context, now: int, row: MemberRow, checked: _Checked, policy: Policy) -> Row[Any]:
    keys = ContactKeys(ctx.keyring, conn)
    label = addresses.mask(checked.address.exact) if checked.address else ""
    return invitations.add(
        conn,
        member=row.id,
        way=checked.way,
        relationship=checked.relationship,
        locale=checked.locale,
        note_box=keys.seal(row.contact, checked.note) if checked.note else None,
        label_box=keys.seal(row.contact, label) if label else None,
        asked=now,
        expires=now + _days(checked.way, policy) * _DAY,
    )


def _ask_engine(conn: Connection, ctx: Context, now: int, row: MemberRow, payload: dict[str, Any]) -> None:
    requests.put_request(
        conn,
        now,
        door=DOOR,
        network=ctx.keyring.blind("network", f"member:{row.ref.hex()}"),
        payload_box=seal(ctx.keyring.doors, json.dumps(payload, ensure_ascii=False).encode()),
        not_before=now,
    )


def _preview(conn: Connection, ctx: Context, row: MemberRow, checked: _Checked, policy: Policy, now: int) -> Preview:
    house = read_house(conn)
    inviter = members.name_of(ContactKeys(ctx.keyring, conn), row)
    days = _days(checked.way, policy)
    words = Words(
        inviter=inviter,
        note=checked.note,
        relationship=checked.relationship,
        locale=checked.locale,
        asked=now,
        expires=now + days * _DAY,
    )
    return Preview(
        way=checked.way,
        inviter=inviter,
        note=checked.note,
        relationship=checked.relationship,
        locale=checked.locale,
        house=house,
        keep_days=policy.keep_days,
        expires_days=days,
        label=addresses.mask(checked.address.exact) if checked.address else "",
        mail=preview(conn, words, house) if checked.address else None,
        sender=sender_name(conn) or house.name,
    )


def _days(way: Way, policy: Policy) -> int:
    return HAND_DAYS if way == Way.HAND else policy.keep_days


def _sent(ctx: Context, keys: ContactKeys, row: MemberRow, one: Row[Any], now: int) -> Sent:
    state = _state(one, now)
    by_hand = one.way == Way.HAND
    return Sent(
        ref=one.ref,
        way=Way(one.way),
        label=keys.text(row.contact, one.label_box) or "",
        relationship=one.relationship or "",
        locale=one.locale,
        asked=one.asked,
        expires=one.expires,
        state=state,
        wants_reminder=one.reminder == "asked" and state == "open",
        reminded=one.reminder == "sent",
        hand_url=hand_url(ctx, one) if by_hand and state == "open" else "",
        note=keys.text(row.contact, one.note_box) or "",
    )


def hand_url(ctx: Context, row: Row[Any]) -> str:
    """The link an inviter passes on: always the same text for one invitation."""
    return f"{ctx.settings.public_url}/hand/{ctx.tokens.issue(Purpose.HAND, row.ref, row.asked)}"


def _state(one: Row[Any], now: int) -> str:
    """What its inviter may know: a refusal reads as no answer until the time is over."""
    if one.answer == Answer.ACCEPTED:
        return "accepted"
    if one.settled is not None or one.answer == Answer.CANCELLED:
        return "cancelled"
    return "open" if now < one.expires else "closed"


def _own(conn: Connection, row: MemberRow, ref: bytes, *, lock: bool = False) -> Row[Any]:
    one = invitations.by_ref(conn, ref, lock=lock)
    if one is None or one.member != row.id or one.way == Way.LINK:
        raise NotFoundError("There is no such invitation among yours.")
    return one


def _active(conn: Connection, actor: Actor) -> MemberRow:
    """The member's row, held against their own presses elsewhere. Raises what must_be_active raises."""
    invitees.lock_members(conn, [actor.must_be_member()])
    return must_be_active(conn, actor)
