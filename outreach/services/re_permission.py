"""Asks once whether a consent shall go on: before it ends by itself, or after long silence. Silence means no.

For the engine, while the policy "re-permission" is on. The mail is a question like that of a sign-up, in the topic's
own words; it goes only while the consent lives, to whom the text they agreed to lets offers come, and counts as one
under every cap, by the planners' own rule (docs/adr/0029).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.engine import Row

from outreach.domain.actors import ENGINE
from outreach.domain.consent import LIVE, Event
from outreach.domain.frequency import quiet_until
from outreach.domain.policies import Name
from outreach.services import outbox
from outreach.services.consents import Change, apply_changes
from outreach.services.context import Context
from outreach.services.policies import versions
from outreach.services.public_text import House, Promise, offered, read_house
from outreach.store import consents, requests
from outreach.store import re_permission as store
from outreach.store.audit import Entry, record
from outreach.store.boxes import ContactKeys
from outreach.store.contacts import Person, find_by_id
from outreach.store.decide import load_rule
from outreach.store.planning import take_planners_turn

ABOUT = "renewal"
"""What the confirmation row of such a question is about."""

_DAY = 86_400_000_000
_LOOK = 5_000
_LOOK_TIME = 20_000_000
_MOST = 500
_ENDING, _SILENT = "ending", "silent"


def renew_consents(ctx: Context) -> int:
    """Ask whom it is time to ask, and end what was asked about and not answered. Returns how many of both."""
    return _end_unanswered(ctx) + _ask(ctx)


def is_on(conn: Connection, now: int) -> bool:
    """Whether an officer had this switched on at `now`: the basis of such a mail, beside the consent itself."""
    return bool(versions.current(conn, Name.RE_PERMISSION, now)["on"])


def _ask(ctx: Context) -> int:
    """One look: the next 5,000 mailboxes, chosen by the clock so that nothing needs to be remembered."""
    with ctx.db.reading() as conn:
        terms = _terms(conn, ctx.db.now(conn))
        if terms is None or not any(_due(conn, terms, limit=1).values()):
            return 0
    with ctx.db.transaction() as conn:
        take_planners_turn(conn)
        terms = _terms(conn, ctx.db.now(conn))
        return 0 if terms is None else _Round(conn, ctx, terms).ask()


def _terms(conn: Connection, now: int) -> store.Terms | None:
    value = versions.current(conn, Name.RE_PERMISSION, now)
    if not value["on"] or load_rule(conn, now).is_settling:
        return None
    silent = value["silent_days"]
    ends_before = now + value["days_before"] * _DAY
    return store.Terms(now, ends_before, 0 if silent is None else now - silent * _DAY)


def _due(conn: Connection, terms: store.Terms, limit: int, topic: int | None = None) -> dict[int, list[store.Due]]:
    """Whom to ask, by topic; of every open one, or of `topic`."""
    last = store.last_mailbox(conn)
    part = terms.now // _LOOK_TIME % (last // _LOOK + 1)
    rule = load_rule(conn, terms.now)
    topics = [row.id for row in consents.open_topics(conn)] if topic is None else [topic]
    span = (part * _LOOK, (part + 1) * _LOOK)
    found = {one: store.due(conn, rule, one, span, terms, limit) for one in topics}
    return {one: [due for due in rows if due.reason is None] for one, rows in found.items()}


@dataclass
class _Round:
    """One look's questions, in one transaction that holds the planners' turn."""

    conn: Connection
    ctx: Context
    terms: store.Terms

    def ask(self) -> int:
        house, asked = read_house(self.conn), 0
        self._offers: dict[str, dict[int, Promise]] = {}
        for topic in consents.open_topics(self.conn):
            # Each topic is judged once those before it are planned, so that no two share one place under a cap.
            due = _due(self.conn, self.terms, _MOST, topic.id)[topic.id]
            held = consents.lock_contacts(self.conn, (one.contact for one in due))
            still = {one.contact: one for one in _due(self.conn, self.terms, _MOST, topic.id)[topic.id]}
            for contact_id in sorted(held.keys() & still.keys()):
                asked += self._question(house, topic, still[contact_id])
        return asked

    def _question(self, house: House, topic: Row[Any], due: store.Due) -> int:
        person = find_by_id(self.conn, due.contact)
        promise = self._promise(house, topic.id, person.locale) if person is not None else None
        if person is None or promise is None:
            return 0
        now = self.terms.now
        why = _ENDING if due.expires is not None and due.expires <= self.terms.ends_before else _SILENT
        ends = due.expires if why == _ENDING and due.expires is not None else self.terms.ends_before
        when = quiet_until(now, due.zone, due.quiet_from, due.quiet_to)
        if when >= ends:
            return 0
        row = requests.add_confirmation(self.conn, **self._columns(person, why, ends))
        requests.ask_about(self.conn, row, {promise.topic: promise.text})
        ref = outbox.queue_renewal(self.conn, now, person, row, topic=topic.id, due=when)
        body = {"mail": ref.hex(), "why": why, "ends": ends}
        entry = Entry(
            kind="permission.asked", actor=ENGINE.name, contact=person.ref, topic=topic.ref, message=ref, body=body
        )
        record(self.conn, now, entry)
        return 1

    def _columns(self, person: Person, why: str, ends: int) -> Mapping[str, Any]:
        told = {"requests": [{"door": "re-permission", "why": why, "received": self.terms.now}]}
        return {
            "contact": person.id,
            "about": ABOUT,
            "locale": person.locale,
            "network": self.ctx.keyring.blind("network", "engine"),
            "requested": self.terms.now,
            "created": self.terms.now,
            "expires": ends,
            "evidence_box": ContactKeys(self.ctx.keyring, self.conn).seal(person.id, told),
        }

    def _promise(self, house: House, topic: int, locale: str) -> Promise | None:
        if locale not in self._offers:
            self._offers[locale] = {one.topic: one for one in offered(self.conn, house, locale)}
        return self._offers[locale].get(topic)


def _end_unanswered(ctx: Context) -> int:
    """Close questions whose time is over. A consent that was asked about and stayed silent ends with its question."""
    with ctx.db.reading() as conn:
        if not store.unanswered(conn, ctx.db.now(conn), 1):
            return 0
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        refs = consents.lock_contacts(conn, (one.contact for one in store.unanswered(conn, now, _MOST)))
        over = [one for one in store.unanswered(conn, now, _MOST) if one.contact in refs]
        silent = [one for one in over if store.was_asked(conn, one) and not _lives(conn, refs, one)]
        for one in over:
            requests.change_confirmation(conn, one.id, answered=now, answer="expired", evidence_box=None)
        changes = {
            (row.contact, row.topic): Change(
                contact=row.contact,
                topic=row.topic,
                event=Event.EXPIRED,
                text=row.text,
                evidence={"act": "was asked whether it shall go on, and said nothing"},
            )
            for one in silent
            for row in consents.held(conn, [one.contact], requests.asked_topics(conn, one.id))
            if row.state in LIVE
        }
        apply_changes(conn, ctx, now, actor=ENGINE, changes=list(changes.values()))
        return len(over)


def _lives(conn: Connection, refs: Mapping[int, bytes], question: Row[Any]) -> bool:
    return store.gave_sign(conn, refs[question.contact], question.created)
