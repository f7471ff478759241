"""Stopping: one step from any mail, idempotent, for ever; and undo for an hour with the acting browser's token."""

from typing import Any

import pytest
from sqlalchemy import select, update

from outreach.domain.errors import ConflictError, InvalidInputError, TokenError, TokenExpiredError
from outreach.domain.tokens import Purpose
from outreach.services.confirm import Client, grant
from outreach.services.context import Context
from outreach.services.withdraw import undo, view_stop, withdraw
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import confirmation, consent, consent_event, topic
from tests.factories import World
from tests.services.people import ALICE, asked, count, letter, link, move_clock, state_of, topic_ref

HOME = Client("203.0.113.9", "Firefox")


def subscribed(ctx: Context, world: World, state: str = "granted", **more: Any) -> tuple[int, int, bytes]:
    """(contact, topic, ref of a mail they got)."""
    topic_id, text_id = world.topic()
    person = world.person(ALICE)
    world.grant(person, topic_id, text_id, state=state, **more)
    return person.id, topic_id, letter(ctx, world, person.id, topic_id)


def stop(ctx: Context, ref: bytes, how: str = "page", purpose: Purpose = Purpose.STOP) -> Any:
    return withdraw(ctx, link(ctx, purpose, ref), how, HOME, purpose=purpose)


@pytest.mark.parametrize("state", ["granted", "paused", "expired", "pending"])
def test_one_click_withdraws_at_once_and_twice_is_once(ctx: Context, world: World, state: str) -> None:
    _, _, ref = subscribed(ctx, world, state)
    assert stop(ctx, ref, "one-click").changed == 1
    assert state_of(ctx) == "withdrawn"
    before = count(ctx, audit_entry)
    assert stop(ctx, ref, "one-click").changed == 0
    assert count(ctx, audit_entry) == before


def test_a_stop_link_never_expires_and_outlives_its_topic(ctx: Context, world: World) -> None:
    _, topic_id, ref = subscribed(ctx, world)
    token = link(ctx, Purpose.STOP, ref)
    with ctx.db.transaction() as conn:
        conn.execute(update(topic).where(topic.c.id == topic_id).values(closed=world.now))
    move_clock(ctx, 20 * 365 * 86_400)
    withdraw(ctx, token, "one-click", HOME)
    assert state_of(ctx) == "withdrawn"


def test_a_lowered_cap_keeps_the_earliest_of_what_was_planned(ctx: Context, world: World) -> None:
    topic_id, text_id = world.topic(cap_n=3)
    person = world.person(ALICE)
    world.grant(person, topic_id, text_id)
    long_ago = world.now - 8 * 86_400_000_000
    ref = letter(ctx, world, person.id, topic_id, planned=long_ago, counted=long_ago, settled=long_ago)
    for place in range(2):
        letter(ctx, world, person.id, topic_id, state="planned", counted=None, settled=None, planned=world.now + place)
    stop(ctx, ref, "lower", Purpose.WHY)
    with ctx.db.reading() as conn:
        rows = conn.execute(select(message.c.state, message.c.reason).order_by(message.c.id)).all()
    assert [tuple(row) for row in rows] == [("sent", None), ("planned", None), ("withheld", "cap_own")]


def test_looking_at_the_page_changes_nothing(ctx: Context, world: World) -> None:
    _, _, ref = subscribed(ctx, world)
    seen = view_stop(ctx, link(ctx, Purpose.STOP, ref))
    assert (seen.topic, seen.state) == ("Garden tips", "granted")
    assert state_of(ctx) == "granted"


def test_everything_stops_every_topic_and_undo_puts_each_back_as_it_was(ctx: Context, world: World) -> None:
    person, _, ref = subscribed(ctx, world)
    other, text = world.topic()
    world.grant(world.person(ALICE), other, text, state="paused", paused_until=world.now + 10**12)
    pressed = stop(ctx, ref, "everything")
    assert (state_of(ctx, "topic-1"), state_of(ctx, "topic-2")) == ("withdrawn", "withdrawn")
    assert undo(ctx, pressed.undo, HOME) == 2
    assert (state_of(ctx, "topic-1"), state_of(ctx, "topic-2")) == ("granted", "paused")
    with ctx.db.reading() as conn:
        row = conn.execute(select(consent).where(consent.c.contact == person, consent.c.topic == other)).one()
    assert row.paused_until == world.now + 10**12
    assert undo(ctx, pressed.undo, HOME) == 0


