"""Asking a member through their connect link: the public door, what the engine makes of it, and the asker's answer.

The door writes one request row whoever's address was typed. The engine decides, and mails at most one question. Only
the press behind that mail tells the owner, who gets a request without an address.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.engine import Row

from outreach.domain import addresses
from outreach.domain.actors import ENGINE, RECIPIENT
from outreach.domain.eligibility import Decision, Defer, Reason, Send, Withhold
from outreach.domain.errors import ConflictError, TokenExpiredError
from outreach.domain.invitation import (
    CONNECT_ASKS_A_DAY,
    CONNECT_ASKS_A_MONTH,
    CONNECT_DAYS,
    Allowance,
    Answer,
    Way,
    next_free,
)
from outreach.domain.tokens import Purpose
from outreach.services import answers, connect_links, invitation_rule, outbox
from outreach.services.budgets import Budgets
from outreach.services.context import Context
from outreach.services.doors import take_due
from outreach.services.members import tell_member
from outreach.services.public_text import House, read_house
from outreach.services.scanners import looks_like_one
from outreach.services.sign_up import write_request
from outreach.store import connect_links as links
from outreach.store import connections, consents, invitations, invitees, members, relaying, requests
from outreach.store.audit import Entry, record
from outreach.store.boxes import ContactKeys, seal, unseal
from outreach.store.contacts import find_by_address, find_by_id
from outreach.store.members import MemberRow
from outreach.store.newcomers import Newcomer, ensure_contacts, find_all

DOORS = ("connect",)
WINDOW = 30 * 86_400_000_000
"""The longest of an owner's limits, in microseconds."""

_HOUR = 3_600_000_000
_LIFETIME = CONNECT_DAYS * 24 * _HOUR
_LONGEST_FACT = 500


def submit_connect(
    ctx: Context,
    ref: bytes,
    *,
    address: str,
    network: str,
    locale: str,
    ip: str,
    browser: str = "",
    seconds: float | None = None,
    honey: str = "",
) -> None:
    """Note that somebody typed `address` at the link `ref`; the other facts are those of `sign_up.SignUp`.

    Raises InvalidInputError (field "address") for what is no address, ConflictError when the link is off.
    """
    parsed = addresses.parse(address)
    with ctx.db.transaction() as conn:
        if not connect_links.public_link(conn, ctx, ref).is_live:
            raise ConflictError("This link is switched off. Nothing was sent.")
        now = ctx.db.now(conn)
        too_fast = seconds is not None and seconds < ctx.settings.sign_up_seconds
        write_request(
            conn,
            ctx,
            now,
            door=DOORS[0],
            network=network,
            address=parsed.exact,
            topics=(),
            facts={"link": ref.hex(), "locale": locale, "ip": ip, "browser": browser[:_LONGEST_FACT]},
            not_before=now + _HOUR if too_fast else now,
            settled=now if honey else None,
        )


def process_connects(ctx: Context) -> int:
    """Take due asks. Returns how many were looked at. For the engine."""
    return take_due(ctx, DOORS, lambda conn, now: _Batch(conn, ctx, now), reserves=True)


@dataclass(frozen=True)
class _Asked:
    """An ask, opened. `link` and `owner`: None once they are gone."""

    row: Row[Any]
    address: addresses.Address
    facts: Mapping[str, Any]
    link: links.LinkRow | None
    owner: MemberRow | None

    @property
    def ask(self) -> int | None:
        """The row that counts it among what came through its owner's links; None until it was taken."""
        return self.facts.get("ask")

    @property
    def ends(self) -> int:
        """What was typed is kept no longer than its mail could be answered."""
        return int(self.row.received) + _LIFETIME


