"""The campaign machine, segments, wall clocks, and what a marketer may see of a small number."""

from datetime import UTC, datetime
from itertools import product
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from outreach.domain.campaign import (
    ASKED_NOT_TO,
    CANCELLED,
    DRAFT,
    FINAL,
    HALTED,
    HELD,
    SCHEDULED,
    SENDING,
    SENT,
    STANDS,
    Event,
    Segment,
    Stand,
    State,
    day_begins,
    for_marketers,
    may,
    micros,
    must_be_draft,
    transition,
    wall_time,
)
from outreach.domain.errors import ConflictError, InvalidInputError


class CampaignLife(RuleBasedStateMachine):
    """Any order of events: the table refuses, or the campaign stays where nothing is lost."""

    def __init__(self) -> None:
        super().__init__()
        self.stand = DRAFT
        self.begun = False
        self.ended: Stand | None = None

    @rule(event=st.sampled_from(Event))
    def happens(self, event: Event) -> None:
        before = self.stand
        try:
            self.stand = transition(before, event)
        except ConflictError as error:
            assert not may(before, event)
            assert "Nothing was changed" in str(error)
            return
        assert may(before, event)
        if event is Event.BEGIN:
            assert before == SCHEDULED
        self.begun = self.begun or event is Event.BEGIN
        if self.stand.state in FINAL:
            assert self.ended is None
            self.ended = self.stand

    @invariant()
    def what_has_begun_is_never_rewritten(self) -> None:
        if self.begun:
            assert self.stand.state not in {State.DRAFT, State.SCHEDULED}
            assert self.stand != HELD

    @invariant()
    def an_end_is_an_end(self) -> None:
        if self.ended is not None:
            assert self.stand == self.ended

    @invariant()
    def only_a_begun_campaign_is_sent(self) -> None:
        assert self.begun or self.stand != SENT


TestCampaignLife = CampaignLife.TestCase


@pytest.mark.parametrize(
    ("before", "event", "after"),
    [
        (DRAFT, Event.SCHEDULE, SCHEDULED),
        (SCHEDULED, Event.UNSCHEDULE, DRAFT),
        (SCHEDULED, Event.BEGIN, SENDING),
        (SCHEDULED, Event.PAUSE, HELD),
        (HELD, Event.RESUME, SCHEDULED),
        (HELD, Event.UNSCHEDULE, DRAFT),
        (SENDING, Event.PAUSE, HALTED),
        (HALTED, Event.RESUME, SENDING),
        (SENDING, Event.FINISH, SENT),
        (HALTED, Event.CANCEL, CANCELLED),
    ],
)
def test_the_path_of_a_campaign(before: Stand, event: Event, after: Stand) -> None:
    assert transition(before, event) == after


def test_resuming_undoes_pausing_and_nothing_else() -> None:
    for stand in STANDS:
        if may(stand, Event.PAUSE):
            assert transition(transition(stand, Event.PAUSE), Event.RESUME) == stand


def test_every_cell_of_the_table_is_filled() -> None:
    for stand, event in product(STANDS, Event):
        assert may(stand, event) in {True, False}


def test_only_a_paused_campaign_remembers_where_it_was() -> None:
    with pytest.raises(ValueError, match="resumes_to"):
        Stand(State.SENDING, State.SCHEDULED)
    with pytest.raises(ValueError, match="resumes_to"):
        Stand(State.PAUSED)


def test_editing_says_the_way_out() -> None:
    must_be_draft(DRAFT)
    with pytest.raises(ConflictError, match="back to a draft"):
        must_be_draft(SCHEDULED)
    with pytest.raises(ConflictError, match="Copy it"):
        must_be_draft(SENT)


instants = st.one_of(st.none(), st.integers(0, 2**52))


@given(st.lists(st.sampled_from(["en", "sv", "nl", "pt-BR", "zh-Hant-TW"])), instants, instants)
def test_a_segment_survives_being_stored(locales: list[str], after: int | None, before: int | None) -> None:
    assume(after is None or before is None or after < before)
    segment = Segment(tuple(sorted(set(locales))), after, before)
    assert Segment.from_json(segment.to_json()) == segment


@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "nonsense",
        '{"sql": "1=1"}',
        '{"locales": "en"}',
        '{"locales": [1]}',
        '{"locales": ["en\') OR 1=1 --"]}',
        '{"agreed_after": "0; DROP TABLE contact"}',
        '{"agreed_after": true}',
        '{"agreed_after": 5, "agreed_before": 5}',
    ],
)
def test_anything_but_a_segment_is_refused(text: str) -> None:
    """CVE-2025-46011: what a segment holds never reaches SQL as text, and nothing odd is stored to begin with."""
    with pytest.raises(InvalidInputError):
        Segment.from_json(text)


