"""What marketers do with a campaign: the path from draft to sent, what is refused, and what the log says."""

import json
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from sqlalchemy import func, insert, select, update

from outreach.domain.actors import RECIPIENT, Actor, Role
from outreach.domain.campaign import Segment
from outreach.domain.consent import Event
from outreach.domain.errors import ConflictError, InvalidInputError, NotAllowedError, NotFoundError
from outreach.pipeline.plan import begin_due, finish_campaigns, plan_next
from outreach.services import campaigns
from outreach.services.campaigns import NewCampaign, Timing, Words
from outreach.services.consents import apply_event
from outreach.services.context import Context
from outreach.services.seal import seal
from outreach.services.verify import verify
from outreach.store import campaigns as rows
from outreach.store import unfinished
from outreach.store.campaigns import Campaign
from outreach.store.schema.audit import audit_entry, audit_pending
from outreach.store.schema.campaigns import batch, campaign, content, message
from outreach.store.schema.consents import topic
from outreach.store.schema.organisation import staff
from tests.factories import World

WORDS = Words(
    name="Roses", subject="Pruning, {{ first_name }}", preheader="Before frost", body="Dear {{ first_name }},"
)


@pytest.fixture
def alice(world: World) -> Actor:
    """A marketer."""
    return Actor("staff:a11ce0", frozenset({Role.MARKETER}), world.staff("marketer"))


@pytest.fixture
def bob(world: World) -> Actor:
    """Another marketer."""
    return Actor("staff:b0b", frozenset({Role.MARKETER}), world.staff("marketer"))


def topic_ref(ctx: Context, topic_id: int) -> bytes:
    with ctx.db.reading() as conn:
        return bytes(conn.execute(select(topic.c.ref).where(topic.c.id == topic_id)).scalar_one())


def found(ctx: Context, ref: bytes) -> Campaign:
    with ctx.db.reading() as conn:
        one = rows.find_campaign(conn, ref)
    assert one is not None
    return one


def written(ctx: Context, actor: Actor, topic_id: int) -> bytes:
    """A draft with words."""
    new = NewCampaign(name="Roses", topic=topic_ref(ctx, topic_id), kind="informational")
    ref = campaigns.create_campaign(ctx, actor, new)
    campaigns.edit_words(ctx, actor, ref, WORDS)
    return ref


def entries(ctx: Context, kind: str) -> list[dict[str, Any]]:
    with ctx.db.reading() as conn:
        found = conn.execute(select(audit_entry).where(audit_entry.c.kind == kind).order_by(audit_entry.c.id))
        return [{**row._mapping, "body": json.loads(row.body)} for row in found]


@pytest.fixture
def garden(world: World) -> int:
    """A topic one person agreed to."""
    topic_id, text_id = world.topic()
    world.grant(world.person(), topic_id, text_id)
    return topic_id


def test_a_campaign_from_draft_to_scheduled(ctx: Context, alice: Actor, garden: int) -> None:
    ref = written(ctx, alice, garden)
    done = campaigns.schedule_campaign(ctx, alice, ref, Timing())
    one = found(ctx, ref)
    assert (done.now, done.later) == (1, 0)
    assert (one.stand.state, one.due) == ("scheduled", done.due)
    with ctx.db.reading() as conn:
        frozen = conn.execute(select(content).where(content.c.id == one.content)).one()
    assert (frozen.version, frozen.subject) == (1, "Pruning, {{ first_name }}")
    [entry] = entries(ctx, "campaign.scheduled")
    assert entry["campaign"] == ref
    assert entry["topic"] == topic_ref(ctx, garden)
    assert entry["actor"] == alice.name
    assert entry["body"]["content"] == frozen.sha256.hex()
    assert (entry["body"]["now"], entry["body"]["due"]) == (1, done.due)