class _Batch:
    """What `doors.take_due` asks of a batch."""

    def __init__(self, conn: Connection, ctx: Context, now: int) -> None:
        self.conn, self.ctx, self.now = conn, ctx, now
        self.budgets = Budgets(conn, ctx, now)

    def open(self, row: Row[Any]) -> _Asked:
        return _open(self.conn, self.ctx, row)

    def lock(self, opened: Sequence[_Asked]) -> None:
        """Everybody we know of these asks, then the links' owners."""
        keys = [self.ctx.keyring.blind("address", asked.address.exact) for asked in opened]
        consents.lock_contacts(self.conn, (person.id for person in find_all(self.conn, keys).values()))
        invitees.lock_members(self.conn, {asked.owner.id for asked in opened if asked.owner is not None})

    def take(self, asked: _Asked) -> None:
        _take(self.conn, self.ctx, self.now, self.budgets, asked)


def _open(conn: Connection, ctx: Context, row: Row[Any]) -> _Asked:
    payload = json.loads(unseal(ctx.keyring.doors, row.payload_box))
    link = links.by_ref(conn, bytes.fromhex(payload["link"]))
    owner = members.by_id(conn, link.member) if link is not None else None
    return _Asked(row, addresses.parse(payload["address"]), payload, link, owner)


def _take(conn: Connection, ctx: Context, now: int, budgets: Budgets, asked: _Asked) -> None:
    """Settle one ask, or make it wait: whoever it names, while its network, the total or its link's owner is full."""
    request = asked.row
    if now < asked.ends and (until := _wait(conn, now, budgets, asked)):
        if until < asked.ends:
            requests.postpone_request(conn, request.id, until)
            return
        decision: Decision = Withhold(Reason.CAP_INVITATIONS)
        budgets.settle(request.network)
    else:
        asked = _count(conn, ctx, now, budgets, asked)
        decision = _decide(conn, ctx, now, budgets, asked)
        if isinstance(decision, Defer) and decision.until < asked.ends:
            requests.postpone_request(conn, request.id, decision.until)
            return
    if not isinstance(decision, Send):
        reason = decision.reason if isinstance(decision, Withhold) else Reason.CAP_INVITATIONS
        _withhold(conn, ctx, now, asked, reason)
    requests.settle_request(conn, request.id, now)


def _wait(conn: Connection, now: int, budgets: Budgets, asked: _Asked) -> int:
    """0 when an ask may be taken, else when there will be room. Nothing here depends on whose address was typed."""
    if asked.ask is not None:
        return budgets.wait(None)
    until = budgets.wait(asked.row.network)
    if asked.owner is None:
        return until
    taken = links.asks_since(conn, asked.owner.id, now - WINDOW)
    free = next_free(taken, Allowance(CONNECT_ASKS_A_DAY, CONNECT_ASKS_A_MONTH), now)
    return max(until, free if free > now else 0)


def _count(conn: Connection, ctx: Context, now: int, budgets: Budgets, asked: _Asked) -> _Asked:
    """Take its places of network and owner, once and whatever becomes of it: what is left tells nothing."""
    if asked.ask is not None:
        return asked
    budgets.settle(asked.row.network)
    if asked.link is None:
        return asked
    facts = {**asked.facts, "ask": links.note_ask(conn, now, asked.link.id)}
    requests.reseal_request(conn, asked.row.id, seal(ctx.keyring.doors, json.dumps(facts, ensure_ascii=False).encode()))
    return replace(asked, facts=facts)


def _decide(conn: Connection, ctx: Context, now: int, budgets: Budgets, asked: _Asked) -> Decision:
    """Ask the mailbox, if nothing speaks against it."""
    mailbox_key = ctx.keyring.blind("mailbox", asked.address.mailbox)
    reason = _refused(conn, now, asked, mailbox_key)
    if reason is None and budgets.is_spent(mailbox_key):
        reason = Reason.BUDGET
    decision = Withhold(reason) if reason is not None else _try(conn, ctx, now, asked)
    if isinstance(decision, Send):
        budgets.spend(mailbox_key)
    return decision


def _refused(conn: Connection, now: int, asked: _Asked, mailbox_key: bytes) -> Reason | None:
    """What is known to be wrong before anybody is looked up, and whether the owner has an invitation to the mailbox."""
    if now >= asked.ends:
        return Reason.INVITATION_ENDED
    link, owner = asked.link, asked.owner
    if link is None or owner is None or connect_links.state_of(link, asked.row.received) != "open":
        return Reason.INVITER_STOPPED
    return Reason.INVITED_BEFORE if links.has_invitation(conn, owner.id, mailbox_key) else None


