"""A contact at any past moment, replayed from the log, with no address read; and the contact's page without a press."""

from typing import Any

import pytest
from sqlalchemy import insert, select

from outreach.domain.actors import Actor, Role
from outreach.domain.consent import Event
from outreach.domain.errors import InvalidInputError, NotAllowedError, NotFoundError
from outreach.services.consents import apply_event
from outreach.services.contact_history import contact_history, see_contact
from outreach.services.officer.as_of import StateAsOf, state_as_of
from outreach.store.audit import Entry, record
from outreach.store.boxes import ContactKeys
from outreach.store.leaving import erase
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.campaigns import message
from outreach.store.schema.people import mailbox
from outreach.store.suppressions import Bar, lift_by_officer, put
from tests.factories import DAY, World

OFFICER = Actor("staff:" + "0" * 32, frozenset({Role.OFFICER}))
MARKETER = Actor("staff:" + "1" * 32, frozenset({Role.MARKETER}))


@pytest.fixture
def person(world: World) -> Any:
    return world.person("anna.berg@example.org")


def at(world: World, day: float) -> int:
    """`day` days after thirty days ago."""
    return int(world.now - 30 * DAY + day * DAY)


def happens(world: World, person: Any, topic: int, text: int | None, event: Event, day: float) -> None:
    with world.ctx.db.transaction() as conn:
        apply_event(
            conn,
            world.ctx,
            at(world, day),
            actor=Actor("recipient"),
            contact_id=person.id,
            topic_id=topic,
            event=event,
            text_id=text,
        )


def mailed(world: World, person: Any, day: float, state: str = "sent", reason: str | None = None) -> None:
    ref = int(day * 1000).to_bytes(16)
    row = {"ref": ref, "origin": "notice", "kind": "service", "lane": "x", "contact": person.id}
    row |= {"mailbox": person.mailbox, "state": state, "reason": reason, "planned": at(world, day - 0.5), "due": 1}
    with world.ctx.db.transaction() as conn:
        conn.execute(insert(message).values(row))
        body = {"state": state, "reason": reason}
        entry = Entry(kind=f"message.{state}", actor="engine", contact=person.ref, message=ref, body=body)
        record(conn, at(world, day), entry)


def then(world: World, person: Any, day: float) -> StateAsOf:
    return state_as_of(world.ctx, OFFICER, person.ref, at(world, day))


def test_consents_are_what_they_were_at_that_moment(world: World, person: Any) -> None:
    topic, text = world.topic()
    second = world.text(topic, version=2, cap_n=1)
    happens(world, person, topic, text, Event.REQUESTED, 1)
    happens(world, person, topic, text, Event.CONFIRMED, 2)
    happens(world, person, topic, None, Event.WITHDRAWN, 5)
    happens(world, person, topic, second, Event.CONFIRMED, 9)
    assert then(world, person, 0.5).consents == ()
    stood = {day: then(world, person, day).consents[0] for day in (1.5, 3, 6, 10)}
    assert {day: (one.state, one.version) for day, one in stood.items()} == {
        1.5: ("pending", None),
        3: ("granted", 1),
        6: ("withdrawn", 1),
        10: ("granted", 2),
    }
    assert stood[3].since == at(world, 2)
    assert (stood[10].cap, stood[3].cap) == ((1, 7 * 86400), (2, 7 * 86400))


def test_mails_are_counted_as_they_stood(world: World, person: Any) -> None:
    mailed(world, person, 2)
    mailed(world, person, 8)
    mailed(world, person, 9, "withheld", "cap_total")
    early = then(world, person, 1.7)
    assert (early.mails, early.open, early.week) == ((), 1, 0)
    late = then(world, person, 10)
    assert set(late.mails) == {("sent", "", 2), ("withheld", "cap_total", 1)}
    assert (late.open, late.week, late.month, late.entries) == (0, 1, 2, 3)


