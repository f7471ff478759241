"""The desk: write-only, the same answer for known and unknown, and never a grant."""

import json

import pytest
from sqlalchemy import select

from outreach.domain.actors import VISITOR, Actor, Role
from outreach.domain.errors import InvalidInputError, NotAllowedError
from outreach.services.context import Context
from outreach.services.desk import OptIn, record_death, record_stop, start_opt_in
from outreach.services.sign_up import process_requests
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import confirmation, consent_event
from outreach.store.schema.people import suppression
from tests.factories import World
from tests.services.people import ALICE, asked, count, state_of


@pytest.fixture
def bob() -> Actor:
    return Actor("staff:b0b0", frozenset({Role.MARKETER}), 1)


def test_a_stop_by_address_or_reference_withdraws_and_names_who_recorded_it(
    ctx: Context, world: World, bob: Actor
) -> None:
    topic_id, text_id = world.topic()
    alice = world.person(ALICE)
    world.grant(alice, topic_id, text_id)
    pretty = f"{alice.code[:4]}-{alice.code[4:8]}-{alice.code[8:]}".lower()
    record_stop(ctx, bob, pretty, "rang us on Monday")
    assert state_of(ctx) == "withdrawn"
    with ctx.db.reading() as conn:
        entry = conn.execute(select(audit_entry).where(audit_entry.c.kind == "consent.withdrawn")).one()
    assert entry.actor == "staff:b0b0"
    assert record_stop(ctx, bob, ALICE, "wrote again") == record_stop(ctx, bob, "nobody@example.org", "wrote again")


def test_a_stop_for_one_topic_leaves_the_others(ctx: Context, world: World, bob: Actor) -> None:
    alice = world.person(ALICE)
    for _ in range(2):
        topic_id, text_id = world.topic()
        world.grant(alice, topic_id, text_id)
    record_stop(ctx, bob, ALICE, "too many tips", topic="topic-1")
    assert (state_of(ctx, "topic-1"), state_of(ctx, "topic-2")) == ("withdrawn", "granted")


def test_a_stop_answers_an_open_question_with_no(ctx: Context, world: World, bob: Actor) -> None:
    world.topic()
    asked(ctx)
    record_stop(ctx, bob, ALICE, "did not ask for this", topic="topic-1")
    assert state_of(ctx) == "none"
    assert count(ctx, confirmation, confirmation.c.answer == "declined") == 1


def test_deceased_bars_known_and_unknown_alike(ctx: Context, world: World, bob: Actor) -> None:
    topic_id, text_id = world.topic()
    world.grant(world.person(ALICE), topic_id, text_id)
    answers = {record_death(ctx, bob, who, "her son wrote") for who in (ALICE, "nobody@example.org")}
    assert len(answers) == 1
    assert state_of(ctx) == "withdrawn"
    assert count(ctx, suppression, suppression.c.kind == "deceased", suppression.c.lift == "officer") == 2


def test_deceased_by_reference_bars_the_mailbox(ctx: Context, world: World, bob: Actor) -> None:
    alice = world.person(ALICE)
    record_death(ctx, bob, alice.code, "her son wrote")
    assert count(ctx, suppression, suppression.c.key == ctx.keyring.blind("mailbox", ALICE)) == 1


def test_an_opt_in_from_paper_asks_by_mail_and_grants_nothing(ctx: Context, world: World, bob: Actor) -> None:
    world.topic()
    command = OptIn(address=ALICE, topics=["topic-1"], locale="en", source="paper", note="spring fair, form 12")
    start_opt_in(ctx, bob, command)
    process_requests(ctx)
    assert count(ctx, message, message.c.state == "planned") == 1
    assert state_of(ctx) == "pending"
    assert count(ctx, consent_event, consent_event.c.to_state == "granted") == 0


def test_a_reason_is_demanded_and_addresses_in_it_are_masked(ctx: Context, world: World, bob: Actor) -> None:
    with pytest.raises(InvalidInputError):
        record_stop(ctx, bob, ALICE, "   ")
    record_stop(ctx, bob, ALICE, "mail from carol@example.org about alice@example.org")
    with ctx.db.reading() as conn:
        body = conn.execute(select(audit_entry.c.body)).scalar_one()
    assert "carol@" not in body
    assert json.loads(body)["reason"].startswith("mail from c•••@e•••.org")


@pytest.mark.parametrize("who", ["alice", "alice@gmial.com", "", "K7Q2"])
def test_neither_an_address_nor_a_reference_is_named(ctx: Context, world: World, bob: Actor, who: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        record_stop(ctx, bob, who, "rang us")
    assert caught.value.field == "who"


def test_only_staff_use_the_desk(ctx: Context, world: World) -> None:
    with pytest.raises(NotAllowedError):
        record_stop(ctx, VISITOR, ALICE, "rang us")
