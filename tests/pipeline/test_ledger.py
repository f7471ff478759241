"""Whatever happens in whatever order, no window ever holds more than was promised, and nobody gets a campaign twice."""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, select

from outreach.mail.transport import Outcome, Parcel, Result
from outreach.pipeline.plan import finish_campaigns, release_waiting
from outreach.pipeline.reap import reap_expired
from outreach.store import tally
from outreach.store.schema.campaigns import attempt, batch, campaign, content, message
from outreach.store.schema.consents import consent
from outreach.store.schema.tally import tally as sums
from tests.counting import standing
from tests.factories import World
from tests.pipeline.claiming import claim_due
from tests.pipeline.conftest import Line

HOUR = 3_600_000_000
WEEK_HOURS = 168
PROMISE, TOTAL, PROMOTIONAL, RATIO = 3, 5, 1, 1

steps = st.one_of(
    st.tuples(st.just("campaign"), st.integers(0, 1), st.sampled_from(["promotional", "informational"]), st.booleans()),
    st.tuples(st.just("round"), st.integers(0, 2**30)),
    st.tuples(st.just("hours"), st.sampled_from([1, 5, 24, 80, 167, 168, 169])),
    st.tuples(st.just("release")),
    st.tuples(st.just("die")),
)


@dataclass
class Story:
    """What a relay saw: (mailbox, campaign's topic, kind, hour) of every mail that may have arrived."""

    line: Line
    seen: list[tuple[str, int, str, int]] = field(default_factory=list)
    kinds: dict[str, tuple[int, str]] = field(default_factory=dict)
    dice: int = 0

    def take(self, parcel: Parcel) -> Outcome:
        self.dice = (self.dice * 1103515245 + 12345) % 2**31
        result = (Result.SENT, Result.SENT, Result.DEFERRED, Result.UNKNOWN, Result.PUT_BACK, Result.FAILED)[
            self.dice % 7 % 6
        ]
        if result in {Result.SENT, Result.UNKNOWN}:
            number = next(n for n in self.kinds if f"campaign {n}." in parcel.data.decode())
            self.seen.append((parcel.rcpt_to, *self.kinds[number], self.line.now()))
            self.seen_campaigns.append((parcel.rcpt_to, number))
        code = {Result.SENT: 250, Result.DEFERRED: 451, Result.FAILED: 554}.get(result)
        return Outcome(parcel.message_id, result, code=code)

    seen_campaigns: list[tuple[str, str]] = field(default_factory=list)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(plot=st.lists(steps, min_size=12, max_size=40))
def test_no_window_is_ever_overfull(world: World, plot: list[Any]) -> None:
    line = Line(world)
    _empty(world)
    topics = [world.topic(cap_n=PROMISE, ratio_k=RATIO) for _ in range(2)]
    world.cap("total", TOTAL, WEEK_HOURS * 3600)
    world.cap("promotional", PROMOTIONAL, WEEK_HOURS * 3600)
    author = world.staff()
    for _ in range(3):
        person = world.person()
        for topic, text in topics:
            world.grant(person, topic, text, cap_n=PROMISE, ratio_k=RATIO)
    story = Story(line)
    line.relay.script = story.take
    for number, step in enumerate(plot):
        _play(line, story, step, number, [topic for topic, _ in topics], author)
    line.pass_hours(1)
    line.rounds()
    _check(story)
    _check_counts(line)
    line.journal.close()


def _play(line: Line, story: Story, step: Any, number: int, topics: list[int], author: int) -> None:
    match step:
        case ("campaign", which, kind, later):
            until = line.now() + 30 * 24 * HOUR if later else None
            story.kinds[str(number)] = (topics[which], kind)
            line.campaign(
                topics[which], author=author, kind=kind, later_until=until, body=f"This is campaign {number}."
            )
            line.plan()
        case ("round", dice):
            story.dice = dice
            line.rounds(3)
        case ("hours", hours):
            line.pass_hours(hours)
        case ("release",):
            release_waiting(line.ctx)
            finish_campaigns(line.ctx)
        case ("die",):
            claim_due(line.ctx, f"lost{number}", 2)
            reap_expired(line.ctx)


def _check(story: Story) -> None:
    week = WEEK_HOURS * HOUR
    for person in {one[0] for one in story.seen}:
        mails = sorted((at, topic, kind) for who, topic, kind, at in story.seen if who == person)
        for start, _topic, _kind in mails:
            window = [(topic, kind) for at, topic, kind in mails if start <= at < start + week]
            assert len(window) <= TOTAL
            assert sum(1 for _, kind in window if kind == "promotional") <= PROMOTIONAL
            for topic in {topic for topic, _ in window}:
                assert sum(1 for one, _ in window if one == topic) <= PROMISE
        for topic in {topic for _, topic, _ in mails}:
            _check_ratio([kind for _, one, kind in mails if one == topic])
    assert len(story.seen_campaigns) == len(set(story.seen_campaigns))


def _check_counts(line: Line) -> None:
    """What a campaign's page shows is what a count of its messages gives."""
    with line.ctx.db.reading() as conn:
        for one in conn.execute(select(campaign.c.id)).scalars():
            counted = {stand: n for stand, n in tally.totals(conn, one).items() if n}
            assert counted == standing(conn, one)


def _check_ratio(kinds: list[str]) -> None:
    """Every offer comes after at least RATIO useful mails of its own."""
    given = 0
    for kind in kinds:
        if kind == "promotional":
            assert given >= RATIO
            given = 0
        else:
            given += 1


def _empty(world: World) -> None:
    with world.ctx.db.transaction() as conn:
        for table in (attempt, batch, sums, message, content, campaign, consent):
            conn.execute(delete(table))
    assert world.ctx.settings.clock_file is not None
    world.ctx.settings.clock_file.write_text("0")