def test_an_unknown_outcome_was_unknown_until_it_was_ruled_on(world: World, person: Any) -> None:
    mailed(world, person, 2, "unknown", "no_reply")
    with world.ctx.db.transaction() as conn:
        ref = conn.execute(select(message.c.ref)).scalar_one()
        body = {"state": "sent", "reason": None, "ruled": "arrived"}
        entry = Entry(kind="message.sent", actor=OFFICER.name, contact=person.ref, message=ref, body=body)
        record(conn, at(world, 4), entry)
    assert then(world, person, 3).mails == (("unknown", "no_reply", 1),)
    assert then(world, person, 5).mails == (("sent", "", 1),)


def test_bars_and_caps_are_those_that_stood(world: World, person: Any) -> None:
    with world.ctx.db.transaction() as conn:
        key = conn.execute(select(mailbox.c.mailbox_key).where(mailbox.c.id == person.mailbox)).scalar_one()
        put(conn, at(world, 3), [Bar(key, "mailbox", "never", "officer")])
    stood = then(world, person, 4).bars
    assert [one.kind for one in stood] == ["never"]
    with world.ctx.db.transaction() as conn:
        lift_by_officer(conn, at(world, 6), stood[0].ref)
    assert [len(then(world, person, day).bars) for day in (2, 4, 7)] == [0, 1, 0]
    world.cap("total", 3, 86400)
    assert [(one.scope, one.n) for one in then(world, person, 4).caps] == [("total", 4)]
    now = state_as_of(world.ctx, OFFICER, person.ref, world.now)
    assert [(one.scope, one.n) for one in now.caps] == [("total", 3)]


def test_it_answers_for_the_erased_from_the_log_alone(world: World, person: Any) -> None:
    topic, text = world.topic()
    happens(world, person, topic, text, Event.CONFIRMED, 2)
    with world.ctx.db.transaction() as conn:
        erase(conn, [person.id])
        record(conn, at(world, 5), Entry(kind="contact.erased", actor="engine", contact=person.ref))
    before, after = then(world, person, 3), then(world, person, 6)
    assert (before.is_erased, before.consents[0].state) == (False, "granted")
    assert (after.is_erased, after.consents) == (True, ())


def test_looking_back_reads_no_box_and_writes_nothing(
    world: World, person: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a box was opened")

    monkeypatch.setattr(ContactKeys, "text", refuse)
    monkeypatch.setattr(ContactKeys, "facts", refuse)
    with world.ctx.db.reading() as conn:
        before = conn.execute(select(audit_entry.c.id)).all()
    then(world, person, 3)
    seen = see_contact(world.ctx, OFFICER, person.ref)
    assert (seen.masked, seen.is_read, seen.is_erased) == ("", False, False)
    with world.ctx.db.reading() as conn:
        assert conn.execute(select(audit_entry.c.id)).all() == before


def test_a_contact_without_a_press_is_told_without_evidence(world: World, person: Any) -> None:
    topic, text = world.topic()
    happens(world, person, topic, text, Event.CONFIRMED, 2)
    seen = see_contact(world.ctx, OFFICER, person.ref)
    read = contact_history(world.ctx, OFFICER, person.ref)
    assert (read.is_read, read.masked) == (True, "a•••@e•••.org")
    assert [(one.event, one.evidence) for one in seen.events] == [("confirmed", ())]
    assert (seen.consents, seen.messages, seen.bars) == (read.consents, read.messages, read.bars)


def test_the_future_and_strangers_are_refused(world: World, person: Any) -> None:
    with pytest.raises(InvalidInputError):
        state_as_of(world.ctx, OFFICER, person.ref, world.now + DAY)
    with pytest.raises(NotFoundError):
        state_as_of(world.ctx, OFFICER, b"?" * 16, world.now)
    for attempt in (
        lambda: state_as_of(world.ctx, MARKETER, person.ref, 1),
        lambda: see_contact(world.ctx, MARKETER, person.ref),
    ):
        with pytest.raises(NotAllowedError):
            attempt()
