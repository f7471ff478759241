"""What the engine makes of a member's press, and what time ends: here alone is it looked up who is invited.

The door wrote one row whoever it was. Here the person is found or made, the rule decides, and the mail is queued or
withheld with a reason. Over a cap the request waits; one that cannot be taken fails alone and is tried again hourly.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.engine import Row

from outreach.domain import addresses
from outreach.domain.actors import ENGINE
from outreach.domain.eligibility import Defer, Reason
from outreach.domain.invitation import Answer
from outreach.services.context import Context
from outreach.services.doors import take_due
from outreach.services.invitation_rule import judge, let_go, place
from outreach.services.invite import DOOR
from outreach.services.public_text import read_house
from outreach.store import consents, invitations, invitees, requests
from outreach.store.audit import Entry, record
from outreach.store.boxes import ContactKeys, unseal
from outreach.store.contacts import Person, find_by_id
from outreach.store.newcomers import Newcomer, ensure_contacts, find_all
from outreach.store.planning import take_planners_turn

_SLICE = 500


@dataclass(frozen=True)
class _Asked:
    """A press, opened. `address`: None for a reminder, which goes to whom the invitation went."""

    row: Row[Any]
    invitation: bytes
    address: addresses.Address | None


def process_invitations(ctx: Context) -> int:
    """Take due presses. Returns how many were looked at. For the engine."""
    return take_due(ctx, (DOOR,), lambda conn, now: _Batch(conn, ctx, now), reserves=True)


class _Batch:
    """What `doors.take_due` asks of a batch."""

    def __init__(self, conn: Connection, ctx: Context, now: int) -> None:
        self.conn, self.ctx, self.now = conn, ctx, now

    def open(self, row: Row[Any]) -> _Asked:
        return _open(self.ctx, row)

    def lock(self, opened: Sequence[_Asked]) -> None:
        _lock(self.conn, self.ctx, opened)

    def take(self, asked: _Asked) -> None:
        _take(self.conn, self.ctx, self.now, asked)


def expire_invitations(ctx: Context) -> int:
    """End what nobody answered, and forget words and strangers of what is over, at most 500 of each. For the engine."""
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        looks = (invitees.past_their_time(conn, now, limit=1), invitees.with_words(conn, now, limit=1))
        if not any((*looks, invitees.to_let_go(conn, limit=1))):
            return 0
    return sum(_in_turn(ctx, step) for step in (_end, _forget_words, _let_go))


def _in_turn(ctx: Context, step: Callable[[Connection, int], int]) -> int:
    """One step in a transaction of its own, for each locks whom it is about before any invitation."""
    with ctx.db.transaction() as conn:
        take_planners_turn(conn)
        return step(conn, ctx.db.now(conn))


def _open(ctx: Context, row: Row[Any]) -> _Asked:
    payload: Mapping[str, Any] = json.loads(unseal(ctx.keyring.doors, row.payload_box))
    typed = payload.get("address")
    return _Asked(row, bytes.fromhex(payload["invitation"]), addresses.parse(typed) if typed else None)


def _lock(conn: Connection, ctx: Context, opened: Sequence[_Asked]) -> None:
    """Lock everybody we already know, in id order as the pipeline does, then who invites: nobody waits in a ring."""
    typed = [asked.address.exact for asked in opened if asked.address is not None]
    known = {person.id for person in find_all(conn, [ctx.keyring.blind("address", one) for one in typed]).values()}
    rows = invitees.by_refs(conn, [asked.invitation for asked in opened])
    _lock_all(conn, rows, known)


def _lock_all(conn: Connection, rows: Sequence[Row[Any]], known: set[int] | None = None) -> None:
    """Lock whom invitations are for, and who else is `known`, then their inviters."""
    consents.lock_contacts(conn, ({row.contact for row in rows} | (known or set())) - {None})
    invitees.lock_members(conn, {row.member for row in rows})


def _take(conn: Connection, ctx: Context, now: int, asked: _Asked) -> None:
    """Decide one press, or make it wait."""
    row = invitations.by_ref(conn, asked.invitation, lock=True)
    if row is None:
        raise LookupError("a press without its invitation")
    person = None if row.answered is not None else _person(conn, ctx, now, asked, row)
    if person is None:  # answered or taken back meanwhile: nobody is looked up, nobody is written to
        body = {"invitation": row.ref.hex(), "mail": "none", "reason": str(Reason.INVITATION_ENDED)}
        record(conn, now, Entry(kind="invitation.decided", actor=ENGINE.name, body=body))
        return requests.settle_request(conn, asked.row.id, now)
    if row.mailbox is None and not invitees.is_before(conn, row, person.mailbox):
        invitations.change(conn, row.id, mailbox=person.mailbox, contact=person.id)
        row = invitees.again(conn, row.id)
    decision = judge(conn, now, row, person)
    if isinstance(decision, Defer):
        return requests.postpone_request(conn, asked.row.id, decision.until)
    place(conn, now, row, person, decision)
    return requests.settle_request(conn, asked.row.id, now)


def _person(conn: Connection, ctx: Context, now: int, asked: _Asked, row: Row[Any]) -> Person | None:
    """Whom the press is about: found or made from the address, for a reminder whom the invitation went to."""
    if asked.address is None:
        return None if row.contact is None else find_by_id(conn, row.contact)
    keys = ContactKeys(ctx.keyring, conn)
    newcomer = Newcomer(asked.address, row.locale, read_house(conn).timezone)
    found = ensure_contacts(conn, ctx.keyring, keys, [newcomer], now=now)
    return found[ctx.keyring.blind("address", asked.address.exact)]


def _end(conn: Connection, now: int) -> int:
    due = invitees.past_their_time(conn, now, limit=_SLICE)
    _lock_all(conn, due)
    ended = 0
    for one in due:
        row = invitations.by_ref(conn, one.ref, lock=True)
        if row is None or row.answered is not None or row.contact != one.contact:
            continue
        invitations.change(conn, row.id, answer=str(Answer.EXPIRED), answered=now)
        entry = Entry(kind="invitation.expired", actor=ENGINE.name, contact=_ref(conn, row), body=_named(row))
        record(conn, now, entry)
        ended += 1
    return ended


def _forget_words(conn: Connection, now: int) -> int:
    worded = invitees.with_words(conn, now, limit=_SLICE)
    invitees.lock_members(conn, {row.member for row in worded})
    invitees.forget_words(conn, [row.id for row in worded])
    return len(worded)


def _let_go(conn: Connection, now: int) -> int:
    """Forget whom invitations that are over went to; those whose mail is just being handed off, at another look."""
    due = invitees.to_let_go(conn, limit=_SLICE)
    _lock_all(conn, due)
    rows = [invitations.by_ref(conn, one.ref, lock=True) for one in due]
    return sum(1 for row in rows if row is not None and let_go(conn, now, row, actor=ENGINE, reason=_why(row)))


def _why(row: Row[Any]) -> str:
    return "never accepted" if row.answer == Answer.EXPIRED else str(row.answer)


def _ref(conn: Connection, row: Row[Any]) -> bytes | None:
    person = invitees.invited(conn, row)
    return None if person is None else bytes(person.ref)


def _named(row: Row[Any]) -> dict[str, Any]:
    return {"invitation": row.ref.hex(), "way": row.way}
