"""The recipient's side of an invitation, from a mailed link or one passed on by hand: look, decline, never, report.

None of it needs an account, and none of it accepts anything: a link in a mail only reduces and explains (promise 2).
From a mail every answer works for ever, after the address was erased too, from the mailbox's keyed hash in the
invitation's row. A link passed on by hand is answered once: its token is in more hands than one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.engine import Row

from outreach.domain import addresses
from outreach.domain.actors import RECIPIENT, Actor
from outreach.domain.errors import ConflictError, TokenError
from outreach.domain.invitation import REFUSALS, Answer, Report, Way, replaces, suspension
from outreach.domain.tokens import Purpose
from outreach.services import connect_links
from outreach.services.confirm import bar_forever
from outreach.services.context import Context
from outreach.services.invitation_rule import let_go
from outreach.services.public_text import House, read_house
from outreach.services.suspension import suspend
from outreach.store import consents, invitations, invitees, members, suppressions
from outreach.store.audit import Entry, record
from outreach.store.boxes import ContactKeys

_NEVER = "never again from anybody here"


@dataclass(frozen=True, kw_only=True)
class InvitationView:
    """One invitation as its recipient sees it. Instants in UTC microseconds.

    `inviter`: empty once their account is gone. `masked`: the address it went to, empty by hand and once erased.
    `asked`: when the inviter (at a connect link: somebody) gave the address. `answer`: empty while open, else an
    Answer; `is_reported`: a report counts already; `reminder`: "", asked or sent.
    """

    ref: bytes
    way: Way
    house: House
    locale: str
    timezone: str
    inviter: str
    note: str
    relationship: str
    asked: int
    expires: int
    masked: str
    answer: str
    is_reported: bool
    reminder: str
    can_accept: bool
    can_ask_reminder: bool


def view_invitation(ctx: Context, token: str) -> InvitationView:
    """What a mailed link is about. Changes nothing. Raises TokenError."""
    return _look(ctx, Purpose.INVITATION, token)


def view_hand(ctx: Context, token: str) -> InvitationView:
    """What a link passed on by hand is about. Changes nothing. Raises TokenError."""
    return _look(ctx, Purpose.HAND, token)


def decline(ctx: Context, token: str) -> InvitationView:
    """No. The address is erased at once if nothing else holds it; the inviter is not told. Twice is once."""
    return _refuse(ctx, Purpose.INVITATION, token, Answer.DECLINED)


def never(ctx: Context, token: str) -> InvitationView:
    """Nothing from anybody here to this mailbox, ever again."""
    return _refuse(ctx, Purpose.INVITATION, token, Answer.NEVER)


def report(ctx: Context, token: str, why: Report) -> InvitationView:
    """Decline, and let it count against the inviter at once."""
    return _refuse(ctx, Purpose.INVITATION, token, Answer.REPORTED, why)


def decline_hand(ctx: Context, token: str) -> InvitationView:
    """No, to a link passed on by hand: it is closed for everybody. Changes nothing once it is over."""
    return _refuse(ctx, Purpose.HAND, token, Answer.DECLINED)


def report_hand(ctx: Context, token: str, why: Report) -> InvitationView:
    """Report a link passed on by hand, and close it. Changes nothing once it is over."""
    return _refuse(ctx, Purpose.HAND, token, Answer.REPORTED, why)


def ask_reminder(ctx: Context, token: str) -> InvitationView:
    """Let the inviter know that a reminder is welcome. Twice is once. Raises ConflictError when it is over."""
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        row, _ = _lock(conn, _find(conn, ctx, Purpose.INVITATION, token, now))
        if row.reminder is None:
            if not _can_ask_reminder(row, now):
                raise ConflictError("This invitation can no longer be answered. Nothing was changed.")
            invitations.change(conn, row.id, reminder="asked")
            _record_answer(conn, now, row, RECIPIENT, {"answer": "later"})
        return _view(conn, ctx, invitees.again(conn, row.id), now)


def settle_refusal(
    conn: Connection,
    ctx: Context,
    now: int,
    row: Row[Any],
    answer: Answer,
    *,
    why: Report | None = None,
    actor: Actor,
) -> Row[Any]:
    """The one way an invitation is refused, inside the caller's transaction; returns the row as it is then.

    A stronger answer replaces a weaker one, `never` bars the mailbox whatever was answered before, the first report
    counts against the inviter. A stranger's address is erased, and the inviter suspended where their record says so.
    By hand nothing changes once it is over. The caller holds no lock of a contact, member or invitation yet.
    """
    if answer not in REFUSALS or (answer == Answer.REPORTED) != (why is not None):
        raise ValueError("not a refusal")
    row, others = _lock(conn, row, bars=answer == Answer.NEVER)
    if row.way == Way.HAND and (row.answered is not None or now >= row.expires):
        return row
    values = _refusal(row, answer, why, now)
    bars = answer == Answer.NEVER and row.mailbox is not None and not _is_barred(conn, row.mailbox)
    if bars:
        _bar(conn, ctx, now, row, others)
    if values:
        invitations.change(conn, row.id, **values)
    if values or bars:
        _record_answer(conn, now, row, actor, {"answer": str(answer), "why": None if why is None else str(why)})
        _suspend_if_due(conn, now, row, actor)
    if "report" in values:
        connect_links.close_if_reported(conn, now, row.link)
    let_go(conn, now, invitees.again(conn, row.id), actor=actor, reason=str(answer))
    return invitees.again(conn, row.id)


def _refusal(row: Row[Any], answer: Answer, why: Report | None, now: int) -> dict[str, Any]:
    """The columns this answer changes. A refusal stays answered when it first was, whatever replaces it."""
    values: dict[str, Any] = {"report": str(why)} if why is not None and row.report is None else {}
    is_waiting = row.way == Way.LINK and row.settled is None  # confirmed, but the link's owner has not answered
    if replaces(answer, row.answer, is_waiting=is_waiting):
        values |= {"answer": str(answer), "answered": row.answered if row.answer in REFUSALS else now}
    return values


def _bar(conn: Connection, ctx: Context, now: int, row: Row[Any], others: Sequence[Row[Any]]) -> None:
    """Bar the mailbox for good, and end whatever else is open towards it: nobody else is blamed for that."""
    for one in others:
        invitations.change(conn, one.id, answer=str(Answer.EXPIRED), answered=now)
        refs = consents.lock_contacts(conn, [] if one.contact is None else [one.contact])
        told = {"invitation": one.ref.hex(), "way": one.way, "for": "never"}
        ended = Entry(kind="invitation.expired", actor=RECIPIENT.name, contact=refs.get(one.contact), body=told)
        record(conn, now, ended)
        let_go(conn, now, invitees.again(conn, one.id), actor=RECIPIENT, reason="never")
    held = invitees.held_of_mailbox(conn, row.mailbox)
    for contact in held:
        bar_forever(conn, ctx, now, contact, reason=_NEVER)
    if not held:
        key = invitees.mailbox_key(conn, row.mailbox)
        suppressions.put(conn, now, [suppressions.Bar(key, "mailbox", "never", "officer", _NEVER)])
        record(conn, now, Entry(kind="contact.barred", actor=RECIPIENT.name, body={"bar": "never"}))


def _is_barred(conn: Connection, mailbox_id: int) -> bool:
    bars = suppressions.live(conn, [invitees.mailbox_key(conn, mailbox_id)])
    return any(bar.kind == "never" for bar in bars)


def _suspend_if_due(conn: Connection, now: int, row: Row[Any], actor: Actor) -> None:
    inviter = members.by_id(conn, row.member)
    why = suspension(invitations.record_of(conn, row.member, now))
    if why and inviter is not None:
        suspend(conn, now, inviter, why, actor)


def _record_answer(conn: Connection, now: int, row: Row[Any], actor: Actor, body: dict[str, Any]) -> None:
    refs = consents.lock_contacts(conn, [row.contact] if row.contact is not None else [])
    told = {"invitation": row.ref.hex(), **body}
    entry = Entry(kind="invitation.answered", actor=actor.name, contact=refs.get(row.contact), body=told)
    record(conn, now, entry)


def _look(ctx: Context, purpose: Purpose, token: str) -> InvitationView:
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        return _view(conn, ctx, _find(conn, ctx, purpose, token, now), now)


def _refuse(ctx: Context, purpose: Purpose, token: str, answer: Answer, why: Report | None = None) -> InvitationView:
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        row = _find(conn, ctx, purpose, token, now)
        return _view(conn, ctx, settle_refusal(conn, ctx, now, row, answer, why=why, actor=RECIPIENT), now)


def _find(conn: Connection, ctx: Context, purpose: Purpose, token: str, now: int) -> Row[Any]:
    row = invitations.by_ref(conn, ctx.tokens.read(purpose, token, now).ref)
    if row is None or (purpose == Purpose.HAND) != (row.way == Way.HAND):
        raise TokenError("This link is not complete, or not one of ours. Nothing was changed.")
    return row


def _lock(conn: Connection, row: Row[Any], *, bars: bool = False) -> tuple[Row[Any], Sequence[Row[Any]]]:
    """The row, locked, and if it `bars` the others that wait for its mailbox: people, members, then rows."""
    has_others = bars and row.mailbox is not None
    people = set(invitees.held_of_mailbox(conn, row.mailbox)) if row.mailbox is not None else set()
    consents.lock_contacts(conn, people | ({row.contact} if row.contact is not None else set()))
    others = invitees.others_waiting(conn, row.mailbox, but=row.id) if has_others else []
    inviters = {row.member, *(one.member for one in others)}
    invitees.lock_members(conn, inviters)
    locked = invitations.by_ref(conn, row.ref, lock=True)
    assert locked is not None  # noqa: S101  rows of invitations are never deleted
    return locked, invitees.others_waiting(conn, row.mailbox, but=row.id, of=inviters) if has_others else []


def _can_ask_reminder(row: Row[Any], now: int) -> bool:
    return row.way == Way.MAIL and row.answered is None and now < row.expires and row.reminder is None


def _view(conn: Connection, ctx: Context, row: Row[Any], now: int) -> InvitationView:
    keys, house = ContactKeys(ctx.keyring, conn), read_house(conn)
    inviter = members.by_id(conn, row.member)
    person = invitees.invited(conn, row)
    exact = keys.text(row.contact, person.address_box) if person is not None else None
    is_over = row.answered is None and now >= row.expires
    is_active = inviter is not None and inviter.suspended is None and inviter.closed is None
    return InvitationView(
        ref=row.ref,
        way=Way(row.way),
        house=house,
        locale=row.locale,
        timezone=house.timezone if person is None else person.timezone,
        inviter="" if inviter is None else members.name_of(keys, inviter),
        note="" if inviter is None else keys.text(inviter.contact, row.note_box) or "",
        relationship=row.relationship or "",
        asked=row.asked,
        expires=row.expires,
        masked=addresses.mask(exact) if exact else "",
        answer=str(Answer.EXPIRED) if is_over else row.answer or "",
        is_reported=row.report is not None,
        reminder=row.reminder or "",
        can_accept=row.way != Way.LINK and row.answered is None and not is_over and is_active,
        can_ask_reminder=_can_ask_reminder(row, now),
    )
