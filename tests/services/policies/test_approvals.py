"""A second yes: by another human, once, of exactly what was asked; and the day's delay where there is nobody else."""

from typing import Any

import pytest
from sqlalchemy import update

from outreach.domain.actors import Actor, Role
from outreach.domain.errors import ConflictError, InvalidInputError, NotAllowedError, NotFoundError
from outreach.domain.policies import Name, defaults, of_caps
from outreach.services.context import Context
from outreach.services.policies import approvals
from outreach.services.policies.approvals import approve, decline, see_desk, see_request, settle_due
from outreach.services.policies.asking import Act, Subject, WaitsError
from outreach.services.reveal import reveal_address
from outreach.services.reveal import see_request as see_asked
from outreach.store import approvals as store
from outreach.store.schema.organisation import staff
from tests.factories import World
from tests.services.at_once import at_once
from tests.services.people import move_clock
from tests.services.policies.acting import DAY, REASON, WEEK, change, clock, entries, holds, newest, officer, somebody
from tests.services.staffing import session_of

ANNA = "anna.berg@example.org"
TIGHT = of_caps((2, WEEK))
HOUR = 3600


def needs(world: World, **parts: Any) -> None:
    """From now on these need a second person."""
    world.policy(Name.APPROVALS, {**defaults(Name.APPROVALS), **parts})


@pytest.fixture
def ada(world: World) -> Actor:
    return officer(world)


@pytest.fixture
def bob(world: World) -> Actor:
    return officer(world)


def asked_by(ctx: Context, actor: Actor) -> bytes:
    ref = change(ctx, actor, Name.CAP_TOTAL, TIGHT).approval
    assert ref is not None
    return ref


def test_a_change_waits_for_a_second_officer_and_is_made_by_their_yes(
    ctx: Context, world: World, ada: Actor, bob: Actor
) -> None:
    needs(world, policies=True)
    ref = asked_by(ctx, ada)
    assert holds(ctx, Name.CAP_TOTAL) == defaults(Name.CAP_TOTAL)
    with pytest.raises(NotAllowedError, match="second person"):
        approve(ctx, ada, ref)
    approve(ctx, bob, ref)
    assert holds(ctx, Name.CAP_TOTAL) == TIGHT
    version = newest(ctx, Name.CAP_TOTAL)
    assert (version.author, version.approval, version.reason) == (ada.name, ref, REASON)
    [asked], [yes] = entries(ctx, "approval.asked"), entries(ctx, "approval.approved")
    assert (asked["actor"], yes["actor"]) == (ada.name, bob.name)
    assert asked["body"]["digest"] == yes["body"]["digest"]
    with pytest.raises(ConflictError):
        approve(ctx, bob, ref)


def test_asking_the_same_again_asks_once(ctx: Context, world: World, ada: Actor, bob: Actor) -> None:
    needs(world, policies=True)
    assert asked_by(ctx, ada) == asked_by(ctx, ada)
    assert len(entries(ctx, "approval.asked")) == 1


def test_a_refusal_needs_a_reason_and_changes_nothing(ctx: Context, world: World, ada: Actor, bob: Actor) -> None:
    needs(world, policies=True)
    ref = asked_by(ctx, ada)
    with pytest.raises(InvalidInputError):
        decline(ctx, bob, ref, "no")
    decline(ctx, bob, ref, "the board has not met yet")
    assert see_request(ctx, ada, ref).asked.words == "the board has not met yet"
    with pytest.raises(ConflictError):
        approve(ctx, bob, ref)
    assert holds(ctx, Name.CAP_TOTAL) == defaults(Name.CAP_TOTAL)
    assert entries(ctx, "approval.declined")[0]["actor"] == bob.name


def test_whoever_asked_may_take_it_back(ctx: Context, world: World, ada: Actor, bob: Actor) -> None:
    needs(world, policies=True)
    decline(ctx, ada, asked_by(ctx, ada), "it was a mistake of mine")
    with ctx.db.reading() as conn:
        assert approvals.waiting(conn, clock(ctx)) == []


def test_the_same_human_in_another_session_is_the_same_human(
    ctx: Context, world: World, ada: Actor, bob: Actor
) -> None:
    needs(world, policies=True)
    assert ada.staff_id is not None
    first, second = (session_of(ctx, ada.staff_id).actor for _ in range(2))
    ref = asked_by(ctx, first)
    with pytest.raises(NotAllowedError):
        approve(ctx, second, ref)


