"""Campaigns over N people: held until a second yes, never planned beyond it, whatever happens to audience and rules."""

import pytest
from sqlalchemy import select

from outreach.domain.actors import Actor, Role
from outreach.domain.campaign import Segment
from outreach.domain.errors import ConflictError
from outreach.domain.policies import Name, defaults
from outreach.pipeline import plan
from outreach.services import campaigns
from outreach.services.campaign_pages import see_campaign
from outreach.services.campaigns import NewCampaign, Timing, Words
from outreach.services.policies.approvals import approve, decline, see_request, settle_due
from outreach.services.policies.asking import WaitsError
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import topic as topics
from tests.factories import World
from tests.pipeline.conftest import Line
from tests.services.policies.acting import entries, officer

WORDS = Words(name="Roses", subject="Pruning", preheader="Before frost", body="Dear {{ first_name }},")
OVER = 3


@pytest.fixture
def line(world: World) -> Line:
    world.policy(Name.APPROVALS, {**defaults(Name.APPROVALS), "campaign_over": OVER})
    return Line(world)


@pytest.fixture
def alice(world: World) -> Actor:
    """A marketer."""
    return officer(world, "marketer")


@pytest.fixture
def bob(world: World) -> Actor:
    return officer(world)


class Garden:
    """A topic with so many people."""

    def __init__(self, world: World, people: int) -> None:
        self.world = world
        self.topic, self.text = world.topic(cap_n=9)
        self.grow(people)

    def grow(self, people: int) -> None:
        for _ in range(people):
            self.world.grant(self.world.person(), self.topic, self.text, cap_n=9)

    def draft(self, actor: Actor) -> bytes:
        with self.world.ctx.db.reading() as conn:
            ref = conn.execute(select(topics.c.ref).where(topics.c.id == self.topic)).scalar_one()
        made = campaigns.create_campaign(self.world.ctx, actor, NewCampaign(name="x", topic=ref, kind="informational"))
        campaigns.edit_words(self.world.ctx, actor, made, WORDS)
        return made

    def scheduled(self, actor: Actor) -> tuple[bytes, bytes]:
        """(campaign, the request about it)."""
        ref = self.draft(actor)
        waits = campaigns.schedule_campaign(self.world.ctx, actor, ref, Timing()).waits
        assert waits is not None
        return ref, waits.ref


def sent(line: Line) -> int:
    with line.ctx.db.reading() as conn:
        return len(conn.execute(select(message.c.id).where(message.c.state == "sent")).all())


def go(line: Line) -> int:
    """Everything the engine does; how many mails have gone."""
    settle_due(line.ctx)
    line.plan()
    line.rounds()
    return sent(line)


def test_a_small_campaign_asks_nobody(line: Line, world: World, alice: Actor, bob: Actor) -> None:
    ref = Garden(world, OVER).draft(alice)
    assert campaigns.schedule_campaign(line.ctx, alice, ref, Timing()).waits is None
    assert go(line) == OVER


def test_a_large_one_waits_for_an_officer_and_says_so(line: Line, world: World, alice: Actor, bob: Actor) -> None:
    ref, asked = Garden(world, OVER + 1).scheduled(alice)
    assert go(line) == 0
    seen = see_campaign(line.ctx, alice, ref)
    assert (seen.state, seen.is_starting) == ("scheduled", False)
    assert seen.asked is not None and seen.asked.state == "asked"
    evidence = see_request(line.ctx, bob, asked)
    assert (evidence.subject, evidence.words) == ("Pruning", WORDS.body)
    assert evidence.asked.body["shown"] == {"reaches": OVER + 1, "later": 0, "over": OVER}
    approve(line.ctx, bob, asked)
    assert go(line) == OVER + 1
    assert entries(line.ctx, "approval.approved")[0]["campaign"] == ref


def test_a_declined_one_never_begins(line: Line, world: World, alice: Actor, bob: Actor) -> None:
    ref, asked = Garden(world, OVER + 1).scheduled(alice)
    decline(line.ctx, bob, asked, "the subject promises too much")
    assert go(line) == 0
    seen = see_campaign(line.ctx, alice, ref)
    assert seen.asked is not None and seen.asked.words == "the subject promises too much"


def test_other_words_need_another_yes(line: Line, world: World, alice: Actor, bob: Actor) -> None:
    ref, asked = Garden(world, OVER + 1).scheduled(alice)
    approve(line.ctx, bob, asked)
    campaigns.unschedule_campaign(line.ctx, alice, ref)
    campaigns.edit_words(line.ctx, alice, ref, Words(name="x", subject="Buy now", preheader="", body="Dear you"))
    again = campaigns.schedule_campaign(line.ctx, alice, ref, Timing()).waits
    assert again is not None and again.ref != asked
    assert go(line) == 0
    with pytest.raises(ConflictError):
        approve(line.ctx, bob, asked)
    approve(line.ctx, bob, again.ref)
    assert go(line) == OVER + 1


def test_even_the_same_words_are_asked_anew_once_taken_back(line: Line, world: World, alice: Actor, bob: Actor) -> None:
    ref, asked = Garden(world, OVER + 1).scheduled(alice)
    approve(line.ctx, bob, asked)
    campaigns.unschedule_campaign(line.ctx, alice, ref)
    campaigns.edit_audience(line.ctx, alice, ref, Segment())
    assert campaigns.schedule_campaign(line.ctx, alice, ref, Timing()).waits is not None
    assert go(line) == 0


def test_an_audience_that_grew_past_the_number_is_caught_as_it_is_planned(
    line: Line, world: World, alice: Actor, bob: Actor
) -> None:
    garden = Garden(world, OVER)
    ref = garden.draft(alice)
    campaigns.schedule_campaign(line.ctx, alice, ref, Timing())
    garden.grow(2)
    assert go(line) == 0
    seen = see_campaign(line.ctx, alice, ref)
    assert (seen.state, seen.pause_reason) == ("paused", "approval")
    with pytest.raises(WaitsError, match="stays paused") as caught:
        campaigns.resume_campaign(line.ctx, alice, ref)
    assert go(line) == 0
    approve(line.ctx, bob, caught.value.asked.ref)
    campaigns.resume_campaign(line.ctx, alice, ref)
    assert go(line) == OVER + 2


def test_an_approval_is_for_so_many_and_no_more(
    line: Line, world: World, alice: Actor, bob: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan, "FIRST_SLICE", 2)
    monkeypatch.setattr(plan, "SLICE", 2)
    monkeypatch.setattr(plan, "SLICE_ON_SQLITE", 2)
    garden = Garden(world, 10)
    ref, asked = garden.scheduled(alice)
    approve(line.ctx, bob, asked)
    garden.grow(10)
    assert go(line) <= 11
    assert see_campaign(line.ctx, alice, ref).pause_reason == "approval"
    with pytest.raises(WaitsError) as caught:
        campaigns.resume_campaign(line.ctx, alice, ref)
    approve(line.ctx, bob, caught.value.asked.ref)
    campaigns.resume_campaign(line.ctx, alice, ref)
    assert go(line) == 20


def test_alone_it_begins_after_a_day(line: Line, world: World) -> None:
    one = officer(world, "administrator,marketer,officer")
    assert one.roles == frozenset(Role)
    Garden(world, OVER + 1).scheduled(one)
    line.pass_hours(23)
    assert go(line) == 0
    line.pass_hours(2)
    assert go(line) == OVER + 1