def test_the_empty_segment_is_everyone() -> None:
    assert Segment.from_json("{}") == Segment()


def test_a_wall_time_is_read_in_its_zone() -> None:
    assert wall_time("2026-07-01T08:00", "Europe/Stockholm") == micros(datetime(2026, 7, 1, 6, tzinfo=UTC))


def test_a_skipped_hour_is_refused_and_named() -> None:
    with pytest.raises(InvalidInputError, match=r"There is no 02:30 on 29 March 2026 .* Choose 03:30"):
        wall_time("2026-03-29T02:30", "Europe/Stockholm")


def test_a_doubled_hour_asks_which() -> None:
    with pytest.raises(InvalidInputError, match="comes twice") as caught:
        wall_time("2026-10-25T02:30", "Europe/Stockholm")
    assert caught.value.field == "occurrence"
    first = wall_time("2026-10-25T02:30", "Europe/Stockholm", "first")
    assert first == micros(datetime(2026, 10, 25, 0, 30, tzinfo=UTC))
    assert wall_time("2026-10-25T02:30", "Europe/Stockholm", "second") == first + 3_600_000_000


@given(
    st.datetimes(datetime(2020, 1, 1), datetime(2035, 1, 1)),  # noqa: DTZ001  a wall clock
    st.sampled_from(["UTC", "Europe/Stockholm", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]),
    st.sampled_from(["", "first", "second"]),
)
def test_an_accepted_time_reads_the_same_on_the_wall(local: datetime, zone: str, which: str) -> None:
    text = f"{local:%Y-%m-%dT%H:%M}"
    try:
        instant = wall_time(text, zone, which)
    except InvalidInputError:
        return
    assert f"{datetime.fromtimestamp(instant / 1e6, ZoneInfo(zone)):%Y-%m-%dT%H:%M}" == text


@pytest.mark.parametrize("text", ["", "tomorrow", "2026-02-30T08:00", "2026-01-01"])
def test_no_time_is_no_time(text: str) -> None:
    with pytest.raises(InvalidInputError):
        wall_time(text, "UTC")


@pytest.mark.parametrize("name", ["Mars/Olympus", "../../etc/passwd", ""])
def test_a_zone_must_exist(name: str) -> None:
    with pytest.raises(InvalidInputError):
        wall_time("2026-01-01T08:00", name)


def test_a_day_begins_at_its_first_instant() -> None:
    assert day_begins("2026-11-30", "Europe/Stockholm") == micros(datetime(2026, 11, 29, 23, tzinfo=UTC))
    with pytest.raises(InvalidInputError):
        day_begins("30 November", "UTC")


asked = frozenset({"withdrawn", "complaint", "never"})
own = frozenset({"paused"})
reasons = st.dictionaries(
    st.sampled_from(["withdrawn", "complaint", "never", "paused", "bounce", "cap_total"]), st.integers(0, 12)
)


@given(reasons)
def test_reasons_that_betray_a_person_read_as_one(counts: dict[str, int]) -> None:
    shown = {row.reason: row.exactly for row in for_marketers(counts, asked=asked, own=own).rows}
    assert not asked & shown.keys()
    assert ASKED_NOT_TO in shown
    assert "paused" in shown


@given(reasons, st.data())
def test_small_numbers_cannot_be_told_apart(counts: dict[str, int], data: st.DataObject) -> None:
    """Two truths that agree wherever a number is 5 or more give the same page, to the last digit of the total."""
    small = st.integers(1, 4)
    others = {reason: count for reason, count in counts.items() if reason not in asked and count}
    other = {reason: count if count >= 5 else data.draw(small) for reason, count in others.items()}
    together = sum(counts.get(reason, 0) for reason in asked)
    other[data.draw(st.sampled_from(sorted(asked)))] = together if together >= 5 else data.draw(st.integers(0, 4))
    assert for_marketers(counts, asked=asked, own=own) == for_marketers(other, asked=asked, own=own)


def test_the_total_is_a_floor_when_something_is_hidden() -> None:
    figures = for_marketers({"bounce": 12, "withdrawn": 2, "paused": 30}, asked=asked, own=own)
    assert (figures.total, figures.at_least) == (42, True)
    assert for_marketers({"withdrawn": 5, "paused": 6}, asked=asked, own=own).at_least is False
