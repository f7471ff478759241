"""Going along to another address: asked for in one's own room, answered by the new address's owner.

The press writes one row and answers the same whatever the new address is; the engine looks (`carrying.py`). Nothing
moves before the new address's owner says yes behind a link mailed there, and then the old address is told and has days
to stop it. Consents go by that yes; what else there is by the code of the old room besides (`belongings.py`).
`address_move` stays as the old address's note of what became of it.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from sqlalchemy import Connection, select

from outreach.domain import addresses
from outreach.domain.actors import OWNER, RECIPIENT, Actor
from outreach.domain.consent import LIVE
from outreach.domain.errors import ConflictError, InvalidInputError, NotFoundError
from outreach.domain.tokens import Purpose, Token
from outreach.services.confirm import Client
from outreach.services.context import Context
from outreach.services.expiry import erase_strangers
from outreach.services.invitation_mail import day
from outreach.services.lowered import lock_mailbox
from outreach.services.outbox import queue_notice
from outreach.services.public_text import House, Promise, promise_of, read_house
from outreach.services.rights.way_in import owner_of
from outreach.services.room.belongings import is_code, new_code, shown
from outreach.services.room.topics import RoomView, room_of
from outreach.services.scanners import looks_like_one
from outreach.store import address_moves as store
from outreach.store import connections, consents, requests, suppressions
from outreach.store import rights as rights_store
from outreach.store import room as room_store
from outreach.store.audit import Entry, record
from outreach.store.belongings import any_of
from outreach.store.boxes import ContactKeys
from outreach.store.contacts import Person, find_by_id
from outreach.store.schema.people import contact

LIFETIME = 7 * 86_400_000_000
"""The new address has so many microseconds to answer."""

STOPPABLE = 3 * 86_400_000_000
"""The old address has so many microseconds to stop it, once the new one said yes."""

MOST_A_DAY = 3
"""Addresses one person may name within 24 hours."""


@dataclass(frozen=True, kw_only=True)
class Move:
    """One change of address. `is_mine`: this is the old address; `other`: the other one, masked. `state`: asked,
    confirmed, moved, stopped, declined or lapsed; `until`: when what it waits for is over. UTC microseconds.

    `code`: what takes everything along, while it can be typed and there is more than consents; `is_whole`: it was
    typed; `account_stays`: it did not go, as the new address has one of its own.
    """

    is_mine: bool
    other: str
    state: str
    asked: int
    until: int
    ended: int | None
    code: str = field(default="", repr=False)
    is_whole: bool = False
    account_stays: bool = False


@dataclass(frozen=True)
class Moves:
    """`can_ask`: there is something to take along, and nothing that forbids it; `has_more`: more than consents."""

    room: RoomView
    moves: tuple[Move, ...]
    can_ask: bool
    has_more: bool


@dataclass(frozen=True, kw_only=True)
class MoveView:
    """What the page behind a mailed link says. `topics`: what would come along, in the words agreed to; `masked`: the
    address this link was mailed to; `ceiling`: (n, seconds) over everything. `state`, `is_whole`: as in Move.
    """

    house: House
    locale: str
    timezone: str
    masked: str
    topics: tuple[Promise, ...]
    state: str
    until: int
    is_whole: bool = False
    needs_step: bool = False


def see_moves(ctx: Context, token: str) -> Moves:
    """For the owner of a fresh link. Changes nothing. Raises TokenError, TokenExpiredError."""
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        person = owner_of(conn, ctx, now, token)
        room = room_of(conn, ctx, now, person)
        keys = ContactKeys(ctx.keyring, conn)
        has_more = any_of(conn, person.id)
        moves = tuple(_move(conn, keys, person, row, has_more=has_more) for row in store.of_contact(conn, person.id))
        return Moves(room, moves, _can_ask(room, has_more=has_more), has_more)


def ask_move(ctx: Context, token: str, address: str, client: Client, network: str) -> None:
    """Ask the owner of another address, in place of one asked before. The same whatever that address is.

    Raises TokenError, TokenExpiredError, InvalidInputError (field "address") for no address or this very one, and
    ConflictError for too many in a day, or while there is nothing that may be taken along.
    """
    parsed = addresses.parse(address)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        person = owner_of(conn, ctx, now, token, lock=lock_mailbox)
        keys = ContactKeys(ctx.keyring, conn)
        if parsed.exact == keys.text(person.id, room_store.settings(conn, person.id).address_box):
            raise InvalidInputError("That is the address we write to already. Nothing was changed.", "address")
        room = room_of(conn, ctx, now, person)
        if not _can_ask(room, has_more=any_of(conn, person.id)):
            raise ConflictError("There is nothing that can be taken along now. Nothing was changed.")
        if store.asked_since(conn, person.id, now - 86_400_000_000) >= MOST_A_DAY:
            raise ConflictError("You named several addresses today. Wait until tomorrow. Nothing was changed.")
        for row in _open_of(conn, person.id):
            end(conn, now, row, "stopped", OWNER)
        told = {"address": parsed.exact, "ip": client.ip, "browser": client.browser[:500], "code": new_code()}
        ref = store.add(
            conn,
            contact=person.id,
            network=ctx.keyring.blind("network", network),
            asked=now,
            expires=now + LIFETIME,
            due=now,
            asked_box=keys.seal(person.id, told),
        )
        record(conn, now, Entry(kind="address.asked", actor=OWNER.name, contact=person.ref, body={"move": ref.hex()}))


def stop_here(ctx: Context, token: str) -> bool:
    """Stop one's own open change of address, in the room. False when there is none. Raises as `see_moves`."""
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        person = owner_of(conn, ctx, now, token, lock=lock_mailbox)
        rows = _open_of(conn, person.id)
        for row in rows:
            end(conn, now, row, "stopped", OWNER)
        return bool(rows)


