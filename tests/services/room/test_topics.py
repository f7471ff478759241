"""A person's own room: what each topic promised and what came, and what they press about it."""

from typing import Any

import pytest
from sqlalchemy import select, update

from outreach.domain.errors import ConflictError, InvalidInputError, NotFoundError, TokenError, TokenExpiredError
from outreach.domain.frequency import SECOND, Cap
from outreach.domain.tokens import Purpose
from outreach.services.confirm import Client
from outreach.services.context import Context
from outreach.services.receipts.showing import view_receipt
from outreach.services.room.history import see_receipts
from outreach.services.room.pressing import Act, Press, press
from outreach.services.room.topics import TopicView, see_room, see_topic
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import confirmation, consent, topic
from tests.factories import DAY, World
from tests.services.owning import agreed, fresh_link, later
from tests.services.people import ALICE, asked, count, letter, state_of, topic_ref

CLIENT = Client(ip="192.0.2.7", browser="Firefox")
WEEK = 7 * 86_400


def act(ctx: Context, token: str, what: Act, **more: Any) -> int:
    """Press it for topic-1. Returns how many topics changed."""
    return len(press(ctx, token, {topic_ref(ctx)}, Press(what, **more), CLIENT))


def only(ctx: Context, token: str) -> TopicView:
    (topic,) = see_room(ctx, token).topics
    return topic


def now(ctx: Context) -> int:
    with ctx.db.reading() as conn:
        return ctx.db.now(conn)


def test_the_promise_stands_beside_what_came_in_its_own_window(ctx: Context, world: World) -> None:
    made, _ = world.topic(cap_n=2)
    person = agreed(ctx)
    for days in (1, 20, 22, 23):
        letter(ctx, world, person.id, made, counted=now(ctx) - days * DAY)
    letter(ctx, world, person.id, made, state="withheld", counted=None, reason="paused")
    other = world.person("bob@example.org")
    letter(ctx, world, other.id, made)
    found = only(ctx, fresh_link(ctx, person))
    assert (found.promise, found.got, found.most) == (Cap(2, WEEK), 1, 3)
    assert found.wording == "I would like Northfield to send me mail, at most 2 times."
    assert (found.how, found.is_live) == ("confirmed", True)
    assert found.agreed is not None
    assert view_receipt(ctx, found.receipt).receipt.title == "Garden tips"


def test_two_spellings_of_a_mailbox_share_what_they_got(ctx: Context, world: World) -> None:
    made, text = world.topic()
    person = world.person("alice@example.org")
    other = world.person("alice+news@example.org")
    world.grant(person, made, text)
    letter(ctx, world, other.id, made)
    token = fresh_link(ctx, person)
    assert only(ctx, token).got == 1
    assert see_room(ctx, token).others == 1


def test_a_room_opens_by_a_fresh_link_alone(ctx: Context, world: World) -> None:
    made, _ = world.topic()
    person = agreed(ctx)
    ref = letter(ctx, world, person.id, made)
    for purpose in set(Purpose) - {Purpose.RIGHTS}:
        with pytest.raises(TokenError):
            see_room(ctx, ctx.tokens.issue(purpose, ref, world.now))
    token = fresh_link(ctx, person)
    later(ctx, 1800)
    for look in (see_room, lambda ctx, token: act(ctx, token, Act.STOP)):
        with pytest.raises(TokenExpiredError):
            look(ctx, token)
    assert state_of(ctx) == "granted"


def test_stop_pause_and_back_are_events_with_receipts_and_entries(ctx: Context, world: World) -> None:
    world.topic()
    token = fresh_link(ctx, agreed(ctx))
    states = []
    until = now(ctx) + 30 * DAY
    for what in (Act.STOP, Act.RESTORE, Act.PAUSE, Act.RESUME):
        assert act(ctx, token, what, until=until if what is Act.PAUSE else None) == 1
        states.append(state_of(ctx))
        assert act(ctx, token, what, until=until if what is Act.PAUSE else None) == 0  # twice is once
    assert states == ["withdrawn", "granted", "paused", "granted"]
    _, receipts = see_receipts(ctx, token)
    assert [line.event for line in receipts] == ["resumed", "paused", "restored", "withdrawn", "confirmed"]
    assert {view_receipt(ctx, line.token).receipt.how for line in receipts[:4]} == {"fresh-link"}
    with ctx.db.reading() as conn:
        actors = conn.execute(select(audit_entry.c.actor).where(audit_entry.c.kind == "consent.withdrawn")).scalars()
        assert list(actors) == ["recipient:room"]


