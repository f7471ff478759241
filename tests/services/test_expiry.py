"""What time ends: consents, pauses and unanswered requests, with the person if nothing else is held of them."""

import json
import secrets

import pytest
from sqlalchemy import insert, select, update

from outreach.domain import addresses
from outreach.domain.tokens import Purpose
from outreach.services.confirm import Client, decline, grant
from outreach.services.context import Context
from outreach.services.expiry import expire
from outreach.services.seal import seal
from outreach.services.sign_up import process_requests, submit_sign_up
from outreach.services.verify import verify
from outreach.services.withdraw import withdraw
from outreach.store import suppressions
from outreach.store.audit import Entry, record
from outreach.store.boxes import ContactKeys
from outreach.store.contacts import find_by_address
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import confirmation, consent, consent_event, mail_budget, request, topic
from outreach.store.schema.organisation import staff
from outreach.store.schema.people import contact, contact_key, mailbox, suppression
from tests.factories import World
from tests.services.people import ALICE, asked, count, form, letter, link, move_clock, state_of, topic_ref

WEEK = 7 * 86_400
YEAR = 365 * 86_400


def is_known(ctx: Context, address: str = ALICE) -> bool:
    with ctx.db.reading() as conn:
        return find_by_address(conn, ctx.keyring, addresses.parse(address)) is not None


def test_a_consent_expires_and_that_is_an_event(ctx: Context, world: World) -> None:
    topic_id, text_id = world.topic()
    world.grant(world.person(ALICE), topic_id, text_id, expires=world.now + 3_600_000_000)
    assert expire(ctx) == 0
    move_clock(ctx, 3601)
    assert expire(ctx) == 1
    assert state_of(ctx) == "expired"
    assert expire(ctx) == 0
    assert count(ctx, consent_event, consent_event.c.event == "expired") == 1
    assert count(ctx, audit_entry, audit_entry.c.kind == "consent.expired") == 1


def test_a_topics_days_set_when_a_consent_expires(ctx: Context, world: World) -> None:
    topic_id, _ = world.topic()
    with ctx.db.transaction() as conn:
        conn.execute(update(topic).where(topic.c.id == topic_id).values(expires_days=730))
    grant(ctx, asked(ctx), {topic_ref(ctx)}, Client(), button="Yes")
    move_clock(ctx, 731 * 86_400)
    expire(ctx)
    assert state_of(ctx) == "expired"


def test_a_pause_ends_by_itself(ctx: Context, world: World) -> None:
    topic_id, text_id = world.topic()
    world.grant(world.person(ALICE), topic_id, text_id, state="paused", paused_until=world.now + 3_600_000_000)
    assert expire(ctx) == 0
    move_clock(ctx, 3601)
    assert expire(ctx) == 1
    assert state_of(ctx) == "granted"


def test_an_unanswered_stranger_is_erased_after_seven_days(ctx: Context, world: World) -> None:
    world.topic()
    asked(ctx)
    with ctx.db.reading() as conn:
        box = conn.execute(select(consent_event.c.evidence_box)).scalar_one()
        assert box
    move_clock(ctx, WEEK - 60)
    assert expire(ctx) == 0
    assert is_known(ctx)
    move_clock(ctx, WEEK + 60)
    assert expire(ctx) == 1
    assert not is_known(ctx)
    assert count(ctx, contact_key) == 0
    assert count(ctx, consent) == 0
    assert count(ctx, mailbox, mailbox.c.mailbox_key == ctx.keyring.blind("mailbox", ALICE)) == 0
    assert count(ctx, audit_entry, audit_entry.c.kind == "contact.erased") == 1
    with ctx.db.reading() as conn:
        assert conn.execute(select(confirmation.c.answer, confirmation.c.evidence_box)).one() == ("expired", None)
        person = conn.execute(select(message.c.contact)).scalar_one()
        assert ContactKeys(ctx.keyring, conn).text(person, box) is None


def test_whoever_said_no_is_erased_when_their_link_ends(ctx: Context, world: World) -> None:
    world.topic()
    decline(ctx, asked(ctx))
    assert expire(ctx) == 0
    assert is_known(ctx)
    move_clock(ctx, WEEK + 60)
    assert expire(ctx) == 1
    assert not is_known(ctx)
    assert expire(ctx) == 0


@pytest.mark.parametrize("reason", ["agreed", "withdrew", "staff", "newer request"])
def test_whoever_is_held_for_another_reason_stays(ctx: Context, world: World, reason: str) -> None:
    world.topic()
    other, text = world.topic()
    asked(ctx, ALICE, "topic-1")
    person = world.person(ALICE)
    if reason in {"agreed", "withdrew"}:
        world.grant(person, other, text, state="granted" if reason == "agreed" else "withdrawn")
    if reason == "staff":
        with ctx.db.transaction() as conn:
            values = {"ref": secrets.token_bytes(16), "contact": person.id, "roles": "officer", "created": world.now}
            conn.execute(insert(staff).values(values))
    if reason == "newer request":
        move_clock(ctx, WEEK - 3600)
        submit_sign_up(ctx, form(ALICE, "topic-2"))
        process_requests(ctx)
    move_clock(ctx, WEEK + 60)
    expire(ctx)
    assert is_known(ctx)


