"""The public door to one's own room and data: an address is typed, and its owner is mailed a link for half an hour.

The door writes one request row, whoever's address it was. The engine looks: who is held gets the mail, within the
mailbox's budget; nobody else is written to. The log gains as many entries either way, so that its public size tells
nothing (promise 8).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.engine import Row

from outreach.domain import addresses
from outreach.domain.actors import VISITOR
from outreach.domain.tokens import Purpose
from outreach.services.budgets import Budgets
from outreach.services.context import Context
from outreach.services.doors import leave_request, opened_request, take_due
from outreach.services.rights.notices import mail_link
from outreach.store import connections, consents, requests, suppressions
from outreach.store import rights as store
from outreach.store.audit import Entry, record
from outreach.store.contacts import Person, find_by_address, find_by_id

DOOR = "rights"
_WEEK = 7 * requests.DAY
_RARELY = frozenset({"never", "complaint", "imported"})
"""Bars of people who want no mail: whoever types their address, a link goes to them once a week at most."""


def submit_ask(ctx: Context, *, address: str, network: str, leads: str = "rights") -> None:
    """The public door. `leads`: where the link is to lead, one of `notices.LEADS`.

    Raises InvalidInputError for what is no address, which tells nothing about anybody.
    """
    parsed = addresses.parse(address)
    leave_request(ctx, door=DOOR, network=network, payload={"address": parsed.exact, "leads": leads})


def renew(ctx: Context, token: str, *, leads: str = "rights") -> None:
    """Mail a fresh link to the owner of one whose half hour is over. No answer tells what was found.

    Raises TokenError for a link that is not ours, and TokenCompromisedError for one anybody may have made.
    """
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        read = ctx.tokens.read(Purpose.RIGHTS, token, 0)  # whatever its age: it only names whose mailbox it was sent to
        owner = store.link_owner(conn, read.ref)
        person = find_by_id(conn, owner) if owner is not None else None
        if person is not None:
            consents.lock_contacts(conn, [person.id])
        _answer(conn, ctx, now, Budgets(conn, ctx, now), person, None, leads)


def process_rights_requests(ctx: Context) -> int:
    """For the engine: queue the mail each request is worth, within the budgets. Returns how many were looked at."""
    return take_due(ctx, [DOOR], lambda conn, now: _Batch(conn, ctx, now))


@dataclass(frozen=True)
class _Asked:
    """A request, opened."""

    row: Row[Any]
    address: addresses.Address
    leads: str


class _Batch:
    """What `doors.take_due` asks of a batch."""

    def __init__(self, conn: Connection, ctx: Context, now: int) -> None:
        self.conn, self.ctx, self.now = conn, ctx, now
        self.budgets = Budgets(conn, ctx, now)

    def open(self, row: Row[Any]) -> _Asked:
        payload = opened_request(self.ctx, row)
        return _Asked(row, addresses.parse(payload["address"]), payload.get("leads", "rights"))

    def lock(self, opened: Sequence[_Asked]) -> None:
        """Lock everybody we hold, in id order as the pipeline does."""
        known = (find_by_address(self.conn, self.ctx.keyring, asked.address) for asked in opened)
        consents.lock_contacts(self.conn, {person.id for person in known if person is not None})

    def take(self, asked: _Asked) -> None:
        """Settle one request, or make it wait, whoever it names."""
        if until := self.budgets.wait(asked.row.network):
            requests.postpone_request(self.conn, asked.row.id, until)
            return
        self.budgets.settle(asked.row.network)
        person = find_by_address(self.conn, self.ctx.keyring, asked.address)
        mailbox_key = self.ctx.keyring.blind("mailbox", asked.address.mailbox)
        _answer(self.conn, self.ctx, self.now, self.budgets, person, mailbox_key, asked.leads)
        requests.settle_request(self.conn, asked.row.id, self.now)


def _answer(
    conn: Connection,
    ctx: Context,
    now: int,
    budgets: Budgets,
    person: Person | None,
    mailbox_key: bytes | None,
    leads: str,
) -> None:
    """Mail the link if there is somebody to mail it to; two entries in the log sooner or later, whatever was found."""
    if person is not None:
        address_key, mailbox_key = consents.bar_keys(conn, person.id)
        if _may_mail(conn, now, budgets, person, (address_key, mailbox_key)):
            budgets.spend(mailbox_key)
            mail = mail_link(conn, ctx, now, person, leads)
            body = {"mail": "queued"}
            record(
                conn, now, Entry(kind="rights.asked", actor=VISITOR.name, contact=person.ref, message=mail, body=body)
            )
            return
    elif mailbox_key is not None:
        requests.spend(conn, now, {mailbox_key})
    body = {"mail": "none"}
    held = person.ref if person is not None else None
    record(
        conn,
        now,
        Entry(kind="rights.asked", actor=VISITOR.name, contact=held, body=body),
        Entry(kind="rights.unanswered", actor="engine", contact=held),  # where a mail would tell of its hand-off
    )


def _may_mail(conn: Connection, now: int, budgets: Budgets, person: Person, keys: tuple[bytes, bytes]) -> bool:
    if person.id not in connections.held(conn, [person.id]) or budgets.is_spent(keys[1]):
        return False
    bars = {bar.kind for bar in suppressions.live(conn, keys)}
    if "deceased" in bars:
        return False
    return not (bars & _RARELY and store.links_since(conn, person.id, now - _WEEK))
