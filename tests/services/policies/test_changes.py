"""Changing a policy: what may hold at once, what waits until people were told, and what the log and history keep."""

import pytest

from outreach.domain.actors import Actor, Role
from outreach.domain.errors import InvalidInputError, NotAllowedError, NotFoundError
from outreach.domain.invitation import Policy
from outreach.domain.policies import Name, Value, defaults, of_caps, of_inviting
from outreach.services.context import Context
from outreach.services.policies.changes import change_policy
from outreach.services.policies.starts import begin_due
from outreach.services.policies.versions import list_policies, see_policy
from outreach.store.decide import load_rule
from outreach.store.schema.campaigns import message
from tests.factories import World
from tests.pipeline.conftest import Line
from tests.services.people import move_clock
from tests.services.policies.acting import (
    DAY,
    DAY_US,
    REASON,
    WEEK,
    change,
    clock,
    entries,
    holds,
    newest,
    officer,
    somebody,
)

OTHERS = Actor("staff:" + "1" * 32, frozenset({Role.ADMINISTRATOR, Role.MARKETER}))
TIGHT, LOOSE = of_caps((2, WEEK)), of_caps((6, WEEK))


@pytest.fixture
def ada(world: World) -> Actor:
    return officer(world)


@pytest.fixture
def line(world: World) -> Line:
    return Line(world)


def test_before_any_version_the_products_own_rules_hold(ctx: Context, world: World, ada: Actor) -> None:
    for seen in list_policies(ctx, ada):
        expected = {"from": 0, "to": 0} if seen.name == Name.QUIET_HOURS else defaults(seen.name)
        assert (seen.value, seen.since, seen.history) == (expected, None, ())


def test_what_tightens_holds_at_once_and_stays_on_record(ctx: Context, world: World, ada: Actor) -> None:
    somebody(world)
    done = change(ctx, ada, Name.CAP_TOTAL, TIGHT)
    assert (done.version, done.people, done.approval) == (1, 0, None)
    assert holds(ctx, Name.CAP_TOTAL) == TIGHT
    [made], [began] = entries(ctx, "policy.changed"), entries(ctx, "policy.cap-changed")
    assert (made["actor"], made["body"]["value"], made["body"]["reason"]) == (ada.name, dict(TIGHT), REASON)
    assert made["body"]["before"] == dict(defaults(Name.CAP_TOTAL))
    assert (began["body"]["scope"], began["body"]["caps"]) == ("total", TIGHT["caps"])
    seen = see_policy(ctx, ada, "cap-total")
    assert (seen.value, seen.reason, [one.version.number for one in seen.history]) == (TIGHT, REASON, [1])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (Name.CAP_TOTAL, LOOSE),
        (Name.GIVE_RATIO, {"least": 0}),
        (Name.RETENTION, {"most_days": 400}),
        (Name.INVITATIONS, of_inviting(Policy(by_mail=True))),
        (Name.NOTICE, {"days": 3}),
        (Name.QUIET_HOURS, {"from": 0, "to": 0}),
    ],
)
def test_what_lets_people_get_more_waits_for_its_days(
    ctx: Context, world: World, ada: Actor, name: Name, value: Value
) -> None:
    tight = {Name.GIVE_RATIO: {"least": 3}, Name.RETENTION: {"most_days": 30}, Name.QUIET_HOURS: {"from": 0, "to": 60}}
    if name in tight:
        change(ctx, ada, name, tight[name])
    somebody(world)
    before = holds(ctx, name)
    done = change(ctx, ada, name, value)
    assert (done.people, newest(ctx, name).notice_days) == (1, 14)
    assert done.since - clock(ctx) > 13 * DAY_US
    assert newest(ctx, name).starts is None, "nobody was told yet"
    move_clock(ctx, 400 * DAY)
    begin_due(ctx)
    assert holds(ctx, name) == before, "days alone tell nobody"


def test_a_start_before_people_can_be_told_is_refused(ctx: Context, world: World, ada: Actor) -> None:
    somebody(world)
    with pytest.raises(InvalidInputError, match="14 days") as caught:
        change(ctx, ada, Name.CAP_TOTAL, LOOSE, start=clock(ctx) + 13 * DAY_US)
    assert caught.value.field == "start"
    assert entries(ctx, "policy.changed") == []


def test_with_nobody_to_tell_it_holds_at_once(ctx: Context, world: World, ada: Actor) -> None:
    somebody(world, state="withdrawn")
    assert change(ctx, ada, Name.CAP_TOTAL, LOOSE).people == 0
    assert holds(ctx, Name.CAP_TOTAL) == LOOSE


def test_a_future_version_acts_at_its_instant_and_not_before(ctx: Context, world: World, ada: Actor) -> None:
    start = clock(ctx) + 3 * DAY_US
    change(ctx, ada, Name.CAP_TOTAL, TIGHT, start=start)
    with ctx.db.reading() as conn:
        rules = [load_rule(conn, start + step).caps.total[0].n for step in (-1, 0, 1)]
        is_settling = [load_rule(conn, start + step).is_settling for step in (-1, 0)]
    assert (rules, is_settling) == ([4, 2, 2], [False, True])
    assert begin_due(ctx) == 0
    move_clock(ctx, 3 * DAY + 60)
    assert (begin_due(ctx), begin_due(ctx)) == (1, 0)
    with ctx.db.reading() as conn:
        assert not load_rule(conn, start).is_settling
    [began] = entries(ctx, "policy.cap-changed")
    assert began["actor"] == "engine"


