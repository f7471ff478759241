"""Making a member's account, or getting back into one: the public door, the one mail, and choosing a password.

The door writes one request row, whoever's address was typed; the engine looks, and mails its owner a link that works
for half an hour. So only who reads the mailbox learns whether there is an account.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.engine import Row

from outreach.domain import addresses, own_names, plain_words
from outreach.domain.errors import ConflictError, InvalidInputError, TokenExpiredError
from outreach.domain.tokens import Purpose
from outreach.services import outbox, passwords
from outreach.services.budgets import Budgets
from outreach.services.context import Context
from outreach.services.doors import leave_request, opened_request, take_due
from outreach.services.public_text import read_house
from outreach.services.sessions import MEMBERS, Client, begin_session, end_sessions
from outreach.store import belongings, consents, invitees, requests, suppressions
from outreach.store import members as store
from outreach.store.audit import Entry, record
from outreach.store.boxes import ContactKeys
from outreach.store.contacts import Person, find_by_address, find_by_id
from outreach.store.newcomers import Newcomer, ensure_contacts
from outreach.store.schema.organisation import controller, sender

DOOR = "member-start"
LIFETIME = requests.DAY
"""An unanswered request for an account is erased after so many microseconds, with the person if nothing holds them."""

_BACK = re.compile(r"incoming/[0-9a-f]{32}")


class TakenNameError(InvalidInputError):
    """The name is the organisation's own, or has it within it."""

    def __init__(self) -> None:
        super().__init__("This is the name of who runs this site. Use your own, the one others know you by.", "name")