def _try(conn: Connection, ctx: Context, now: int, asked: _Asked) -> Decision:
    """Invite, if the rule lets it go now; otherwise leave no trace of having tried, nor a contact nobody needs."""
    link, owner, ask = asked.link, asked.owner, asked.ask
    if link is None or owner is None or ask is None:
        return Withhold(Reason.INVITER_STOPPED)
    with conn.begin_nested() as trial:
        keys = ContactKeys(ctx.keyring, conn)  # of this trial: one undone may have made a key
        newcomer = Newcomer(asked.address, asked.facts["locale"], read_house(conn).timezone)
        (person,) = ensure_contacts(conn, ctx.keyring, keys, [newcomer], now=now).values()
        row = invitations.add(
            conn,
            member=owner.id,
            way=Way.LINK,
            mailbox=person.mailbox,
            contact=person.id,
            link=link.id,
            locale=person.locale,
            asked=asked.row.received,
            expires=now + _LIFETIME,
        )
        decision = invitation_rule.judge(conn, now, row, person)
        if isinstance(decision, Send):
            invitation_rule.place(conn, now, row, person, decision)
            links.was_mailed(conn, ask, row.id)
        else:
            trial.rollback()
    return decision


def _withhold(conn: Connection, ctx: Context, now: int, asked: _Asked, reason: Reason) -> None:
    """Write down why no mail went: for a person we hold, beside the mail they did not get."""
    person = find_by_address(conn, ctx.keyring, asked.address)
    ref = outbox.withhold_invitation(conn, now, person, None, reason) if person is not None else None
    body = {"link": asked.facts["link"], "request": asked.row.ref.hex(), "mail": "withheld", "reason": reason}
    contact = None if person is None else person.ref
    entry = Entry(kind="invitation.decided", actor=ENGINE.name, contact=contact, message=ref, body=body)
    record(conn, now, entry)


@dataclass(frozen=True, kw_only=True)
class ConnectView:
    """What the page behind the mail shows. Instants in UTC microseconds.

    `answer`: empty while open, else an Answer; `waits`: confirmed, and the owner has not answered; `is_off`: the owner
    takes no request any more; `masked`: the address asked, empty once erased; `refusal`: an INVITATION token, for the
    pages that bar and report.
    """

    house: House
    locale: str
    timezone: str
    owner: str
    asked: int
    expires: int
    masked: str
    answer: str
    waits: bool
    is_off: bool
    refusal: str


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What the press did. `is_again`: confirmed before; `needs_step`: nothing happened yet, ask one step more."""

    view: ConnectView
    is_again: bool = False
    needs_step: bool = False


def view_connect(ctx: Context, token: str) -> ConnectView:
    """What the link in the mail asks. Changes nothing. Raises TokenError, or TokenExpiredError after 7 days."""
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        return _view(conn, ctx, _question(conn, ctx, token, now), now)


def confirm_connect(ctx: Context, token: str, *, is_human: bool = False) -> Answered:
    """Yes, it was me: the owner gets a request without an address. Twice is once. Raises as `view_connect`.

    A press that may be a program's (`services/scanners.py`) is asked for `is_human` and does nothing yet.
    """
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        row = _question(conn, ctx, token, now, lock=True)
        view = _view(conn, ctx, row, now)
        if view.answer or view.is_off:
            return Answered(view=view, is_again=view.answer == Answer.ACCEPTED)
        if not is_human and looks_like_one(conn, now, row.ref, links.handed_off(conn, row)):
            return Answered(view=view, needs_step=True)
        invitations.change(conn, row.id, answer=str(Answer.ACCEPTED), answered=now)
        refs = consents.lock_contacts(conn, [row.contact])
        body = {"invitation": row.ref.hex(), "way": row.way, "answer": str(Answer.ACCEPTED)}
        entry = Entry(kind="invitation.answered", actor=RECIPIENT.name, contact=refs[row.contact], body=body)
        record(conn, now, entry)
        owner = members.by_id(conn, row.member)
        if owner is not None:
            facts = {"url": f"{ctx.settings.public_url}/me/incoming"}
            tell_member(conn, ctx, now, owner, template="request", facts=facts)
        return Answered(view=_view(conn, ctx, _question(conn, ctx, token, now), now))


def decline_connect(ctx: Context, token: str) -> None:
    """No, or taking back a yes that the owner has not answered: nobody is told, and a stranger's address is erased.

    Twice is once. Raises as `view_connect`.
    """
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        row = _question(conn, ctx, token, now)
        if row.answered is None or waits(row):
            answers.settle_refusal(conn, ctx, now, row, Answer.DECLINED, actor=RECIPIENT)


def tell_requester(conn: Connection, ctx: Context, now: int, invitation_row: Row[Any]) -> None:
    """Queue the one mail that says the owner accepted, inside the caller's transaction, while we hold who asked."""
    person = find_by_id(conn, invitation_row.contact) if invitation_row.contact is not None else None
    owner = members.by_id(conn, invitation_row.member)
    if person is not None and owner is not None:
        token = ctx.tokens.issue(Purpose.INVITATION, invitation_row.ref, now)
        made = connections.live_between(conn, owner.contact, person.id)
        facts = {
            "owner": members.name_of(ContactKeys(ctx.keyring, conn), owner),
            "start_url": f"{ctx.settings.public_url}/members/start",
            "end_url": f"{ctx.settings.public_url}/connection/{token}/end",
            "write_to": _write_to(conn, ctx, made, person.id),
        }
        about = {"invitation": invitation_row.id, "connection": None if made is None else made.ref}
        outbox.queue_notice(conn, ctx, now, person, template="connected", facts=facts, **about)