def test_the_surplus_is_withheld_when_a_cap_starts_and_nothing_else(line: Line, world: World) -> None:
    """Between the instant and the engine's look nothing is claimed, so that no more is withheld than the surplus."""
    ada, author = officer(world), world.staff()
    topic, text = world.topic(cap_n=9)
    world.grant(world.person(), topic, text, cap_n=9)
    for _ in range(4):
        line.campaign(topic, author=author)
    line.plan()
    change(line.ctx, ada, Name.CAP_TOTAL, TIGHT, start=clock(line.ctx) + 3600_000_000)
    line.pass_hours(1.5)
    line.rounds()
    assert [state for state, _ in _states(line)] == ["planned"] * 4
    begin_due(line.ctx)
    line.rounds()
    assert sorted(_states(line)) == [("sent", None)] * 2 + [("withheld", "cap_total")] * 2


def _states(line: Line) -> list[tuple[str, str | None]]:
    with line.ctx.db.reading() as conn:
        return [(row.state, row.reason) for row in conn.execute(message.select())]


def test_a_newer_change_takes_the_place_of_what_was_planned(ctx: Context, world: World, ada: Actor) -> None:
    start = clock(ctx) + 5 * DAY_US
    change(ctx, ada, Name.CAP_TOTAL, of_caps((1, WEEK)), start=start)
    change(ctx, ada, Name.CAP_TOTAL, TIGHT, start=start - DAY_US)
    seen = see_policy(ctx, ada, "cap-total")
    assert [one.version.value for one in seen.coming] == [TIGHT]
    assert [one.is_replaced for one in seen.history] == [False, True]
    with ctx.db.reading() as conn:
        assert load_rule(conn, start + DAY_US).caps.total[0].n == 2


def test_what_was_planned_is_taken_back_by_deciding_what_holds(ctx: Context, world: World, ada: Actor) -> None:
    change(ctx, ada, Name.CAP_TOTAL, TIGHT, start=clock(ctx) + DAY_US)
    change(ctx, ada, Name.CAP_TOTAL, defaults(Name.CAP_TOTAL))
    assert see_policy(ctx, ada, "cap-total").coming == ()
    move_clock(ctx, 2 * DAY)
    assert holds(ctx, Name.CAP_TOTAL) == defaults(Name.CAP_TOTAL)


def test_a_change_planned_to_loosen_what_is_planned_to_tighten_is_told_too(
    ctx: Context, world: World, ada: Actor
) -> None:
    somebody(world)
    start = clock(ctx) + 20 * DAY_US
    change(ctx, ada, Name.CAP_TOTAL, TIGHT, start=start)
    assert change(ctx, ada, Name.CAP_TOTAL, defaults(Name.CAP_TOTAL), start=start + DAY_US).people == 1


def test_the_same_rules_again_are_no_change(ctx: Context, world: World, ada: Actor) -> None:
    with pytest.raises(InvalidInputError, match="in force"):
        change(ctx, ada, Name.NOTICE, {"days": 14})
    assert entries(ctx, "policy.changed") == []


@pytest.mark.parametrize("reason", ["", "because", "x" * 501])
def test_a_change_without_a_real_reason_changes_nothing(ctx: Context, world: World, ada: Actor, reason: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        change_policy(ctx, ada, Name.CAP_TOTAL, TIGHT, reason)
    assert caught.value.field == "reason"
    assert holds(ctx, Name.CAP_TOTAL) == defaults(Name.CAP_TOTAL)


@pytest.mark.parametrize("days", [-1, 400])
def test_a_start_in_the_past_or_years_ahead_is_refused(ctx: Context, world: World, ada: Actor, days: int) -> None:
    with pytest.raises(InvalidInputError) as caught:
        change(ctx, ada, Name.CAP_TOTAL, TIGHT, start=clock(ctx) + days * DAY_US)
    assert caught.value.field == "start"


def test_an_address_in_the_reason_is_masked(ctx: Context, world: World, ada: Actor) -> None:
    change_policy(ctx, ada, Name.CAP_TOTAL, TIGHT, "asked for by anna.berg@example.org of the board")
    assert newest(ctx, Name.CAP_TOTAL).reason == "asked for by a•••@e•••.org of the board"


def test_only_an_officer_sees_or_changes_policies(ctx: Context, world: World) -> None:
    for attempt in (
        lambda: change(ctx, OTHERS, Name.CAP_TOTAL, TIGHT),
        lambda: list_policies(ctx, OTHERS),
        lambda: see_policy(ctx, OTHERS, "cap-total"),
    ):
        with pytest.raises(NotAllowedError):
            attempt()
    with pytest.raises(NotFoundError):
        see_policy(ctx, officer(world), "soup-of-the-day")