def test_service_mail_is_scheduled_by_somebody_who_is_an_officer_too(ctx: Context, alice: Actor, world: World) -> None:
    topic_id, text_id = world.topic(kinds="informational,service")
    world.grant(world.person(), topic_id, text_id, kinds="informational,service")
    ref = written(ctx, alice, topic_id)
    campaigns.edit_audience(ctx, alice, ref, Segment(), "service")
    before = found(ctx, ref)
    with pytest.raises(NotAllowedError, match="draft was kept"):
        campaigns.schedule_campaign(ctx, alice, ref, Timing())
    assert found(ctx, ref) == before
    both = Actor("staff:b07b", frozenset({Role.MARKETER, Role.OFFICER}), world.staff("marketer,officer"))
    campaigns.schedule_campaign(ctx, both, ref, Timing())
    [entry] = entries(ctx, "campaign.scheduled")
    assert (entry["body"]["kind"], entry["body"]["approved_by"]) == ("service", both.name)
    campaigns.pause_campaign(ctx, alice, ref)
    campaigns.resume_campaign(ctx, alice, ref)
    assert found(ctx, ref).stand.state == "scheduled"


def test_other_mail_names_no_approval(ctx: Context, alice: Actor, garden: int) -> None:
    both = Actor("staff:b07b", frozenset({Role.MARKETER, Role.OFFICER}), alice.staff_id)
    campaigns.schedule_campaign(ctx, both, written(ctx, alice, garden), Timing())
    [entry] = entries(ctx, "campaign.scheduled")
    assert "approved_by" not in entry["body"]


def test_only_marketers_act(ctx: Context, alice: Actor, garden: int) -> None:
    ref = written(ctx, alice, garden)
    officer = Actor("staff:0ff1ce", frozenset({Role.OFFICER}), alice.staff_id)
    new = NewCampaign(name="Roses", topic=topic_ref(ctx, garden), kind="informational")
    with pytest.raises(NotAllowedError):
        campaigns.create_campaign(ctx, officer, new)
    for act in (campaigns.pause_campaign, campaigns.cancel_campaign, campaigns.copy_campaign):
        with pytest.raises(NotAllowedError):
            act(ctx, officer, ref)


def test_an_unknown_campaign_is_not_found(ctx: Context, alice: Actor) -> None:
    with pytest.raises(NotFoundError):
        campaigns.pause_campaign(ctx, alice, bytes(16))


def test_the_kind_must_stand_in_the_topics_text(ctx: Context, world: World, alice: Actor) -> None:
    topic_id, _text = world.topic(kinds="informational")
    new = NewCampaign(name="Sale", topic=topic_ref(ctx, topic_id), kind="promotional")
    with pytest.raises(InvalidInputError, match="only informational mail") as caught:
        campaigns.create_campaign(ctx, alice, new)
    assert caught.value.field == "kind"


def test_only_the_newest_text_counts_for_the_kind(ctx: Context, world: World, alice: Actor) -> None:
    topic_id, _text = world.topic(kinds="informational,promotional")
    world.text(topic_id, version=2, kinds="informational")
    new = NewCampaign(name="Sale", topic=topic_ref(ctx, topic_id), kind="promotional")
    with pytest.raises(InvalidInputError):
        campaigns.create_campaign(ctx, alice, new)


def test_a_text_narrowed_after_writing_stops_the_scheduling(ctx: Context, world: World, alice: Actor) -> None:
    topic_id, text_id = world.topic()
    world.grant(world.person(), topic_id, text_id)
    new = NewCampaign(name="Sale", topic=topic_ref(ctx, topic_id), kind="promotional")
    ref = campaigns.create_campaign(ctx, alice, new)
    campaigns.edit_words(ctx, alice, ref, WORDS)
    world.text(topic_id, version=2, kinds="informational")
    with pytest.raises(InvalidInputError):
        campaigns.schedule_campaign(ctx, alice, ref, Timing())
    assert found(ctx, ref).stand.state == "draft"


def test_scheduling_for_nobody_stops_and_says_what_would_help(ctx: Context, world: World, alice: Actor) -> None:
    topic_id, text_id = world.topic()
    world.grant(world.person(), topic_id, text_id, state="withdrawn")
    ref = written(ctx, alice, topic_id)
    with pytest.raises(ConflictError, match=r"Nobody would get this.*draft was kept.*sign-up page"):
        campaigns.schedule_campaign(ctx, alice, ref, Timing(priority=3))
    one = found(ctx, ref)
    assert (one.stand.state, one.content, one.priority) == ("draft", None, 3)
    assert entries(ctx, "campaign.scheduled") == []


