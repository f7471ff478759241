"""What an officer's first page gathers, and the rules that find unusual acts."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, update

from outreach.domain.actors import Actor, Role
from outreach.domain.errors import NotAllowedError
from outreach.services.context import Context
from outreach.services.officer.start import see_start
from outreach.services.officer.unusual import Unusual, unusual_acts
from outreach.services.seal import seal
from outreach.store.audit import Entry, record
from outreach.store.schema.organisation import controller
from tests.factories import DAY, World
from tests.services.unknown_mails import lost_in_the_air

OFFICER = Actor("staff:" + "0" * 32, frozenset({Role.OFFICER}))
MARKETER = Actor("staff:" + "1" * 32, frozenset({Role.MARKETER}))
HOUR = DAY // 24


def write(ctx: Context, ago: int, kind: str, count: int = 1, actor: str = OFFICER.name, **body: Any) -> None:
    with ctx.db.transaction() as conn:
        record(conn, ctx.db.now(conn) - ago, *(Entry(kind=kind, actor=actor, body=body) for _ in range(count)))


def found(ctx: Context) -> list[str]:
    return [one.what for one in unusual_acts(ctx, OFFICER)]


def test_an_untouched_house_asks_nothing_of_its_officer(ctx: Context, world: World) -> None:
    start = see_start(ctx, OFFICER)
    assert (start.unknown, start.rates, start.crossed, start.unusual) == (0, (), (), ())
    assert (start.log.size, start.log.at, start.log.waits, start.log.is_stuck) == (0, None, None, False)
    assert [hits.caps for hits in start.caps] == [(), (), ()]


def test_the_log_says_how_far_it_is_sealed_and_when_it_stands_still(ctx: Context, world: World) -> None:
    write(ctx, HOUR, "topic.created")
    waiting = see_start(ctx, OFFICER).log
    assert (waiting.size, waiting.pending, waiting.is_stuck) == (0, 1, True)
    sealed = seal(ctx, 1)
    assert sealed is not None
    after = see_start(ctx, OFFICER).log
    assert (after.size, after.pending, after.root, after.note) == (1, 0, sealed.root.hex(), sealed.note)
    assert (after.waits, after.is_stuck) == (None, False)


def test_unknown_outcomes_are_counted(ctx: Context, world: World) -> None:
    lost_in_the_air(ctx, [world.person(), world.person()])
    assert see_start(ctx, OFFICER).unknown == 2


def test_the_page_asks_no_more_of_a_long_log_than_of_a_short_one(ctx: Context, world: World) -> None:
    def statements() -> int:
        asked: list[str] = []

        def note(_conn: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
            asked.append(statement)

        event.listen(ctx.db.engine, "before_cursor_execute", note)
        see_start(ctx, OFFICER)
        event.remove(ctx.db.engine, "before_cursor_execute", note)
        return len(asked)

    write(ctx, HOUR, "topic.created")
    before = statements()
    write(ctx, HOUR, "topic.created", 500)
    assert statements() == before


@pytest.mark.parametrize(
    ("kind", "many", "what"),
    [
        ("contact.revealed", 10, "Many addresses revealed"),
        ("contact.read", 100, "Many people read about"),
        ("contact.looked-up", 100, "Many people looked up"),
        ("contact.bar-lifted", 10, "Many bars lifted"),
        ("desk.death-recorded", 10, "Many deaths recorded"),
    ],
)
def test_so_many_of_an_act_in_a_day_are_unusual(ctx: Context, world: World, kind: str, many: int, what: str) -> None:
    write(ctx, HOUR, kind, many - 1)
    write(ctx, 26 * HOUR, kind, many - 1)
    write(ctx, HOUR, kind, many - 1, actor="staff:" + "9" * 32)
    assert found(ctx) == []
    write(ctx, 3 * HOUR, kind)
    (one,) = unusual_acts(ctx, OFFICER)
    assert (one.what, one.actor, one.count) == (what, OFFICER.name, many)
    assert 0 < len(one.entries) <= many


def test_what_is_long_ago_is_unusual_no_more(ctx: Context, world: World) -> None:
    write(ctx, 31 * DAY, "contact.revealed", 50)
    assert found(ctx) == []


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ({"rows": 9, "granted": 5, "barred": 2, "refused": {"no_evidence": 2}}, ["An import without evidence"]),
        ({"rows": 9, "granted": 5, "barred": 0, "refused": {}}, ["An import without anybody barred"]),
        ({"rows": 9, "granted": 5, "barred": 2, "refused": {"barred": 1}}, []),
        ({"rows": 9, "granted": 0, "barred": 0, "refused": {}}, []),
    ],
)
def test_an_import_is_unusual_without_evidence_or_bars(
    ctx: Context, world: World, body: dict[str, Any], what: list[str]
) -> None:
    write(ctx, HOUR, "import.applied", **body)
    assert found(ctx) == what


@pytest.mark.parametrize(("hour", "what"), [(3, ["A campaign began at night"]), (5, []), (12, [])])
def test_a_campaign_that_begins_at_night_where_the_organisation_is(
    ctx: Context, world: World, hour: int, what: list[str]
) -> None:
    with ctx.db.transaction() as conn:
        conn.execute(update(controller).values(timezone="Europe/Stockholm"))
        today = datetime.fromtimestamp(ctx.db.now(conn) / 1_000_000, UTC)
        night = today.replace(hour=hour, minute=0, second=0, microsecond=0) - timedelta(days=2)
        record(conn, int(night.timestamp()) * 1_000_000, Entry(kind="campaign.begun", actor="engine"))
    assert found(ctx) == what


@pytest.mark.parametrize(
    ("name", "before", "after", "is_looser"),
    [
        ("cap-promotional", {"caps": [[2, 604800]]}, {"caps": [[3, 604800]]}, True),
        ("cap-promotional", {"caps": [[2, 604800]]}, {"caps": []}, True),
        ("cap-promotional", {"caps": [[2, 604800]]}, {"caps": [[1, 604800]]}, False),
        ("retention", {"most_days": 30}, {"most_days": 60}, True),
        ("retention", {"most_days": 60}, {"most_days": 30}, False),
        ("a-policy-of-another-time", {}, {}, False),
    ],
)
def test_a_policy_that_lets_more_through_is_unusual(
    ctx: Context, world: World, name: str, before: dict[str, Any], after: dict[str, Any], is_looser: bool
) -> None:
    write(ctx, HOUR, "policy.changed", name=name, before=before, value=after)
    assert found(ctx) == (["A policy was loosened"] if is_looser else [])


def _single(kind: str, **body: Any) -> Callable[[Context], list[Unusual]]:
    def act(ctx: Context) -> list[Unusual]:
        write(ctx, HOUR, kind, **body)
        return unusual_acts(ctx, OFFICER)

    return act


def test_a_role_given_and_a_log_that_is_wrong_are_named(ctx: Context, world: World) -> None:
    assert _single("staff.roles-changed", before=["marketer"], roles=[])(ctx) == []
    assert _single("audit.verified", findings=0)(ctx) == []
    (one,) = _single("staff.roles-changed", before=["marketer"], roles=["marketer", "officer"])(ctx)
    assert (one.what, one.detail) == ("Somebody was given a role", "officer")
    assert "The log did not verify" in {one.what for one in _single("audit.verified", findings=2)(ctx)}


def test_only_an_officer_sees_it(ctx: Context) -> None:
    for attempt in (lambda: see_start(ctx, MARKETER), lambda: unusual_acts(ctx, MARKETER)):
        with pytest.raises(NotAllowedError):
            attempt()