def test_a_stop_of_what_was_paused_comes_back_paused(ctx: Context, world: World) -> None:
    world.topic()
    token = fresh_link(ctx, agreed(ctx))
    act(ctx, token, Act.PAUSE, until=now(ctx) + 30 * DAY)
    act(ctx, token, Act.STOP)
    act(ctx, token, Act.RESTORE)
    found = only(ctx, token)
    assert found.state == "paused"
    assert found.paused_until is not None


def test_what_did_not_end_by_their_own_stop_cannot_be_taken_back(ctx: Context, world: World) -> None:
    made, text = world.topic()
    person = world.person(ALICE)
    world.grant(person, made, text, state="withdrawn")  # an import brought it so: no stop of theirs is known
    token = fresh_link(ctx, person)
    assert not only(ctx, token).can_restore
    with pytest.raises(ConflictError):
        act(ctx, token, Act.RESTORE)
    assert state_of(ctx) == "withdrawn"


def test_a_stop_is_not_taken_back_once_the_topic_is_closed_or_the_consent_ran_out(ctx: Context, world: World) -> None:
    world.topic()
    token = fresh_link(ctx, agreed(ctx))
    act(ctx, token, Act.STOP)
    assert only(ctx, token).can_restore
    with ctx.db.transaction() as conn:
        conn.execute(update(consent).values(expires=world.now - 1))
    assert not only(ctx, token).can_restore
    with ctx.db.transaction() as conn:
        conn.execute(update(consent).values(expires=None))
        conn.execute(update(topic).values(closed=world.now))
    assert not only(ctx, token).can_restore


def test_an_own_cap_is_below_the_promise_and_can_be_taken_back(ctx: Context, world: World) -> None:
    world.topic(cap_n=2)
    token = fresh_link(ctx, agreed(ctx))
    for cap in (Cap(2, WEEK), Cap(3, WEEK), Cap(1, 86_400)):
        with pytest.raises(InvalidInputError):
            act(ctx, token, Act.CAP, cap=cap)
    assert only(ctx, token).own is None
    assert all(cap.n / cap.window < 2 / WEEK for cap in only(ctx, token).lower)
    act(ctx, token, Act.CAP, cap=Cap(1, 30 * 86_400))
    act(ctx, token, Act.CAP, cap=Cap(1, WEEK))  # higher than before, and still below the promise
    assert only(ctx, token).own == Cap(1, WEEK)
    act(ctx, token, Act.CAP, cap=None)
    assert only(ctx, token).own is None


def test_a_lowered_cap_withholds_the_surplus_at_once_and_keeps_the_first(ctx: Context, world: World) -> None:
    made, _ = world.topic(cap_n=3)
    person = agreed(ctx)
    for place in range(3):
        letter(
            ctx, world, person.id, made, state="planned", counted=None, settled=None, planned=world.now + place * SECOND
        )
    act(ctx, fresh_link(ctx, person), Act.CAP, cap=Cap(1, WEEK))
    with ctx.db.reading() as conn:
        query = select(message.c.state, message.c.reason).where(message.c.origin == "campaign").order_by(message.c.id)
        assert [tuple(row) for row in conn.execute(query)] == [("planned", None)] + [("withheld", "cap_own")] * 2


def test_stopping_everything_stops_every_topic_and_answers_open_questions_no(ctx: Context, world: World) -> None:
    world.topic()
    world.topic()
    person = agreed(ctx)
    asked(ctx, ALICE, "topic-2")
    token = fresh_link(ctx, person)
    was = press(ctx, token, None, Press(Act.STOP), CLIENT)
    assert [one.state for one in was] == ["granted"]
    assert state_of(ctx, "topic-1") == "withdrawn"
    assert count(ctx, confirmation, confirmation.c.answer == "declined") == 1
    press(ctx, token, [one.topic for one in was], Press(Act.RESTORE), CLIENT)
    assert state_of(ctx, "topic-1") == "granted"


def test_nobody_reaches_anothers_topics(ctx: Context, world: World) -> None:
    world.topic()
    agreed(ctx)
    stranger = fresh_link(ctx, world.person("bob@example.org"))
    with pytest.raises(NotFoundError):
        see_topic(ctx, stranger, topic_ref(ctx))
    with pytest.raises(NotFoundError):
        act(ctx, stranger, Act.STOP)
    assert press(ctx, stranger, None, Press(Act.STOP), CLIENT) == ()
    assert state_of(ctx) == "granted"
