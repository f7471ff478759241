"""A mail of unknown outcome that an officer ruled on is never sent again, whatever runs afterwards (promise 5)."""

import pytest

from outreach.domain.actors import Actor, Role
from outreach.mail.transport import Outcome, Result
from outreach.pipeline.plan import finish_campaigns, release_waiting
from outreach.pipeline.reap import reap_dead, reap_expired
from outreach.services.officer.unknown import Ruling, rule_on_group, see_unknown
from tests.factories import World
from tests.pipeline.conftest import Line

OFFICER = Actor("staff:" + "0" * 32, frozenset({Role.OFFICER}))
REASON = "looked for in the relay's own log"


def unanswered(line: Line, world: World, author: int, *, cap_n: int = 1) -> tuple[int, int]:
    """A campaign whose one mail was never answered, and its topic."""
    topic, text = world.topic(cap_n=cap_n)
    world.grant(world.person(), topic, text, cap_n=cap_n)
    one = line.campaign(topic, author=author)
    line.plan()
    line.relay.script = lambda parcel: Outcome(parcel.message_id, Result.UNKNOWN, relay="north")
    line.rounds()
    line.relay.script = lambda parcel: Outcome(parcel.message_id, Result.SENT, code=250)
    return one, topic


def everything_runs(line: Line) -> None:
    for _ in range(3):
        line.pass_hours(30)
        reap_dead(line.ctx, line.ctx.settings.instance / "journal")
        reap_expired(line.ctx)
        release_waiting(line.ctx)
        line.plan()
        line.rounds()
        finish_campaigns(line.ctx)


@pytest.mark.parametrize(
    ("ruling", "after"),
    [
        (Ruling.ARRIVED, ("sent", None)),
        (Ruling.LOST, ("failed", "lost")),
        (Ruling.LEFT, ("unknown", "no_reply")),
    ],
)
def test_a_mail_that_was_ruled_on_stays_so(
    line: Line, world: World, author: int, ruling: Ruling, after: tuple[str, str | None]
) -> None:
    one, _ = unanswered(line, world, author)
    (group,) = see_unknown(line.ctx, OFFICER).groups
    assert group.relay == "north", "the one that was asked"
    rule_on_group(line.ctx, OFFICER, group.key, ruling, REASON)
    everything_runs(line)
    assert list(line.states(one).values()) == [after]
    assert len(line.relay.taken) == 1


@pytest.mark.parametrize(
    ("ruling", "after"),
    [(Ruling.ARRIVED, ("withheld", "cap_promise")), (Ruling.LOST, ("sent", None))],
)
def test_only_a_mail_that_may_have_arrived_takes_its_place_under_the_cap(
    line: Line, world: World, author: int, ruling: Ruling, after: tuple[str, str | None]
) -> None:
    _, topic = unanswered(line, world, author)
    (group,) = see_unknown(line.ctx, OFFICER).groups
    rule_on_group(line.ctx, OFFICER, group.key, ruling, REASON)
    second = line.campaign(topic, author=author)
    line.plan()
    line.rounds()
    assert list(line.states(second).values()) == [after]
