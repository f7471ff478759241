"""The one way a consent changes: row, event and audit entry together, or nothing."""

import itertools
import json
import threading

import pytest
from sqlalchemy import select

from outreach.domain import addresses
from outreach.domain.actors import RECIPIENT
from outreach.domain.consent import Event, State
from outreach.domain.errors import ConflictError
from outreach.services.consents import Change, apply_changes, apply_event
from outreach.services.context import Context
from outreach.store.boxes import ContactKeys
from outreach.store.newcomers import Newcomer, ensure_contacts
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.consents import consent, consent_event, consent_text
from outreach.store.schema.people import contact, mailbox
from tests.factories import World
from tests.services.people import ALICE, count


def happen(ctx: Context, person: int, topic: int, event: Event, text: int | None = None) -> State:
    with ctx.db.transaction() as conn:
        return apply_event(
            conn,
            ctx,
            ctx.db.now(conn),
            actor=RECIPIENT,
            contact_id=person,
            topic_id=topic,
            event=event,
            text_id=text,
            evidence={"act": "in a test"},
        )


def test_row_event_and_entry_tell_the_same_story(ctx: Context, world: World) -> None:
    topic, text = world.topic()
    alice = world.person(ALICE)
    for event in (Event.CONFIRMED, Event.WITHDRAWN, Event.CONFIRMED):
        happen(ctx, alice.id, topic, event, text)
    with ctx.db.reading() as conn:
        row = conn.execute(select(consent)).one()
        events = conn.execute(select(consent_event).order_by(consent_event.c.id)).all()
        entries = conn.execute(select(audit_entry).order_by(audit_entry.c.id)).all()
        wording = conn.execute(select(consent_text.c.ref)).scalar_one()
    assert row.state == "granted"
    assert [(event.from_state, event.to_state) for event in events] == [
        ("none", "granted"),
        ("granted", "withdrawn"),
        ("withdrawn", "granted"),
    ]
    for told, entry in zip(events, entries, strict=True):
        body = json.loads(entry.body)
        assert (entry.kind, entry.contact) == (f"consent.{told.event}", alice.ref)
        assert (body["from"], body["to"], body["event"]) == (told.from_state, told.to_state, told.ref.hex())
        assert body["text"] == wording.hex()


def test_what_changes_nothing_writes_nothing(ctx: Context, world: World) -> None:
    topic, text = world.topic()
    alice = world.person(ALICE)
    for event in (Event.WITHDRAWN, Event.DECLINED, Event.LAPSED, Event.EXPIRED):
        assert happen(ctx, alice.id, topic, event) == State.NONE
    happen(ctx, alice.id, topic, Event.CONFIRMED, text)
    assert happen(ctx, alice.id, topic, Event.REQUESTED, text) == State.GRANTED
    assert count(ctx, consent_event) == 1


def test_a_refused_event_writes_nothing_of_its_batch(ctx: Context, world: World) -> None:
    topic, text = world.topic()
    alice, bob = world.person(ALICE), world.person("bob@example.org")
    world.grant(alice, topic, text, state="withdrawn")
    changes = [
        Change(contact=person.id, topic=topic, event=Event.IMPORTED, text=text, evidence={"a": 1})
        for person in (bob, alice)
    ]
    with pytest.raises(ConflictError), ctx.db.transaction() as conn:
        apply_changes(conn, ctx, world.now, actor=RECIPIENT, changes=changes)
    assert count(ctx, consent_event) == 0
    assert count(ctx, consent) == 1


def test_evidence_is_unreadable_once_its_owners_key_is_gone(ctx: Context, world: World) -> None:
    topic, text = world.topic()
    alice = world.person(ALICE)
    happen(ctx, alice.id, topic, Event.CONFIRMED, text)
    with ctx.db.transaction() as conn:
        box = conn.execute(select(consent_event.c.evidence_box)).scalar_one()
        keys = ContactKeys(ctx.keyring, conn)
        assert keys.facts(alice.id, box) == {"act": "in a test"}
        assert b"in a test" not in box


def test_agreeing_anew_keeps_an_own_lower_cap_and_a_new_start_forgets_it(ctx: Context, world: World) -> None:
    topic, text = world.topic()
    alice = world.person(ALICE)
    world.grant(alice, topic, text, own_n=1, own_window=604_800)
    happen(ctx, alice.id, topic, Event.CONFIRMED, text)
    with ctx.db.reading() as conn:
        assert conn.execute(select(consent.c.own_n)).scalar_one() == 1
    happen(ctx, alice.id, topic, Event.WITHDRAWN)
    happen(ctx, alice.id, topic, Event.CONFIRMED, text)
    with ctx.db.reading() as conn:
        assert conn.execute(select(consent.c.own_n)).scalar_one() is None


def test_a_complaint_ends_even_what_was_never_begun(ctx: Context, world: World) -> None:
    topic, _ = world.topic()
    assert happen(ctx, world.person(ALICE).id, topic, Event.COMPLAINED) == State.WITHDRAWN


def test_two_at_once_leave_one_consistent_end(ctx: Context, world: World) -> None:
    topic, text = world.topic()
    alice = world.person(ALICE)
    happen(ctx, alice.id, topic, Event.CONFIRMED, text)
    threads = [
        threading.Thread(target=happen, args=(ctx, alice.id, topic, event, text))
        for event in (Event.WITHDRAWN, Event.CONFIRMED, Event.COMPLAINED, Event.WITHDRAWN)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with ctx.db.reading() as conn:
        events = conn.execute(select(consent_event).order_by(consent_event.c.id)).all()
        state = conn.execute(select(consent.c.state)).scalar_one()
    assert state == events[-1].to_state
    assert all(one.to_state == two.from_state for one, two in itertools.pairwise(events))


def test_the_same_newcomer_met_twice_at_once_is_one_person(ctx: Context, world: World) -> None:
    def meet() -> None:
        with ctx.db.transaction() as conn:
            newcomer = Newcomer(addresses.parse(ALICE), "en", "UTC", {"name": "Alice"})
            keys = ContactKeys(ctx.keyring, conn)
            ensure_contacts(conn, ctx.keyring, keys, [newcomer], now=world.now)

    threads = [threading.Thread(target=meet) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (count(ctx, contact), count(ctx, mailbox)) == (1, 1)
    with ctx.db.reading() as conn:
        row = conn.execute(select(contact)).one()
        assert ContactKeys(ctx.keyring, conn).text(row.id, row.address_box) == ALICE
