"""Mails of unknown outcome: grouped by cause with what is on record, ruled on as a group, never sent again."""

import json
from typing import Any

import pytest
from sqlalchemy import delete, select

from outreach.domain.actors import Actor, Role
from outreach.domain.errors import InvalidInputError, NotAllowedError, NotFoundError
from outreach.services.context import Context
from outreach.services.officer.unknown import Ruling, rule_on_group, see_group, see_unknown
from outreach.services.verify import verify
from outreach.store import tally
from outreach.store.messages import Ended, add_attempts, due_express
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.campaigns import message
from outreach.store.schema.people import contact_key
from outreach.store.unknown import count_waiting
from tests.counting import standing
from tests.factories import World
from tests.services.unknown_mails import SILENCE, lost_in_the_air

OFFICER = Actor("staff:" + "0" * 32, frozenset({Role.OFFICER}))
MARKETER = Actor("staff:" + "1" * 32, frozenset({Role.MARKETER}))
REASON = "the relay's log has all of them"


def rows(ctx: Context) -> list[tuple[str, str | None, int | None]]:
    with ctx.db.reading() as conn:
        query = select(message.c.state, message.c.reason, message.c.counted).order_by(message.c.id)
        return [tuple(row) for row in conn.execute(query)]


def entries(ctx: Context, kind: str) -> list[Any]:
    with ctx.db.reading() as conn:
        return list(conn.execute(select(audit_entry).where(audit_entry.c.kind == kind).order_by(audit_entry.c.id)))


def people(world: World, count: int) -> list[Any]:
    return [world.person() for _ in range(count)]


def test_what_failed_together_stands_together_with_what_is_on_record(ctx: Context, world: World) -> None:
    topic, _ = world.topic()
    plan = world.campaign(topic)
    lost_in_the_air(ctx, people(world, 3), campaign=plan, topic=topic, ago=300)
    lost_in_the_air(ctx, people(world, 2), campaign=plan, topic=topic, ago=290)
    lost_in_the_air(ctx, people(world, 1), campaign=plan, topic=topic, ago=100)
    lost_in_the_air(ctx, people(world, 1), campaign=plan, topic=topic, ago=100, reply="Connection reset by peer")
    lost_in_the_air(ctx, people(world, 1), ago=100)
    with ctx.db.transaction() as conn:
        add_attempts(conn, [Ended(10_000, 1, 1, "w1", 2, outcome, 250, "ok") for outcome in ("sent", "sent", "failed")])
    waiting = see_unknown(ctx, OFFICER)
    assert [(one.count, one.relay, one.words) for one in waiting.groups] == [
        (5, "main", SILENCE),
        (1, "main", SILENCE),
        (1, "main", "Connection reset by peer"),
        (1, "", SILENCE),
    ]
    first = see_group(ctx, OFFICER, waiting.groups[0].key)
    assert first.about == (("Pruning roses", 5),)
    assert dict(first.neighbours) == {"sent": 2, "failed": 1, "unknown": 3}
    assert first.workers == 1
    assert first.mails[0].message_id.endswith("@northfield.example")
    assert (waiting.left, waiting.is_cut) == ((), False)


def test_mails_of_one_sender_that_went_by_two_relays_are_two_groups(ctx: Context, world: World) -> None:
    topic, _ = world.topic()
    for relay in ("north", "south"):
        lost_in_the_air(ctx, people(world, 2), topic=topic, relay=relay)
    assert sorted((one.relay, one.count) for one in see_unknown(ctx, OFFICER).groups) == [("north", 2), ("south", 2)]


def test_a_group_that_arrived_is_sent_and_keeps_its_place_under_the_caps(ctx: Context, world: World) -> None:
    topic, _ = world.topic()
    plan = world.campaign(topic)
    lost_in_the_air(ctx, people(world, 2), campaign=plan, topic=topic)
    (group,) = see_unknown(ctx, OFFICER).groups
    assert rule_on_group(ctx, OFFICER, group.key, Ruling.ARRIVED, REASON) == 2
    assert {(state, reason) for state, reason, _ in rows(ctx)} == {("sent", None)}
    assert all(counted is not None for _, _, counted in rows(ctx))
    with ctx.db.reading() as conn:
        found = {count: n for count, n in tally.totals(conn, plan).items() if n}
        assert found == standing(conn, plan) == {("sent", None): 2}
    (act,) = entries(ctx, "unknown.ruled")
    assert act.actor == OFFICER.name
    assert json.loads(act.body) == {"ruling": "arrived", "mails": 2, "group": group.key.hex(), "reason": REASON}
    assert [(one.actor, json.loads(one.body)["ruled"]) for one in entries(ctx, "message.sent")] == [
        (OFFICER.name, "arrived")
    ] * 2
    assert see_unknown(ctx, OFFICER).groups == ()