def test_a_campaign_without_words_is_not_scheduled(ctx: Context, alice: Actor, garden: int) -> None:
    new = NewCampaign(name="Roses", topic=topic_ref(ctx, garden), kind="informational")
    ref = campaigns.create_campaign(ctx, alice, new)
    with pytest.raises(InvalidInputError):
        campaigns.schedule_campaign(ctx, alice, ref, Timing())
    assert found(ctx, ref).stand.state == "draft"


def test_a_time_gone_by_is_refused(ctx: Context, alice: Actor, garden: int) -> None:
    ref = written(ctx, alice, garden)
    with pytest.raises(InvalidInputError, match="has passed"):
        campaigns.schedule_campaign(ctx, alice, ref, Timing(local="2020-01-01T08:00"))


def test_a_time_is_kept_with_its_zone(ctx: Context, alice: Actor, garden: int) -> None:
    ref = written(ctx, alice, garden)
    year = datetime.now(UTC).year + 1
    timing = Timing(local=f"{year}-07-01T08:00", zone="Europe/Stockholm", later_until=f"{year}-07-20")
    due = campaigns.schedule_campaign(ctx, alice, ref, timing).due
    one = found(ctx, ref)
    assert datetime.fromtimestamp(due / 1e6, UTC) == datetime(year, 7, 1, 6, tzinfo=UTC)
    assert one.zone == "Europe/Stockholm"
    assert one.later_until is not None
    assert datetime.fromtimestamp(one.later_until / 1e6, UTC) == datetime(year, 7, 19, 22, tzinfo=UTC)


def test_later_must_come_after_now(ctx: Context, alice: Actor, garden: int) -> None:
    ref = written(ctx, alice, garden)
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date().isoformat()
    with pytest.raises(InvalidInputError) as caught:
        campaigns.schedule_campaign(ctx, alice, ref, Timing(later_until=yesterday))
    assert caught.value.field == "later_until"


@pytest.mark.parametrize("priority", [0, 10, -1])
def test_priority_is_one_to_nine(ctx: Context, alice: Actor, garden: int, priority: int) -> None:
    ref = written(ctx, alice, garden)
    with pytest.raises(InvalidInputError):
        campaigns.edit_timing(ctx, alice, ref, Timing(priority=priority))


def test_a_scheduled_campaign_is_edited_only_after_taking_it_back(ctx: Context, alice: Actor, garden: int) -> None:
    ref = written(ctx, alice, garden)
    campaigns.schedule_campaign(ctx, alice, ref, Timing())
    with pytest.raises(ConflictError, match="back to a draft"):
        campaigns.edit_words(ctx, alice, ref, WORDS)
    with pytest.raises(ConflictError):
        campaigns.edit_audience(ctx, alice, ref, Segment(("sv",)))
    campaigns.unschedule_campaign(ctx, alice, ref)
    campaigns.edit_words(ctx, alice, ref, Words(name="Roses", subject="Anew", preheader="", body="Hello"))
    campaigns.schedule_campaign(ctx, alice, ref, Timing())
    with ctx.db.reading() as conn:
        versions = conn.execute(select(content.c.version, content.c.subject).order_by(content.c.version)).all()
    assert [tuple(row) for row in versions] == [(1, WORDS.subject), (2, "Anew")]


def test_unchanged_words_are_one_version(ctx: Context, alice: Actor, garden: int) -> None:
    ref = written(ctx, alice, garden)
    for _ in range(2):
        campaigns.schedule_campaign(ctx, alice, ref, Timing())
        campaigns.unschedule_campaign(ctx, alice, ref)
    with ctx.db.reading() as conn:
        assert conn.execute(select(func.count()).select_from(content)).scalar_one() == 1


def test_a_segment_is_kept_as_checked_json(ctx: Context, alice: Actor, garden: int) -> None:
    ref = written(ctx, alice, garden)
    segment = Segment(("en", "sv"), 5, 9)
    campaigns.edit_audience(ctx, alice, ref, segment)
    assert found(ctx, ref).segment == segment