def view_move(ctx: Context, token: str) -> MoveView:
    """What the link mailed to a new address asks. Changes nothing. Raises TokenError, TokenExpiredError."""
    return _look(ctx, Purpose.MOVE, token)


def view_keep(ctx: Context, token: str) -> MoveView:
    """What the link mailed to the old address would stop. Changes nothing. Raises TokenError."""
    return _look(ctx, Purpose.KEEP, token)


def say_yes(ctx: Context, token: str, client: Client, *, code: str = "", is_human: bool = False) -> MoveView:
    """The new address's owner agrees to what is asked; it comes along after STOPPABLE. Twice is once.

    `code`: of the old address's room, for all else that is there; "" for consents alone. `needs_step` where a program
    may have pressed: nothing happened yet. Raises TokenError, TokenExpiredError, InvalidInputError (field "code") for
    another code, or none where no consent would come, and ConflictError once the answer can no longer count.
    """
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        row = lock_move(conn, _named(conn, ctx, Purpose.MOVE, token, now).ref)
        question = requests.confirmation_by_id(conn, row.confirmation)
        if row.ended is None and row.confirmed is None and question is not None and question.answered is None:
            is_whole = _is_whole(conn, ctx, row, code)
            mail = requests.last_mail(conn, row.confirmation, row.target)
            handed_off = None if mail is None else now if mail.state == "attempted" else mail.counted
            if not is_human and looks_like_one(conn, now, question.ref, handed_off):
                return _view(conn, ctx, row, Purpose.MOVE, needs_step=True)
            read = ctx.tokens.read(Purpose.MOVE, token, now)
            _confirm(conn, ctx, now, row, read, client, is_whole=is_whole)
        return _view(conn, ctx, _again(conn, row), Purpose.MOVE)


def say_no(ctx: Context, token: str) -> MoveView:
    """The new address's owner does not want it; their address is forgotten if nothing else holds it. Twice is once."""
    return _end_by_link(ctx, Purpose.MOVE, token, "declined")


def keep(ctx: Context, token: str) -> MoveView:
    """The old address's owner stops it. Twice is once."""
    return _end_by_link(ctx, Purpose.KEEP, token, "stopped")


def end(conn: Connection, now: int, row: store.MoveRow, outcome: str, actor: Actor) -> None:
    """End an open one without moving anything, inside the caller's transaction, both people locked."""
    store.change(conn, row.id, ended=now, outcome=outcome)
    body = {"move": row.ref.hex(), "outcome": outcome}
    refs = consents.lock_contacts(conn, {row.contact, row.target} - {None})
    record(conn, now, Entry(kind="address.kept", actor=actor.name, contact=refs.get(row.contact), body=body))
    if row.target is None:
        return
    question = requests.confirmation_by_id(conn, row.confirmation)
    if question is not None and question.answered is None:
        answer = "declined" if outcome == "declined" else "expired"
        requests.change_confirmation(conn, question.id, answered=now, answer=answer, evidence_box=None)
    erase_strangers(conn, now, [row.target], actor=actor, reason="a change of address that was not made")