def test_two_accounts_of_one_mailbox_are_one_human(ctx: Context, world: World) -> None:
    needs(world, policies=True)
    one = officer(world, address="robin@northfield.example")
    other = officer(world, address="robin+desk@northfield.example")
    ref = asked_by(ctx, one)
    with pytest.raises(NotAllowedError):
        approve(ctx, other, ref)
    assert see_request(ctx, one, ref).asked.ripe is not None, "so there is nobody else"


def test_only_officers_who_are_signed_in_answer(ctx: Context, world: World, ada: Actor, bob: Actor) -> None:
    needs(world, policies=True)
    ref = asked_by(ctx, ada)
    for who in (officer(world, "administrator,marketer"), Actor("console", frozenset(Role))):
        with pytest.raises(NotAllowedError):
            approve(ctx, who, ref)
    with pytest.raises(NotFoundError):
        approve(ctx, bob, b"x" * 16)


def test_two_yeses_at_once_are_one(ctx: Context, world: World, ada: Actor, bob: Actor) -> None:
    needs(world, policies=True)
    eve = officer(world)
    ref = asked_by(ctx, ada)
    results = at_once(lambda: approve(ctx, bob, ref), lambda: approve(ctx, eve, ref))
    assert sorted(isinstance(one, ConflictError) for one in results) == [False, True]
    assert len(entries(ctx, "approval.approved")) == len(entries(ctx, "policy.changed")) == 1


def test_an_approval_is_of_exactly_what_was_asked(ctx: Context, world: World, ada: Actor, bob: Actor) -> None:
    subject = Subject(b"a" * 16, {"value": 1})
    ref = approvals.ask(ctx, ada, Act.REVEAL, subject, REASON)
    approve(ctx, bob, ref)
    others = [Subject(b"b" * 16, {"value": 1}), Subject(b"a" * 16, {"value": 2})]
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        assert approvals.is_granted(conn, Act.REVEAL, subject, now)
        assert not any(approvals.is_granted(conn, Act.REVEAL, other, now) for other in others)
        assert not approvals.is_granted(conn, Act.CAMPAIGN, subject, now)
        assert not approvals.is_granted(conn, Act.REVEAL, subject, now + 8 * DAY * 1_000_000)


def test_what_changed_meanwhile_cannot_be_approved(ctx: Context, world: World, ada: Actor, bob: Actor) -> None:
    needs(world, policies=True)
    ref = asked_by(ctx, ada)
    other = change(ctx, ada, Name.CAP_TOTAL, of_caps((1, WEEK))).approval
    assert other is not None
    approve(ctx, bob, other)
    with pytest.raises(ConflictError, match="changed after"):
        approve(ctx, bob, ref)
    assert holds(ctx, Name.CAP_TOTAL) == of_caps((1, WEEK))


def test_what_nobody_answers_lapses(ctx: Context, world: World, ada: Actor, bob: Actor) -> None:
    needs(world, policies=True)
    ref = asked_by(ctx, ada)
    move_clock(ctx, 8 * DAY)
    with pytest.raises(ConflictError):
        approve(ctx, bob, ref)
    assert settle_due(ctx) == 1
    assert see_request(ctx, bob, ref).asked.state == "lapsed"
    assert len(entries(ctx, "approval.lapsed")) == 1


def test_alone_a_day_takes_the_second_ones_place_and_the_log_has_both_ends(
    ctx: Context, world: World, ada: Actor
) -> None:
    officer(world, "administrator,marketer")
    needs(world, policies=True)
    ref = asked_by(ctx, ada)
    move_clock(ctx, 24 * HOUR - 60)
    assert settle_due(ctx) == 0
    with pytest.raises(NotAllowedError):
        approve(ctx, ada, ref)
    assert holds(ctx, Name.CAP_TOTAL) == defaults(Name.CAP_TOTAL)
    move_clock(ctx, 24 * HOUR + 60)
    assert settle_due(ctx) == 1
    assert holds(ctx, Name.CAP_TOTAL) == TIGHT
    [asked], [yes] = entries(ctx, "approval.asked"), entries(ctx, "approval.approved")
    assert yes["actor"] == "engine"
    assert yes["at"] - asked["at"] >= 24 * HOUR * 1_000_000
    assert yes["body"]["waited_since"] == asked["at"]