class OfficeNameError(InvalidInputError):
    """The name reads as if staff wrote."""

    def __init__(self) -> None:
        words = "This reads as if it came from our staff. Leave out words such as team, support and security."
        super().__init__(words, "name")


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What the page of an account link asks. `is_new`: nobody has this account, so it needs a name too."""

    masked: str
    is_new: bool
    name: str
    locale: str
    timezone: str


@dataclass(frozen=True)
class Chosen:
    """`session`: for the cookie; `back`: the path of ours the person came from, empty for none."""

    session: str
    back: str


def submit_start(ctx: Context, *, address: str, network: str, locale: str, back: str = "") -> None:
    """The public door. `back`: where its owner was going, "incoming/<ref hex>" or "".

    Raises InvalidInputError for what is no address, which tells nothing about anybody.
    """
    parsed = addresses.parse(address)
    payload = {"address": parsed.exact, "locale": locale, "back": back if _BACK.fullmatch(back) else ""}
    leave_request(ctx, door=DOOR, network=network, payload=payload)


def process_member_requests(ctx: Context) -> int:
    """For the engine: queue the mail each request is worth, within the budgets. Returns how many were looked at."""
    return take_due(ctx, [DOOR], lambda conn, now: _Batch(conn, ctx, now))


@dataclass(frozen=True)
class _Asked:
    """A request, opened."""

    row: Row[Any]
    address: addresses.Address
    facts: Mapping[str, Any]
    keys: tuple[bytes, bytes]
    """Of the address, and of its mailbox."""


class _Batch:
    """What `doors.take_due` asks of a batch."""

    def __init__(self, conn: Connection, ctx: Context, now: int) -> None:
        self.conn, self.ctx, self.now = conn, ctx, now
        self.budgets = Budgets(conn, ctx, now)

    def open(self, row: Row[Any]) -> _Asked:
        payload = opened_request(self.ctx, row)
        address = addresses.parse(payload.pop("address"))
        blind = self.ctx.keyring.blind
        return _Asked(row, address, payload, (blind("address", address.exact), blind("mailbox", address.mailbox)))

    def lock(self, opened: Sequence[_Asked]) -> None:
        """Lock everybody we already know, in id order as the pipeline does."""
        known = (self._owner(asked) for asked in opened)
        consents.lock_contacts(self.conn, {person.id for person in known if person is not None})

    def take(self, asked: _Asked) -> None:
        """Settle one request, or make it wait, whoever it names."""
        if until := self.budgets.wait(asked.row.network):
            requests.postpone_request(self.conn, asked.row.id, until)
            return
        self.budgets.settle(asked.row.network)
        person = self._owner(asked)
        pending = requests.open_confirmation(self.conn, person.id, self.now, about="account") if person else None
        mail = self._mail(asked, person, pending)
        keys = ContactKeys(self.ctx.keyring, self.conn)
        person = person or self._meet(asked, keys)
        confirmation = self._ask(asked, person, pending, keys, is_mailed=mail == "queued")
        self._send(asked, person, confirmation, mail)
        requests.settle_request(self.conn, asked.row.id, self.now)

    def _owner(self, asked: _Asked) -> Person | None:
        """Who has the account of this mailbox, however they spelled its address; else whose address was typed."""
        owner = store.open_of_mailbox(self.conn, asked.keys[1])
        if owner is not None:
            return find_by_id(self.conn, owner)
        return find_by_address(self.conn, self.ctx.keyring, asked.address)

    def _mail(self, asked: _Asked, person: Person | None, pending: Row[Any] | None) -> str:
        """ "queued", "merged", "budget", or a bar's kind."""
        if person and pending and requests.has_unsent_mail(self.conn, pending.id, person.id):
            return "merged"
        if self.budgets.is_spent(asked.keys[1]):
            return "merged" if pending else "budget"
        for bar in suppressions.live(self.conn, asked.keys):
            if bar.lift != "owner":
                return bar.kind
        return "queued"

    def _meet(self, asked: _Asked, keys: ContactKeys) -> Person:
        newcomer = Newcomer(asked.address, asked.facts["locale"], read_house(self.conn).timezone)
        people = ensure_contacts(self.conn, self.ctx.keyring, keys, [newcomer], now=self.now)
        return people[asked.keys[0]]

    def _ask(
        self, asked: _Asked, person: Person, pending: Row[Any] | None, keys: ContactKeys, *, is_mailed: bool
    ) -> int:
        """The pending question, or a new one. Only a mail gives its owner more time to answer."""
        told = {"request": asked.row.ref.hex(), "door": DOOR, "locale": asked.facts["locale"]}
        box = keys.seal(person.id, {"requests": [told], "back": asked.facts["back"]})
        if pending is not None:
            longer = {"expires": self.now + LIFETIME} if is_mailed else {}
            requests.change_confirmation(self.conn, pending.id, evidence_box=box, **longer)
            return int(pending.id)
        return requests.add_confirmation(
            self.conn,
            contact=person.id,
            about="account",
            locale=person.locale if store.by_contact(self.conn, person.id) else asked.facts["locale"],
            network=asked.row.network,
            requested=asked.row.received,
            created=self.now,
            expires=self.now + LIFETIME,
            evidence_box=box,
        )

    def _send(self, asked: _Asked, person: Person, confirmation: int, mail: str) -> None:
        """Queue or withhold the one mail of this request, and say so in the log."""
        ref, entries = None, []
        if mail == "queued":
            self.budgets.spend(asked.keys[1])
            ref = outbox.queue_confirmation(self.conn, self.now, person, confirmation, due=self.now)
        elif mail != "merged":
            if mail != "budget":
                requests.spend(self.conn, self.now, {asked.keys[1]})
            ref = requests.add_withheld(
                self.conn, self.now, person.id, person.mailbox, outbox.CONFIRMATION_LANE, confirmation, mail
            )
            body = {"state": "withheld", "reason": mail}
            entries.append(Entry(kind="message.withheld", actor="engine", contact=person.ref, message=ref, body=body))
            mail = "withheld"
        facts = {"door": DOOR, "request": asked.row.ref.hex(), "about": "account", "mail": mail}
        kind = "confirmation.requested"
        entries.append(Entry(kind=kind, actor="visitor", contact=person.ref, message=ref, body=facts))
        record(self.conn, self.now, *entries)


def see_choice(ctx: Context, token: str) -> Choice:
    """What an account link lets its reader choose. Changes nothing. Raises TokenError, TokenExpiredError."""
    with ctx.db.reading() as conn:
        question = _question(conn, ctx, ctx.db.now(conn), token)
        keys = ContactKeys(ctx.keyring, conn)
        row = store.by_contact(conn, question.contact)
        person = find_by_id(conn, question.contact)
        is_new = row is None or row.closed is not None
        return Choice(
            masked=addresses.mask(store.address_of(conn, keys, question.contact)),
            is_new=is_new,
            name="" if row is None or is_new else store.name_of(keys, row),
            locale=question.locale,
            timezone=person.timezone if person else "UTC",
        )