def test_an_erased_person_may_sign_up_as_new(ctx: Context, world: World) -> None:
    world.topic()
    asked(ctx)
    move_clock(ctx, WEEK + 60)
    expire(ctx)
    grant(ctx, asked(ctx), {topic_ref(ctx)}, Client(), button="Yes")
    assert count(ctx, contact) == 2
    assert state_of(ctx) == "granted"


def test_a_mailbox_another_address_shares_keeps_its_key(ctx: Context, world: World) -> None:
    topic_id, text_id = world.topic()
    world.grant(world.person("alice+news@example.org"), topic_id, text_id)
    asked(ctx)
    move_clock(ctx, WEEK + 60)
    expire(ctx)
    assert count(ctx, mailbox, mailbox.c.mailbox_key == ctx.keyring.blind("mailbox", ALICE)) == 1


def test_settled_requests_and_old_budgets_are_forgotten(ctx: Context, world: World) -> None:
    world.topic()
    asked(ctx)
    move_clock(ctx, WEEK + 60)
    expire(ctx)
    assert count(ctx, request) == 0
    assert count(ctx, mail_budget) == 0


def ended(ctx: Context, world: World, address: str = ALICE) -> bytes:
    """Somebody who agreed to topic-1, whose proof is kept for a year, and withdrew at once; their ref."""
    world.topic()
    grant(ctx, asked(ctx, address), {topic_ref(ctx)}, Client(), button="Yes")
    person = world.person(address)
    withdraw(ctx, link(ctx, Purpose.STOP, letter(ctx, world, person.id, None)), "everything", Client())
    with ctx.db.transaction() as conn:  # what the pipeline would have written about the two mails
        now = ctx.db.now(conn)
        for ref in conn.execute(select(message.c.ref)).scalars():
            record(conn, now, Entry(kind="message.sent", actor="engine", contact=person.ref, message=ref))
    return person.ref


def test_proof_is_erased_when_its_topic_no_longer_needs_it(ctx: Context, world: World) -> None:
    ref = ended(ctx, world)
    with ctx.db.transaction() as conn:
        box = conn.execute(select(consent_event.c.evidence_box).where(consent_event.c.event == "confirmed")).scalar()
        key = ctx.keyring.blind("mailbox", ALICE)
        suppressions.put(conn, world.now, [suppressions.Bar(key, "mailbox", "never", "officer")])
    move_clock(ctx, YEAR - 60)
    expire(ctx)
    assert is_known(ctx)
    move_clock(ctx, YEAR + 60)
    assert expire(ctx) == 1
    assert not is_known(ctx)
    assert count(ctx, contact_key) == count(ctx, consent) == 0
    assert count(ctx, mailbox, mailbox.c.mailbox_key == key) == 0
    assert count(ctx, suppression, suppression.c.key == key) == 1
    with ctx.db.reading() as conn:
        entry = conn.execute(select(audit_entry).where(audit_entry.c.kind == "contact.erased")).one()
        person = conn.execute(select(contact).where(contact.c.ref == ref)).one()
        assert ContactKeys(ctx.keyring, conn).text(person.id, box) is None
    assert (entry.contact, entry.actor, json.loads(entry.body)) == (ref, "engine", {"reason": "retention"})
    assert (person.address_box, person.fields_box) == (None, None)
    assert expire(ctx) == 0
    while seal(ctx, 1):
        pass
    assert verify(ctx).is_clean


@pytest.mark.parametrize("reason", ["agreed", "pending", "paused", "longer", "staff", "question", "mail"])
def test_proof_stays_while_anything_needs_it(ctx: Context, world: World, reason: str) -> None:
    ended(ctx, world)
    other, text = world.topic()
    person = world.person(ALICE)
    states = {"agreed": "granted", "pending": "pending", "paused": "paused", "longer": "withdrawn"}
    if reason in states:
        world.grant(person, other, text, state=states[reason])
    with ctx.db.transaction() as conn:
        if reason == "longer":
            conn.execute(update(topic).where(topic.c.id == other).values(retention_days=366))
        if reason == "staff":
            values = {"ref": secrets.token_bytes(16), "contact": person.id, "roles": "officer", "created": world.now}
            conn.execute(insert(staff).values(values))
        if reason == "mail":
            conn.execute(update(message).where(message.c.origin == "campaign").values(state="planned"))
    if reason == "question":
        move_clock(ctx, YEAR - 60)
        submit_sign_up(ctx, form(ALICE, "topic-2"))
        process_requests(ctx)
    move_clock(ctx, YEAR + 60)
    expire(ctx)
    assert is_known(ctx)


def test_everybodys_turn_comes_though_a_look_takes_few(ctx: Context, world: World) -> None:
    ended(ctx, world)
    with ctx.db.transaction() as conn:
        box = conn.execute(select(mailbox.c.id).limit(1)).scalar_one()
        late = {"mailbox": box, "provider": "other", "locale": "en", "timezone": "UTC", "created": 1}
        late |= {"id": 12_000, "ref": b"r" * 16, "code": "K7Q2M9XRT4", "address_key": b"k" * 32}
        conn.execute(insert(contact).values(late))
    erased = []
    for turn in range(3):
        move_clock(ctx, YEAR + 60 + 20 * turn)
        erased.append(expire(ctx))
    assert sorted(erased) == [0, 0, 1]