def test_somebody_who_comes_meanwhile_has_to_answer(ctx: Context, world: World, ada: Actor) -> None:
    needs(world, policies=True)
    ref = asked_by(ctx, ada)
    bob = officer(world)
    move_clock(ctx, 25 * HOUR)
    settle_due(ctx)
    assert holds(ctx, Name.CAP_TOTAL) == defaults(Name.CAP_TOTAL)
    assert len(entries(ctx, "approval.delay-ended")) == 1
    approve(ctx, bob, ref)
    assert holds(ctx, Name.CAP_TOTAL) == TIGHT


def test_disabling_the_other_does_not_shorten_the_wait(ctx: Context, world: World, ada: Actor, bob: Actor) -> None:
    needs(world, policies=True)
    ref = asked_by(ctx, ada)
    with ctx.db.transaction() as conn:
        conn.execute(update(staff).where(staff.c.id == bob.staff_id).values(disabled=1))
    move_clock(ctx, 48 * HOUR)
    assert settle_due(ctx) == 0
    assert see_request(ctx, ada, ref).asked.state == "asked"


@pytest.mark.parametrize("rule", [{"campaign_over": 10}, {"reveals": True}])
def test_weakening_the_rules_of_approval_needs_an_approval(
    ctx: Context, world: World, ada: Actor, bob: Actor, rule: dict[str, Any]
) -> None:
    needs(world, **rule)
    assert change(ctx, ada, Name.APPROVALS, defaults(Name.APPROVALS)).approval is not None
    assert change(ctx, ada, Name.CAP_TOTAL, TIGHT).approval is None
    stricter = {"campaign_over": 5, "reveals": True, "policies": True}
    assert change(ctx, ada, Name.APPROVALS, stricter).approval is None


def test_an_approved_change_that_gives_more_still_waits_for_people_to_be_told(
    ctx: Context, world: World, ada: Actor, bob: Actor
) -> None:
    needs(world, policies=True)
    somebody(world)
    ref = change(ctx, ada, Name.CAP_TOTAL, of_caps((6, WEEK))).approval
    assert ref is not None
    approve(ctx, bob, ref)
    assert newest(ctx, Name.CAP_TOTAL).starts is None
    assert holds(ctx, Name.CAP_TOTAL) == defaults(Name.CAP_TOTAL)


def test_a_reveal_waits_and_then_shows_once(ctx: Context, world: World, ada: Actor, bob: Actor) -> None:
    needs(world, reveals=True)
    person = world.person(ANNA)
    with pytest.raises(WaitsError, match="Nothing was shown"):
        reveal_address(ctx, ada, person.ref, REASON)
    waiting = see_asked(ctx, ada, person.ref)
    assert waiting is not None and waiting.state == "asked"
    with pytest.raises(WaitsError):
        reveal_address(ctx, ada, person.ref, REASON)
    approve(ctx, bob, waiting.ref)
    with pytest.raises(WaitsError):
        reveal_address(ctx, bob, person.ref, REASON)
    assert reveal_address(ctx, ada, person.ref, "another reason altogether") == ANNA
    [entry] = entries(ctx, "contact.revealed")
    assert entry["body"] == {"reason": REASON, "approval": waiting.ref.hex()}
    with pytest.raises(WaitsError):
        reveal_address(ctx, ada, person.ref, REASON)


def test_one_approval_shows_one_address_even_at_once(ctx: Context, world: World, ada: Actor, bob: Actor) -> None:
    needs(world, reveals=True)
    person = world.person(ANNA)
    with pytest.raises(WaitsError) as caught:
        reveal_address(ctx, ada, person.ref, REASON)
    approve(ctx, bob, caught.value.asked.ref)
    results = at_once(*[lambda: reveal_address(ctx, ada, person.ref, REASON)] * 2)
    assert results.count(ANNA) == 1
    assert len(entries(ctx, "contact.revealed")) == 1


def test_the_desk_shows_evidence_and_no_address(ctx: Context, world: World, ada: Actor, bob: Actor) -> None:
    needs(world, reveals=True, policies=True)
    person = world.person(ANNA)
    for _ in range(2):
        with pytest.raises(WaitsError):
            reveal_address(ctx, ada, person.ref, f"{ANNA} asked me to")
    asked_by(ctx, bob)
    desk = see_desk(ctx, bob)
    assert [(seen.asked.act, seen.mine) for seen in desk.waiting] == [("reveal", False), ("policy", True)]
    assert desk.waiting[0].asker_name == "Robin"
    assert ANNA not in repr(desk)
    with ctx.db.reading() as conn:
        assert len(store.waiting(conn, clock(ctx))) == 2