def choose(ctx: Context, token: str, *, name: str, password: str, client: Client) -> Chosen:
    """Make the account (`name` counts only then), or set its new password; sign in, ending every other session.

    Raises TokenError and TokenExpiredError, ConflictError where the mailbox has an account under another spelling, or
    InvalidInputError (field "name" or "password"): the link still works then.
    """
    with ctx.db.reading() as conn:
        question = _question(conn, ctx, ctx.db.now(conn), token)
        known = store.by_contact(conn, question.contact)
        keys = ContactKeys(ctx.keyring, conn)
        is_new = known is None or known.closed is not None
        name = check_own_name(conn, name) if is_new or known is None else store.name_of(keys, known)
        passwords.must_be_good(password, known=(store.address_of(conn, keys, question.contact), name))
    password_hash = passwords.hash_password(password)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        question = _question(conn, ctx, now, token, lock=True)
        keys = ContactKeys(ctx.keyring, conn)
        back = keys.facts(question.contact, question.evidence_box).get("back", "")
        row, kind = _put_account(conn, keys, now, question.contact, name, password_hash)
        if kind == "member.joined" and not consents.held(conn, [row.contact]):  # till now, an inviter's guess
            store.change_contact(conn, row.contact, locale=question.locale, timezone=row.timezone)
        requests.change_confirmation(conn, question.id, answered=now, answer="confirmed", evidence_box=None)
        end_sessions(conn, now, row.id, MEMBERS)
        body = {"confirmation": question.ref.hex()}
        record(conn, now, Entry(kind=kind, actor=f"member:{row.ref.hex()}", contact=row.contact_ref, body=body))
        return Chosen(begin_session(ctx, conn, now, row.id, client, MEMBERS), path_of(back))


def path_of(back: str) -> str:
    """The page of ours that `back` stands for, empty for anything else."""
    return f"/me/{back}" if _BACK.fullmatch(back) else ""


def check_own_name(conn: Connection, name: str) -> str:
    """A name as its owner may have it.

    Raises InvalidInputError (field "name"): PlainWordsError, TakenNameError for our own, OfficeNameError.
    """
    name = plain_words.check_name(name)
    ours = conn.execute(select(controller.c.name).union(select(sender.c.name))).scalars()
    if own_names.holds_one_of(name, ours):
        raise TakenNameError
    if own_names.names_an_office(name):
        raise OfficeNameError
    return name


def _put_account(
    conn: Connection, keys: ContactKeys, now: int, contact_id: int, name: str, password_hash: str
) -> tuple[store.MemberRow, str]:
    """The account with its new password, and what the log is to call it.

    Who closed theirs and comes back gets the same row again: who was invited once stays so, and a pause stays one.
    """
    row = store.by_contact(conn, contact_id)
    if row is not None and row.closed is None:
        store.change(conn, row.id, password_hash=password_hash)
        return row, "member.password-chosen"
    row = row or store.closed_of_mailbox(conn, contact_id)
    if row is None or row.contact != contact_id:
        _must_be_the_only_one(conn, contact_id)
    if row is None:
        return store.add(conn, keys, now, contact_id, name=name, password_hash=password_hash), "member.joined"
    if row.contact != contact_id:
        belongings.reseal_account(conn, keys, row.id, row.contact, contact_id)
    again = {"contact": contact_id, "name_box": keys.seal(contact_id, name), "closed": None, "notify": 0}
    store.change(conn, row.id, password_hash=password_hash, **again)
    fresh = store.by_id(conn, row.id)
    assert fresh is not None  # noqa: S101  changed above, in this transaction
    return fresh, "member.joined"


def _must_be_the_only_one(conn: Connection, contact_id: int) -> None:
    """Two spellings of one address may have asked before either made its account; and whose account went to another
    address has it there.
    """
    _, mailbox_key = consents.bar_keys(conn, contact_id)
    if store.open_of_mailbox(conn, mailbox_key) is not None:
        words = "There is an account under another spelling of this address, or where it went. Sign in with that one."
        raise ConflictError(words)


def _question(conn: Connection, ctx: Context, now: int, token: str, *, lock: bool = False) -> Row[Any]:
    """The open request for an account that a token names. Locked: everybody of its mailbox first, in id order as
    everywhere, so that two spellings of one address take turns.
    """
    read = ctx.tokens.read(Purpose.ACCOUNT, token, now)
    found = requests.confirmation_by_ref(conn, read.ref)
    if found is not None and lock:
        person = find_by_id(conn, found.contact)
        others = invitees.held_of_mailbox(conn, person.mailbox) if person is not None else []
        consents.lock_contacts(conn, {found.contact, *others})
        found = requests.confirmation_by_ref(conn, read.ref, lock=True)
    if found is None or found.about != "account" or found.answered is not None or found.expires <= now:
        raise TokenExpiredError("This link was used, or is past its time. Nothing was changed. Ask for a fresh one.")
    return found