def test_undo_is_over_after_an_hour(ctx: Context, world: World) -> None:
    _, _, ref = subscribed(ctx, world)
    pressed = stop(ctx, ref)
    move_clock(ctx, 3601)
    with pytest.raises(TokenExpiredError):
        undo(ctx, pressed.undo, HOME)
    assert state_of(ctx) == "withdrawn"


def test_undo_never_overrides_what_happened_since(ctx: Context, world: World) -> None:
    _, _, ref = subscribed(ctx, world)
    paused = stop(ctx, ref, "pause", Purpose.WHY)
    stop(ctx, ref)
    assert undo(ctx, paused.undo, HOME) == 0
    assert state_of(ctx) == "withdrawn"


def test_no_link_of_a_mail_can_undo(ctx: Context, world: World) -> None:
    _, _, ref = subscribed(ctx, world)
    assert stop(ctx, ref, "one-click").undo is None
    for purpose in (Purpose.STOP, Purpose.WHY, Purpose.CONFIRM):
        with pytest.raises(TokenError):
            undo(ctx, link(ctx, purpose, ref), HOME)


def test_why_links_lower_and_pause_and_nothing_raises(ctx: Context, world: World) -> None:
    _, _, ref = subscribed(ctx, world)
    lowered = stop(ctx, ref, "lower", Purpose.WHY)
    with ctx.db.reading() as conn:
        row = conn.execute(select(consent)).one()
    assert (row.state, row.own_n, row.own_window) == ("granted", 1, 604_800)
    assert stop(ctx, ref, "lower", Purpose.WHY).changed == 0
    stop(ctx, ref, "pause", Purpose.WHY)
    with ctx.db.reading() as conn:
        row = conn.execute(select(consent)).one()
    assert row.state == "paused"
    assert row.paused_until > world.now + 29 * 86_400_000_000
    with pytest.raises(InvalidInputError):
        stop(ctx, ref, "resume", Purpose.WHY)
    assert lowered.undo


def test_a_lower_cap_is_kept_when_it_is_lower_still_and_undo_restores_the_former(ctx: Context, world: World) -> None:
    _, _, ref = subscribed(ctx, world, own_n=2, own_window=604_800)
    pressed = stop(ctx, ref, "lower", Purpose.WHY)
    undo(ctx, pressed.undo, HOME)
    with ctx.db.transaction() as conn:
        assert conn.execute(select(consent.c.own_n)).scalar_one() == 2
        conn.execute(update(consent).values(own_n=1, own_window=30 * 86_400))
    assert stop(ctx, ref, "lower", Purpose.WHY).changed == 0


def test_stopping_from_the_mail_that_asks_says_no(ctx: Context, world: World) -> None:
    world.topic()
    asked(ctx)
    with ctx.db.reading() as conn:
        ref = conn.execute(select(message.c.ref)).scalar_one()
    stop(ctx, ref, "one-click")
    assert state_of(ctx) == "none"
    assert count(ctx, confirmation, confirmation.c.answer == "declined") == 1


def test_stopping_from_the_mail_that_asked_ends_what_it_began(ctx: Context, world: World) -> None:
    world.topic()
    token = asked(ctx)
    grant(ctx, token, {topic_ref(ctx)}, HOME, button="Yes")
    with ctx.db.reading() as conn:
        ref = conn.execute(select(message.c.ref)).scalar_one()
    stop(ctx, ref, "one-click")
    assert state_of(ctx) == "withdrawn"


@pytest.mark.parametrize("how", ["one-click", "page", "everything"])
def test_a_stop_in_a_mail_that_belongs_to_nothing_stops_everything(ctx: Context, world: World, how: str) -> None:
    person, _, _ = subscribed(ctx, world)
    ref = letter(ctx, world, person, None, origin="notice")
    stop(ctx, ref, how)
    assert state_of(ctx) == "withdrawn"


def test_a_genuine_link_of_a_mail_no_longer_held_is_answered_without_error(ctx: Context, world: World) -> None:
    assert stop(ctx, bytes(16), "one-click").changed == 0


def test_undo_of_a_mail_no_longer_held_says_so(ctx: Context, world: World) -> None:
    with pytest.raises(ConflictError):
        undo(ctx, link(ctx, Purpose.UNDO, bytes(16)), HOME)


def test_each_act_is_an_event_with_evidence(ctx: Context, world: World) -> None:
    _, _, ref = subscribed(ctx, world)
    undo(ctx, stop(ctx, ref).undo, HOME)
    with ctx.db.reading() as conn:
        events = conn.execute(select(consent_event).order_by(consent_event.c.id)).all()
    assert [event.event for event in events] == ["withdrawn", "restored"]
    assert all(event.evidence_box and event.message_ref == ref for event in events)
