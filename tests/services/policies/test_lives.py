"""Retention and expiry as policies: how long proof is kept at most, and how long a consent lives at most."""

import pytest
from sqlalchemy import select, update

from outreach.domain.actors import RECIPIENT, Actor
from outreach.domain.consent import Event
from outreach.domain.policies import Name
from outreach.services.consents import apply_event
from outreach.services.context import Context
from outreach.store import leaving
from outreach.store.schema.consents import consent, topic
from tests.factories import World
from tests.services.people import move_clock
from tests.services.policies.acting import DAY, DAY_US, change, clock, officer


@pytest.fixture
def ada(world: World) -> Actor:
    return officer(world)


def ended(world: World, days: int = 365) -> int:
    """Somebody whose consent ended now, under a topic that keeps proof for so many days."""
    made, text = world.topic()
    with world.ctx.db.transaction() as conn:
        conn.execute(update(topic).where(topic.c.id == made).values(retention_days=days))
    person = world.person()
    world.grant(person, made, text, state="withdrawn")
    with world.ctx.db.transaction() as conn:
        since = {"since": world.ctx.db.now(conn)}
        conn.execute(update(consent).where(consent.c.contact == person.id).values(since))
    return person.id


def gone(ctx: Context) -> set[int]:
    with ctx.db.reading() as conn:
        return set(leaving.long_ended(conn, ctx.db.now(conn), 0, 1000, limit=100))


def test_a_shorter_policy_counts_at_once_and_a_topics_own_if_shorter_still(
    ctx: Context, world: World, ada: Actor
) -> None:
    long, short = ended(world, 365), ended(world, 10)
    change(ctx, ada, Name.RETENTION, {"most_days": 30})
    move_clock(ctx, 11 * DAY)
    assert gone(ctx) == {short}
    move_clock(ctx, 31 * DAY)
    assert gone(ctx) == {long, short}


def test_whose_consent_ended_under_a_shorter_policy_keeps_that(ctx: Context, world: World, ada: Actor) -> None:
    change(ctx, ada, Name.RETENTION, {"most_days": 30})
    before = ended(world)
    move_clock(ctx, DAY)
    change(ctx, ada, Name.RETENTION, {"most_days": 300})
    after = ended(world)
    move_clock(ctx, 32 * DAY)
    assert gone(ctx) == {before}
    move_clock(ctx, 302 * DAY)
    assert gone(ctx) == {before, after}


def granted(ctx: Context, world: World, days: int | None) -> int | None:
    """When a consent given now expires, under a topic of so many days; None: never."""
    made, text = world.topic()
    person = world.person()
    with ctx.db.transaction() as conn:
        conn.execute(update(topic).where(topic.c.id == made).values(expires_days=days))
        now = ctx.db.now(conn)
        for event in (Event.REQUESTED, Event.CONFIRMED):
            apply_event(
                conn,
                ctx,
                now,
                actor=RECIPIENT,
                contact_id=person.id,
                topic_id=made,
                event=event,
                text_id=text,
            )
        expires = conn.execute(select(consent.c.expires).where(consent.c.contact == person.id)).scalar_one()
        return None if expires is None else round((expires - now) / DAY_US)


def test_no_consent_lives_longer_than_the_policy_lets_it(ctx: Context, world: World, ada: Actor) -> None:
    assert (granted(ctx, world, None), granted(ctx, world, 700)) == (None, 700)
    change(ctx, ada, Name.EXPIRY, {"most_days": 365}, start=clock(ctx) + DAY_US)
    assert granted(ctx, world, None) is None, "it has not begun"
    move_clock(ctx, DAY + 60)
    assert [granted(ctx, world, days) for days in (None, 700, 90)] == [365, 365, 90]
