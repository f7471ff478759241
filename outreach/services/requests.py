"""What the engine makes of submitted requests: one confirmation a person, within durable budgets of confirmation mail.

Bars, budgets and state are looked at here, never at the door, so the door tells nobody anything. Over the budgets of
a network or in total a request waits; over a mailbox's own, its pending confirmation gains the topics without a mail.
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
from outreach.services.consents import Change, apply_changes
from outreach.services.context import Context
from outreach.services.public_text import Promise, offered, read_house
from outreach.store import consents, requests, suppressions
from outreach.store.audit import Entry, record
from outreach.store.boxes import ContactKeys, unseal
from outreach.store.contacts import Person, find_by_address
from outreach.store.newcomers import Newcomer, ensure_contacts, find_all

DOORS = ("sign-up", "staff-start")
LIFETIME = 7 * requests.DAY
"""An unanswered request is erased after so many microseconds, with the person if nothing else is held of them."""

_BATCH = 50
_ROUNDS = 10
_HOUR = 3_600_000_000
_EVERYBODY = bytes(32)
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
    """Take due requests, at most 500 in transactions of 50. Returns how many were looked at. For the engine."""
    done = 0
    for _ in range(_ROUNDS):
        with ctx.db.reading() as conn:
            if not requests.is_request_due(conn, ctx.db.now(conn), doors=DOORS):
                break
        with ctx.db.transaction() as conn:
            now = ctx.db.now(conn)
            rows = requests.due_requests(conn, now, doors=DOORS, limit=_BATCH)
            batch = _Batch(conn, ctx, now)
            opened = [batch.open(row) for row in rows]
            batch.lock(opened)
            for asked in opened:
                batch.take(asked)
            batch.write()
        done += len(rows)
        if len(rows) < _BATCH:
            break
    return done


class _Batch:
    """The requests of one transaction, one after the other, so that the second sees what the first began."""

    def __init__(self, conn: Connection, ctx: Context, now: int) -> None:
        self.conn, self.ctx, self.now = conn, ctx, now
        self.keys = ContactKeys(ctx.keyring, conn)
        self.house = read_house(conn)
        self._offers: dict[str, dict[bytes, Promise]] = {}
        self._full: dict[bytes, int] = {}
        self._changes: dict[tuple[int, int], tuple[Actor, Change]] = {}
        self._entries: list[Entry] = []

    def lock(self, opened: Sequence[_Asked]) -> None:
        """Lock everybody we already know, in id order as the pipeline does, so that nobody waits in a ring."""
        known = find_all(self.conn, [asked.address_key for asked in opened])
        consents.lock_contacts(self.conn, (person.id for person in known.values()))

    def take(self, asked: _Asked) -> None:
        """Settle one request, or make it wait."""
        row = asked.row
        person = find_by_address(self.conn, self.ctx.keyring, asked.address)
        locale = person.locale if person else asked.facts["locale"]
        offer = self._offer(locale)
        topics = [offer[ref] for ref in asked.topics if ref in offer]
        if not topics:  # closed since
            requests.settle_request(self.conn, row.id, self.now)
            return
        pending = requests.open_confirmation(self.conn, person.id, self.now) if person else None
        mail = self._mail(asked, person, pending)
        if isinstance(mail, int):
            requests.postpone_request(self.conn, row.id, mail)
            return
        person = person or self._meet(asked)
        confirmation = self._ask(asked, person, pending, topics)
        message = self._send(asked, person, confirmation, mail)
        if mail in {"queued", "merged", "budget"}:
            self._request(asked, person, topics)
        self._log(asked, person, topics, mail, message)
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

    def _mail(self, asked: _Asked, person: Person | None, pending: Row[Any] | None) -> str | int:
        """ "queued", "merged", "budget", a bar's kind; or the instant until which the request waits."""
        settings = self.ctx.settings
        if person and pending and requests.has_unsent_mail(self.conn, pending.id, person.id):
            return "merged"
        day = self.now - requests.DAY
        if requests.spent(self.conn, asked.mailbox_key, day) >= settings.confirmations_per_mailbox:
            return "merged" if pending else "budget"
        bars = suppressions.live(self.conn, [asked.address_key, asked.mailbox_key])
        for bar in bars:
            if bar.lift != "owner":
                return bar.kind
        budgets = [(_EVERYBODY, settings.confirmations_total)]
        if asked.row.door == "sign-up":
            budgets.append((asked.row.network, settings.confirmations_per_network))
        return max((self._wait(key, limit) for key, limit in budgets), default=0) or "queued"

    def _wait(self, key: bytes, limit: int) -> int:
        """0 while there is room under an hourly budget, else when there will be."""
        if key not in self._full and requests.spent(self.conn, key, self.now - _HOUR) >= limit:
            self._full[key] = requests.frees_at(self.conn, key, self.now - _HOUR, limit) + _HOUR
        return self._full.get(key, 0)

    def _meet(self, asked: _Asked) -> Person:
        newcomer = Newcomer(asked.address, asked.facts["locale"], self.house.timezone)
        people = ensure_contacts(self.conn, self.ctx.keyring, self.keys, [newcomer], now=self.now)
        return people[asked.address_key]

    def _ask(self, asked: _Asked, person: Person, pending: Row[Any] | None, topics: Sequence[Promise]) -> int:
        """The person's pending confirmation, or a new one, now asking about `topics` too."""
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
            requests.change_confirmation(self.conn, confirmation, evidence_box=box, expires=self.now + LIFETIME)
        requests.ask_about(self.conn, confirmation, {topic.topic: topic.text for topic in topics})
        return confirmation

    def _send(self, asked: _Asked, person: Person, confirmation: int, mail: str) -> bytes | None:
        """Queue or withhold the one mail of this request. Returns its ref."""
        if mail == "merged":
            return None
        if mail == "queued":
            requests.spend(self.conn, self.now, {asked.mailbox_key, asked.row.network, _EVERYBODY})
            return outbox.queue_confirmation(self.conn, self.now, person, confirmation, due=self.now)
        if mail != "budget":
            requests.spend(self.conn, self.now, {asked.mailbox_key})
        ref = requests.add_withheld(
            self.conn, self.now, person.id, person.mailbox, outbox.CONFIRMATION_LANE, confirmation, mail
        )
        entry = Entry(
            kind="message.withheld",
            actor="engine",
            contact=person.ref,
            message=ref,
            body={"state": "withheld", "reason": mail},
        )
        self._entries.append(entry)
        return ref

    def _request(self, asked: _Asked, person: Person, topics: Sequence[Promise]) -> None:
        """Note that strangers, and nobody else, move to pending."""
        evidence = {"request": asked.row.ref.hex(), "door": asked.row.door, **asked.facts}
        for topic in topics:
            change = Change(
                contact=person.id, topic=topic.topic, event=Event.REQUESTED, text=topic.text, evidence=evidence
            )
            self._changes.setdefault((person.id, topic.topic), (asked.actor, change))

    def _log(self, asked: _Asked, person: Person, topics: Sequence[Promise], mail: str, message: bytes | None) -> None:
        body = {
            "door": asked.row.door,
            "request": asked.row.ref.hex(),
            "topics": [topic.name for topic in topics],
            "mail": mail if mail in {"queued", "merged"} else "withheld",
        }
        self._entries.append(
            Entry(
                kind="confirmation.requested",
                actor=asked.actor.name,
                contact=person.ref,
                message=message,
                body=body,
            )
        )

    def write(self) -> None:
        """Write what the batch came to: states of strangers and the log, each in one go per actor."""
        by_actor: dict[Actor, list[Change]] = {}
        for actor, change in self._changes.values():
            by_actor.setdefault(actor, []).append(change)
        for actor, changes in by_actor.items():
            apply_changes(self.conn, self.ctx, self.now, actor=actor, changes=changes)
        record(self.conn, self.now, *self._entries)