def topics_along(conn: Connection, row: store.MoveRow) -> list[Promise]:
    """What would come along: live at the old address, and asked about where the question was asked already."""
    held = {one.topic: one for one in consents.held(conn, [row.contact]) if one.state in LIVE and one.text is not None}
    if row.confirmation is not None:
        asked = requests.asked_topics(conn, row.confirmation)
        held = {topic: one for topic, one in held.items() if topic in asked and asked[topic].text == one.text}
    topics = consents.topics(conn, held)
    texts = consents.texts(conn, (one.text for one in held.values() if one.text is not None))
    return [promise_of(topics[topic], texts[one.text]) for topic, one in held.items() if one.text is not None]


def goes(conn: Connection, row: store.MoveRow, along: Collection[Promise], *, is_whole: bool) -> bool:
    """Whether anything would go along: consents, or with the code whatever else there is."""
    return bool(along) or (is_whole and any_of(conn, row.contact))


def was_whole(keys: ContactKeys, row: store.MoveRow) -> bool:
    """Whether the yes came with the code."""
    return row.target is not None and bool(keys.facts(row.target, row.answer_box).get("whole"))


def _can_ask(room: RoomView, *, has_more: bool) -> bool:
    return (bool(room.live) or has_more) and not room.is_leaving and "restricted" not in room.bars


def _is_whole(conn: Connection, ctx: Context, row: store.MoveRow, typed: str) -> bool:
    code = ContactKeys(ctx.keyring, conn).facts(row.contact, row.asked_box).get("code", "")
    if typed.strip() and not is_code(code, typed):
        raise InvalidInputError("This is not the code in the room of the other address. Nothing was changed.", "code")
    if not typed.strip() and not topics_along(conn, row) and any_of(conn, row.contact):
        raise InvalidInputError("Type the code that the room of the other address shows.", "code")
    return bool(typed.strip())


def _confirm(
    conn: Connection, ctx: Context, now: int, row: store.MoveRow, read: Token, client: Client, *, is_whole: bool
) -> None:
    old, new = find_by_id(conn, row.contact), find_by_id(conn, row.target)
    along = topics_along(conn, row)
    if old is None or new is None or not goes(conn, row, along, is_whole=is_whole) or is_barred(conn, new.id):
        raise ConflictError("This can no longer be done. Nothing was changed.")
    keys = ContactKeys(ctx.keyring, conn)
    link = {"purpose": read.purpose.value, "ref": read.ref.hex(), "issued": read.issued, "key": read.key}
    said = {"act": "pressed “Yes” on the page of the new address", "ip": client.ip, "browser": client.browser[:500]}
    moves_at = now + STOPPABLE
    answer = keys.seal(new.id, said | {"token": link, "whole": is_whole})
    store.change(conn, row.id, confirmed=now, due=moves_at, answer_box=answer)
    requests.change_confirmation(conn, row.confirmation, answered=now, answer="confirmed")
    requests.mark_granted(conn, {row.confirmation: [one.topic for one in along]})
    suppressions.lift_by_owner(conn, now, consents.bar_keys(conn, new.id))
    body = {"move": row.ref.hex(), "moves": moves_at, "whole": is_whole}
    record(conn, now, Entry(kind="address.confirmed", actor=RECIPIENT.name, contact=new.ref, body=body))
    _tell_old(conn, ctx, now, row, old, moves_at, is_whole=is_whole)


def _tell_old(
    conn: Connection, ctx: Context, now: int, row: store.MoveRow, old: Person, moves_at: int, *, is_whole: bool
) -> None:
    """Tell the old address what is about to happen, with the one button that stops it."""
    url = f"{ctx.settings.public_url}/keep/{ctx.tokens.issue(Purpose.KEEP, row.ref, now)}"
    masked = addresses.mask(ContactKeys(ctx.keyring, conn).facts(old.id, row.asked_box)["address"])
    facts = {"url": url, "to": masked, "day": day(moves_at, read_house(conn), old.locale), "whole": is_whole}
    mail = queue_notice(conn, ctx, now, old, template="address-leaves", facts=facts)
    rights_store.note_mail(conn, now, mail)  # it rests on their own request, whatever is barred


def is_barred(conn: Connection, contact_id: int) -> bool:
    """Whether a bar stands that its owner's press does not lift."""
    return any(bar.lift != "owner" for bar in suppressions.live(conn, consents.bar_keys(conn, contact_id)))