def _write_to(conn: Connection, ctx: Context, made: connections.ConnectionRow | None, asker: int) -> str:
    """The address at which who asked reaches the owner; empty while no mail comes in here."""
    address = None if made is None else relaying.to_write_to(conn, made.id, asker)
    return "" if address is None or not ctx.settings.mail_in else f"{address.local_part}@{ctx.settings.mail_in}"


def _question(conn: Connection, ctx: Context, token: str, now: int, *, lock: bool = False) -> Row[Any]:
    """The invitation a link in a mail confirms. Locked: its contact first, as everywhere, and its link."""
    ref = ctx.tokens.read(Purpose.CONNECT, token, now).ref
    found = invitations.by_ref(conn, ref)
    if found is not None and lock:
        consents.lock_contacts(conn, [] if found.contact is None else [found.contact])
        links.by_id(conn, found.link, lock=True)
        found = invitations.by_ref(conn, ref, lock=True)
    is_over = found is not None and found.answered is None and (found.expires <= now or found.contact is None)
    if found is None or is_over or found.answer in {Answer.EXPIRED, Answer.CANCELLED}:
        raise TokenExpiredError("This link is past its time. Nothing was changed; ask again to get a fresh one.")
    return found


def waits(row: Row[Any]) -> bool:
    """Whether an ask was confirmed and waits for the link's owner."""
    return bool(row.answer == Answer.ACCEPTED and row.settled is None)


def _view(conn: Connection, ctx: Context, row: Row[Any], now: int) -> ConnectView:
    keys, house = ContactKeys(ctx.keyring, conn), read_house(conn)
    owner, link = members.by_id(conn, row.member), links.by_id(conn, row.link)
    person = invitees.invited(conn, row)
    exact = keys.text(row.contact, person.address_box) if person is not None else None
    is_stopped = owner is None or owner.suspended is not None or owner.closed is not None
    return ConnectView(
        house=house,
        locale=row.locale,
        timezone=house.timezone if person is None else person.timezone,
        owner="" if owner is None else members.name_of(keys, owner),
        asked=row.asked,
        expires=row.expires,
        masked=addresses.mask(exact) if exact else "",
        answer=row.answer or "",
        waits=waits(row),
        is_off=is_stopped or link is None or connect_links.state_of(link, row.asked) != "open",
        refusal=ctx.tokens.issue(Purpose.INVITATION, row.ref, now),
    )