def test_a_group_that_was_lost_is_failed_for_good_and_never_sent_again(ctx: Context, world: World) -> None:
    topic, words = world.topic()
    plan = world.campaign(topic)
    person = world.person()
    world.grant(person, topic, words)
    lost_in_the_air(ctx, [person], campaign=plan, topic=topic)
    (group,) = see_unknown(ctx, OFFICER).groups
    rule_on_group(ctx, OFFICER, group.key, Ruling.LOST, REASON)
    assert rows(ctx) == [("failed", "lost", None)]
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        assert due_express(conn, now) == []
        assert conn.execute(select(message.c.id).where(message.c.queue.is_not(None))).first() is None


def test_a_group_may_be_left_and_ruled_on_later(ctx: Context, world: World) -> None:
    lost_in_the_air(ctx, people(world, 2))
    (group,) = see_unknown(ctx, OFFICER).groups
    rule_on_group(ctx, OFFICER, group.key, Ruling.LEFT, "the relay keeps no log that old")
    waiting = see_unknown(ctx, OFFICER)
    assert waiting.groups == ()
    assert [one.key for one in waiting.left] == [group.key]
    assert {state for state, _, _ in rows(ctx)} == {"unknown"}
    rule_on_group(ctx, OFFICER, group.key, Ruling.ARRIVED, REASON)
    assert {state for state, _, _ in rows(ctx)} == {"sent"}
    assert see_unknown(ctx, OFFICER).left == ()


def test_the_log_still_verifies_after_a_ruling(ctx: Context, world: World) -> None:
    lost_in_the_air(ctx, people(world, 2), ago=300)
    lost_in_the_air(ctx, people(world, 2), ago=10)
    first, second = see_unknown(ctx, OFFICER).groups
    rule_on_group(ctx, OFFICER, first.key, Ruling.ARRIVED, REASON)
    rule_on_group(ctx, OFFICER, second.key, Ruling.LOST, REASON)
    assert verify(ctx).findings == ()


def test_a_ruling_holds_for_just_the_mails_that_were_shown(ctx: Context, world: World) -> None:
    lost_in_the_air(ctx, people(world, 2), ago=50)
    (group,) = see_unknown(ctx, OFFICER).groups
    lost_in_the_air(ctx, people(world, 1), ago=50)
    with pytest.raises(NotFoundError):
        rule_on_group(ctx, OFFICER, group.key, Ruling.ARRIVED, REASON)
    assert {state for state, _, _ in rows(ctx)} == {"unknown"}


def test_of_the_erased_nothing_more_is_asked_or_written(ctx: Context, world: World) -> None:
    person = world.person()
    lost_in_the_air(ctx, [person])
    with ctx.db.transaction() as conn:
        assert count_waiting(conn) == 1
        conn.execute(delete(contact_key).where(contact_key.c.contact == person.id))
        assert count_waiting(conn) == 0
    assert see_unknown(ctx, OFFICER).groups == ()


@pytest.mark.parametrize(("ruling", "reason", "field"), [("resend", REASON, "ruling"), ("arrived", "sure", "reason")])
def test_a_ruling_is_one_of_three_and_has_a_reason(
    ctx: Context, world: World, ruling: str, reason: str, field: str
) -> None:
    lost_in_the_air(ctx, people(world, 1))
    (group,) = see_unknown(ctx, OFFICER).groups
    with pytest.raises(InvalidInputError) as caught:
        rule_on_group(ctx, OFFICER, group.key, ruling, reason)
    assert caught.value.field == field
    assert rows(ctx)[0][0] == "unknown"
    assert entries(ctx, "unknown.ruled") == []


def test_only_an_officer_sees_and_rules(ctx: Context) -> None:
    for attempt in (
        lambda: see_unknown(ctx, MARKETER),
        lambda: see_group(ctx, MARKETER, b"x" * 16),
        lambda: rule_on_group(ctx, MARKETER, b"x" * 16, Ruling.LEFT, REASON),
    ):
        with pytest.raises(NotAllowedError):
            attempt()