def _end_by_link(ctx: Context, purpose: Purpose, token: str, outcome: str) -> MoveView:
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        row = lock_move(conn, _named(conn, ctx, purpose, token, now).ref)
        seen = _view(conn, ctx, row, purpose)
        if row.ended is not None:
            return seen
        end(conn, now, row, outcome, RECIPIENT)
        return _view(conn, ctx, _again(conn, row), purpose, masked=seen.masked)


def _open_of(conn: Connection, contact_id: int) -> list[store.MoveRow]:
    """A person's own open one, locked."""
    found = [row for row in store.of_contact(conn, contact_id) if row.contact == contact_id and row.ended is None]
    locked = (store.by_ref(conn, row.ref, lock=True) for row in found)
    return [row for row in locked if row is not None and row.ended is None]


def lock_move(conn: Connection, ref: bytes) -> store.MoveRow:
    """The move a link names, both its people locked first, as everywhere. Raises NotFoundError."""
    found = store.by_ref(conn, ref)
    if found is None:
        raise NotFoundError("There is nothing behind this link.")
    consents.lock_contacts(conn, {found.contact, found.target} - {None})
    row = store.by_ref(conn, ref, lock=True)
    assert row is not None  # noqa: S101  rows of moves are never deleted
    return row


def _again(conn: Connection, row: store.MoveRow) -> store.MoveRow:
    fresh = store.by_ref(conn, row.ref)
    assert fresh is not None  # noqa: S101  rows of moves are never deleted
    return fresh


def _look(ctx: Context, purpose: Purpose, token: str) -> MoveView:
    with ctx.db.reading() as conn:
        return _view(conn, ctx, _named(conn, ctx, purpose, token, ctx.db.now(conn)), purpose)


def _named(conn: Connection, ctx: Context, purpose: Purpose, token: str, now: int) -> store.MoveRow:
    """The move a link names: that to the new address by its question, that to the old one by itself."""
    ref = ctx.tokens.read(purpose, token, now).ref
    row = store.by_question(conn, ref) if purpose is Purpose.MOVE else store.by_ref(conn, ref)
    if row is None:
        raise NotFoundError("There is nothing behind this link.")
    return row


def _view(
    conn: Connection,
    ctx: Context,
    row: store.MoveRow,
    purpose: Purpose,
    *,
    masked: str = "",
    needs_step: bool = False,
) -> MoveView:
    house = read_house(conn)
    reader = row.target if purpose is Purpose.MOVE else row.contact
    person = find_by_id(conn, reader) if reader is not None else None
    return MoveView(
        house=house,
        locale=house.locale if person is None else person.locale,
        timezone=house.timezone if person is None else person.timezone,
        masked=masked or _masked(conn, ContactKeys(ctx.keyring, conn), reader),
        topics=tuple(topics_along(conn, row)) if row.ended is None else (),
        state=_state(conn, row),
        until=row.due if row.confirmed is not None else row.expires,
        is_whole=was_whole(ContactKeys(ctx.keyring, conn), row),
        needs_step=needs_step,
    )


def _move(conn: Connection, keys: ContactKeys, person: Person, row: store.MoveRow, *, has_more: bool) -> Move:
    is_mine = row.contact == person.id
    asked = keys.facts(row.contact, row.asked_box) if is_mine else {}
    typed = asked.get("address", "")
    state = _state(conn, row)
    is_wanted = is_mine and has_more and state == "asked"
    answer = {} if row.target is None else keys.facts(row.target, row.answer_box)
    return Move(
        is_mine=is_mine,
        other=addresses.mask(typed) if typed else _masked(conn, keys, None if is_mine else row.contact),
        state=state,
        asked=row.asked,
        until=row.due if row.confirmed is not None else row.expires,
        ended=row.ended,
        code=shown(asked.get("code", "")) if is_wanted else "",
        is_whole=bool(answer.get("whole")),
        account_stays=answer.get("account") == "stayed",
    )


def _state(conn: Connection, row: store.MoveRow) -> str:
    if row.ended is not None:
        return str(row.outcome)
    if row.confirmed is not None:
        return "confirmed"
    question = None if row.confirmation is None else requests.confirmation_by_id(conn, row.confirmation)
    return "asked" if question is None or question.answered is None else "declined"  # by the stop in its mail


def _masked(conn: Connection, keys: ContactKeys, contact_id: int | None) -> str:
    if contact_id is None or not connections.held(conn, [contact_id]):
        return ""
    box = conn.execute(select(contact.c.address_box).where(contact.c.id == contact_id)).scalar_one()
    exact = keys.text(contact_id, box)
    return addresses.mask(exact) if exact else ""
