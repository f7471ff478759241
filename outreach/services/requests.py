"""What the engine makes of submitted requests: one confirmation a person, within durable budgets of confirmation mail.

Bars, budgets and state are looked at here, never at the door, so the door tells nobody anything. Over the budgets of
a network or in total every request waits; over a mailbox's own, its pending confirmation gains the topics without a
mail. Each takes a place of its network, mailed or not, so that no later request tells what became of it.
A request that cannot be opened or taken fails alone: it is kept, and tried again every hour.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.engine import Row

from outreach.domain import addresses
from outreach.domain.actors import VISITOR, Actor
from outreach.domain.consent import Event
from outreach.services import outbox
from outreach.services.budgets import Budgets
from outreach.services.consents import Change, apply_changes
from outreach.services.context import Context
from outreach.services.doors import take_due
from outreach.services.public_text import Promise, offered, read_house
from outreach.store import consents, requests, suppressions
from outreach.store.audit import Entry, record
from outreach.store.boxes import ContactKeys, unseal
from outreach.store.contacts import Person, find_by_address
from outreach.store.newcomers import Newcomer, ensure_contacts, find_all

DOORS = ("sign-up", "staff-start")
LIFETIME = 7 * requests.DAY
"""An unanswered request is erased after so many microseconds, with the person if nothing else is held of them."""

_MOST_REMEMBERED = 20


@dataclass(frozen=True)
class _Asked:
    """A request, opened."""

    row: Row[Any]
    address: addresses.Address
    topics: Sequence[bytes]
    facts: Mapping[str, Any]
    address_key: bytes
    mailbox_key: bytes

    @property
    def actor(self) -> Actor:
        return Actor(self.facts["actor"]) if "actor" in self.facts else VISITOR


def process_requests(ctx: Context) -> int:
    """Take due requests. Returns how many were looked at. For the engine."""
    return take_due(ctx, DOORS, lambda conn, now: _Batch(conn, ctx, now))


class _Batch:
    """What `doors.take_due` asks of a batch."""

    def __init__(self, conn: Connection, ctx: Context, now: int) -> None:
        self.conn, self.ctx, self.now = conn, ctx, now
        self.house = read_house(conn)
        self._offers: dict[str, dict[bytes, Promise]] = {}
        self.budgets = Budgets(conn, ctx, now)

    def lock(self, opened: Sequence[_Asked]) -> None:
        """Lock everybody we already know, in id order as the pipeline does, so that nobody waits in a ring."""
        known = find_all(self.conn, [asked.address_key for asked in opened])
        consents.lock_contacts(self.conn, (person.id for person in known.values()))

    def take(self, asked: _Asked) -> None:
        """Settle one request, or make it wait, whoever it names."""
        row = asked.row
        if until := self.budgets.wait(row.network if row.door == "sign-up" else None):
            requests.postpone_request(self.conn, row.id, until)
            return
        self.budgets.settle(row.network)
        self.keys = ContactKeys(self.ctx.keyring, self.conn)  # of this request: one undone may have made a key
        person = find_by_address(self.conn, self.ctx.keyring, asked.address)
        locale = person.locale if person else asked.facts["locale"]
        offer = self._offer(locale)
        topics = [offer[ref] for ref in asked.topics if ref in offer]
        if not topics:  # closed since
            requests.settle_request(self.conn, row.id, self.now)
            return
        pending = requests.open_confirmation(self.conn, person.id, self.now) if person else None
        mail = self._mail(asked, person, pending)
        person = person or self._meet(asked)
        confirmation = self._ask(asked, person, pending, topics, is_mailed=mail == "queued")
        entries = self._send(asked, person, confirmation, mail, topics)
        if mail in {"queued", "merged", "budget"}:
            self._request(asked, person, topics)
        record(self.conn, self.now, *entries)
        requests.settle_request(self.conn, row.id, self.now)

    def open(self, row: Row[Any]) -> _Asked:
        """What was asked for, unsealed."""
        payload = json.loads(unseal(self.ctx.keyring.doors, row.payload_box))
        address = addresses.parse(payload.pop("address"))
        topics = [bytes.fromhex(name) for name in payload.pop("topics")]
        keyring = self.ctx.keyring
        return _Asked(
            row,
            address,
            topics,
            payload,
            keyring.blind("address", address.exact),
            keyring.blind("mailbox", address.mailbox),
        )

    def _offer(self, locale: str) -> dict[bytes, Promise]:
        if locale not in self._offers:
            self._offers[locale] = {topic.ref: topic for topic in offered(self.conn, self.house, locale)}
        return self._offers[locale]

    def _mail(self, asked: _Asked, person: Person | None, pending: Row[Any] | None) -> str:
        """ "queued", "merged", "budget", or a bar's kind."""
        if person and pending and requests.has_unsent_mail(self.conn, pending.id, person.id):
            return "merged"
        if self.budgets.is_spent(asked.mailbox_key):
            return "merged" if pending else "budget"
        bars = suppressions.live(self.conn, [asked.address_key, asked.mailbox_key])
        for bar in bars:
            if bar.lift != "owner":
                return bar.kind
        return "queued"

    def _meet(self, asked: _Asked) -> Person:
        newcomer = Newcomer(asked.address, asked.facts["locale"], self.house.timezone)
        people = ensure_contacts(self.conn, self.ctx.keyring, self.keys, [newcomer], now=self.now)
        return people[asked.address_key]

    def _ask(
        self, asked: _Asked, person: Person, pending: Row[Any] | None, topics: Sequence[Promise], *, is_mailed: bool
    ) -> int:
        """The person's pending confirmation, or a new one, now asking about `topics` too.

        Only a mail gives its owner more time to answer: else anybody could have an address kept for ever.
        """
        told = {"request": asked.row.ref.hex(), "door": asked.row.door, **asked.facts}
        told["ticked"] = [topic.slug for topic in topics]
        if pending is None:
            confirmation = requests.add_confirmation(
                self.conn,
                contact=person.id,
                locale=person.locale,
                network=asked.row.network,
                requested=asked.row.received,
                created=self.now,
                expires=self.now + LIFETIME,
                evidence_box=self.keys.seal(person.id, {"requests": [told]}),
            )
        else:
            confirmation = int(pending.id)
            before = self.keys.facts(person.id, pending.evidence_box).get("requests", [])
            box = self.keys.seal(person.id, {"requests": [*before, told][-_MOST_REMEMBERED:]})
            longer = {"expires": self.now + LIFETIME} if is_mailed else {}
            requests.change_confirmation(self.conn, confirmation, evidence_box=box, **longer)
        requests.ask_about(self.conn, confirmation, {topic.topic: topic.text for topic in topics})
        return confirmation

    def _send(
        self, asked: _Asked, person: Person, confirmation: int, mail: str, topics: Sequence[Promise]
    ) -> list[Entry]:
        """Queue or withhold the one mail of this request. Returns what the log is to say of it."""
        if mail == "merged":
            return [self._requested(asked, person, topics, mail, None)]
        if mail == "queued":
            self.budgets.spend(asked.mailbox_key)
            ref = outbox.queue_confirmation(self.conn, self.now, person, confirmation, due=self.now)
            return [self._requested(asked, person, topics, mail, ref)]
        if mail != "budget":
            requests.spend(self.conn, self.now, {asked.mailbox_key})
        ref = requests.add_withheld(
            self.conn, self.now, person.id, person.mailbox, outbox.CONFIRMATION_LANE, confirmation, mail
        )
        withheld = Entry(
            kind="message.withheld",
            actor="engine",
            contact=person.ref,
            message=ref,
            body={"state": "withheld", "reason": mail},
        )
        return [withheld, self._requested(asked, person, topics, "withheld", ref)]

    def _requested(
        self, asked: _Asked, person: Person, topics: Sequence[Promise], mail: str, message: bytes | None
    ) -> Entry:
        return Entry(
            kind="confirmation.requested",
            actor=asked.actor.name,
            contact=person.ref,
            message=message,
            body={
                "door": asked.row.door,
                "request": asked.row.ref.hex(),
                "topics": [topic.name for topic in topics],
                "mail": mail,
            },
        )

    def _request(self, asked: _Asked, person: Person, topics: Sequence[Promise]) -> None:
        """Move strangers, and nobody else, to pending."""
        evidence = {"request": asked.row.ref.hex(), "door": asked.row.door, **asked.facts}
        changes = [
            Change(contact=person.id, topic=topic.topic, event=Event.REQUESTED, text=topic.text, evidence=evidence)
            for topic in topics
        ]
        apply_changes(self.conn, self.ctx, self.now, actor=asked.actor, changes=changes)