def test_words_that_cannot_work_are_refused_by_field(ctx: Context, alice: Actor, garden: int) -> None:
    ref = written(ctx, alice, garden)
    with pytest.raises(InvalidInputError) as caught:
        campaigns.edit_words(
            ctx, alice, ref, Words(name="Roses", subject="{{ x", preheader="", body="{% include 'x' %}")
        )
    assert caught.value.field in {"subject", "body"}
    assert found(ctx, ref).subject == WORDS.subject


def test_pausing_and_resuming(ctx: Context, alice: Actor, bob: Actor, garden: int) -> None:
    ref = written(ctx, alice, garden)
    campaigns.schedule_campaign(ctx, alice, ref, Timing())
    campaigns.pause_campaign(ctx, bob, ref)
    assert found(ctx, ref).stand.resumes_to == "scheduled"
    with pytest.raises(ConflictError, match="is paused, so it cannot be paused"):
        campaigns.pause_campaign(ctx, bob, ref)
    campaigns.resume_campaign(ctx, alice, ref)
    assert found(ctx, ref).stand.state == "scheduled"
    assert [entry["actor"] for entry in entries(ctx, "campaign.paused")] == [bob.name]


def test_a_disabled_authors_campaign_waits_to_be_adopted(ctx: Context, alice: Actor, bob: Actor, garden: int) -> None:
    ref = written(ctx, alice, garden)
    campaigns.schedule_campaign(ctx, alice, ref, Timing())
    with pytest.raises(ConflictError, match="still has its author"):
        campaigns.adopt_campaign(ctx, bob, ref)
    campaigns.pause_campaign(ctx, bob, ref)
    with ctx.db.transaction() as conn:
        conn.execute(update(staff).where(staff.c.id == alice.staff_id).values(disabled=1))
    with pytest.raises(ConflictError, match="Adopt"):
        campaigns.resume_campaign(ctx, bob, ref)
    campaigns.adopt_campaign(ctx, bob, ref)
    campaigns.resume_campaign(ctx, bob, ref)
    one = found(ctx, ref)
    assert (one.author, one.stand.state) == (bob.staff_id, "scheduled")
    assert len(entries(ctx, "campaign.adopted")) == 1


def test_a_copy_is_a_new_draft_with_the_same_words(ctx: Context, alice: Actor, bob: Actor, garden: int) -> None:
    ref = written(ctx, alice, garden)
    campaigns.edit_audience(ctx, alice, ref, Segment(("sv",)))
    one = found(ctx, campaigns.copy_campaign(ctx, bob, ref))
    assert (one.name, one.subject, one.body) == ("Roses (copy)", WORDS.subject, WORDS.body)
    assert (one.stand.state, one.author, one.due) == ("draft", bob.staff_id, None)
    assert one.segment == Segment(("sv",))


def planned(ctx: Context, world: World, campaign_id: int, topic_id: int, states: list[str]) -> None:
    """Messages of a campaign, a person each, put straight into the table."""
    for number, state in enumerate(states):
        person = world.person()
        with ctx.db.transaction() as conn:
            conn.execute(
                insert(message).values(
                    ref=number.to_bytes(16, "big"),
                    origin="campaign",
                    kind="informational",
                    lane=f"5-campaign-{campaign_id}-other",
                    contact=person.id,
                    mailbox=person.mailbox,
                    campaign=campaign_id,
                    topic=topic_id,
                    state=state,
                    planned=world.now,
                    due=world.now,
                )
            )
    with ctx.db.transaction() as conn:
        in_hand = conn.execute(select(message.c.id).where(message.c.state == "attempted")).scalars().all()
        conn.execute(insert(batch).values(worker="w", lease=world.now, messages=json.dumps(list(in_hand))))


def message_states(ctx: Context) -> list[tuple[str, str | None]]:
    with ctx.db.reading() as conn:
        found = conn.execute(select(message.c.state, message.c.reason).order_by(message.c.ref))
        return [(row.state, row.reason) for row in found]


def test_cancelling_withholds_the_rest_and_logs_each(
    ctx: Context, world: World, alice: Actor, garden: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unfinished, "SLICE", 2)
    campaign_id = world.campaign(garden)
    planned(ctx, world, campaign_id, garden, ["sent", "planned", "waiting", "planned", "planned", "failed", "planned"])
    with ctx.db.reading() as conn:
        ref = conn.execute(select(campaign.c.ref).where(campaign.c.id == campaign_id)).scalar_one()
    campaigns.cancel_campaign(ctx, alice, ref)
    assert len(entries(ctx, "message.withheld")) == 2
    assert found(ctx, ref).finished is None
    assert campaigns.sweep_cancelled(ctx) == 3
    assert campaigns.sweep_cancelled(ctx) == 0
    gone = ("withheld", "cancelled")
    assert message_states(ctx) == [("sent", None), gone, gone, gone, gone, ("failed", None), gone]
    logged = entries(ctx, "message.withheld")
    assert {entry["message"] for entry in logged} == {number.to_bytes(16, "big") for number in (1, 2, 3, 4, 6)}
    assert {(entry["campaign"], entry["topic"]) for entry in logged} == {(ref, topic_ref(ctx, garden))}
    assert all(entry["body"] == {"reason": "cancelled", "state": "withheld"} for entry in logged)
    assert len({entry["nonce"] for entry in logged}) == 5
    with ctx.db.reading() as conn:
        unsealed = select(func.count()).select_from(audit_pending)
        every = select(func.count()).select_from(audit_entry)
        assert conn.execute(unsealed).scalar_one() == conn.execute(every).scalar_one()
    assert found(ctx, ref).finished is not None


def test_a_cancelled_campaign_is_watched_until_its_last_mail_in_hand_comes_back(
    ctx: Context, world: World, alice: Actor, garden: int
) -> None:
    campaign_id = world.campaign(garden)
    planned(ctx, world, campaign_id, garden, ["attempted", "planned"])
    with ctx.db.reading() as conn:
        ref = conn.execute(select(campaign.c.ref).where(campaign.c.id == campaign_id)).scalar_one()
    campaigns.cancel_campaign(ctx, alice, ref)
    assert message_states(ctx) == [("attempted", None), ("withheld", "cancelled")]
    assert found(ctx, ref).finished is None
    with ctx.db.transaction() as conn:
        conn.execute(update(message).where(message.c.state == "attempted").values(state="planned"))
    assert campaigns.sweep_cancelled(ctx) == 1
    assert found(ctx, ref).finished is not None


def test_no_log_entry_holds_words_or_names(ctx: Context, alice: Actor, garden: int) -> None:
    ref = written(ctx, alice, garden)
    campaigns.edit_audience(ctx, alice, ref, Segment(("en",)))
    campaigns.schedule_campaign(ctx, alice, ref, Timing())
    campaigns.cancel_campaign(ctx, alice, ref)
    with ctx.db.reading() as conn:
        bodies = " ".join(conn.execute(select(audit_entry.c.body)).scalars())
    assert "Pruning" not in bodies
    assert "Roses" not in bodies
    assert "@" not in bodies


def test_a_campaign_cancelled_between_planning_and_sending_leaves_a_log_that_agrees(
    ctx: Context, world: World, alice: Actor
) -> None:
    topic_id, text_id = world.topic()
    agreed = [world.person() for _ in range(7)]
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        about: dict[str, Any] = {"actor": RECIPIENT, "topic_id": topic_id, "text_id": text_id}
        for person, event in product(agreed, (Event.REQUESTED, Event.CONFIRMED)):
            apply_event(conn, ctx, now, contact_id=person.id, event=event, **about)
    ref = written(ctx, alice, topic_id)
    campaigns.schedule_campaign(ctx, alice, ref, Timing())
    assert begin_due(ctx) == 1
    while plan_next(ctx):
        pass
    assert [state for state, _reason in message_states(ctx)] == ["planned"] * 7
    campaigns.cancel_campaign(ctx, alice, ref)
    assert {row[1] for row in message_states(ctx)} == {"cancelled"}
    assert finish_campaigns(ctx) == 0
    while seal(ctx, 1):
        pass
    verdict = verify(ctx)
    assert verdict.is_clean, verdict.findings
    assert verdict.messages == 7
