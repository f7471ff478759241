"""A few people say yes, change and stop in any order while time passes and the log is published: receipts always agree.

The model is what was pressed. After every step each event that granted, changed or withdrew a consent has exactly one
receipt, and it says what the model holds; whenever the log is published they verify, and kept ones still do.
"""

import itertools

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from outreach.domain.actors import ENGINE, RECIPIENT
from outreach.domain.consent import LIVE, Event, State, transition
from outreach.domain.errors import ConflictError
from outreach.domain.receipts import EVENTS
from outreach.services.consents import Change, apply_changes
from outreach.services.receipts.checking import InLog, Verdict, check_receipt
from outreach.services.receipts.making import issue
from outreach.services.receipts.showing import as_text
from outreach.services.transparency.publish import publish
from outreach.store import receipts as store
from tests.factories import World

DAY = 86_400
CAPS = ((1, 7 * DAY), (1, 30 * DAY), (2, 10 * DAY))
_days = itertools.count(1)

people = st.integers(0, 1)
places = st.integers(0, 60)


class Receipts(RuleBasedStateMachine):
    """Two people and a topic whose consents live 90 days. The clock only goes on, from example to example too."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world, self.ctx = world, world.ctx
        self.topic, self.text = world.topic()
        self.people = [world.person(), world.person()]
        self.kept: dict[str, str] = {}
        self.told: dict[int, list[tuple[Event, State, tuple[int, int] | None]]] = {one.id: [] for one in self.people}
        self.state = {one.id: State.NONE for one in self.people}
        self.own: dict[int, tuple[int, int] | None] = {one.id: None for one in self.people}
        self.before: dict[int, State] = {}

    @initialize()
    def begin(self) -> None:
        for who in range(len(self.people)):
            self._change(who, Event.CONFIRMED, CAPS[0])

    @rule(who=people, place=places, own=st.sampled_from(CAPS))
    def change(self, who: int, place: int, own: tuple[int, int]) -> None:
        person = self.people[who].id
        legal = [event for event in sorted(set(Event) - {Event.SOFT}) if self._is_legal(person, event)]
        self._change(who, legal[place % len(legal)], own)

    def _is_legal(self, person: int, event: Event) -> bool:
        try:
            transition(self.state[person], event, self.before.get(person))
        except ConflictError:
            return False
        return True

    def _change(self, who: int, event: Event, own: tuple[int, int]) -> None:
        person = self.people[who].id
        lowered = own if event == Event.LIMITED else None
        change = Change(
            contact=person,
            topic=self.topic,
            event=event,
            text=self.text,
            own=lowered,
            paused_until=1 if event == Event.PAUSED else None,
            before=self.before.get(person),
        )
        actor = ENGINE if event in {Event.EXPIRED, Event.LAPSED} else RECIPIENT
        was = self.state[person]
        with self.ctx.db.transaction() as conn:
            (applied,) = apply_changes(conn, self.ctx, self.ctx.db.now(conn), actor=actor, changes=[change])
        self._note(person, event, was, applied.state, lowered)

    def _note(self, person: int, event: Event, was: State, after: State, lowered: tuple[int, int] | None) -> None:
        if event in {Event.LIMITED, Event.UNLIMITED}:
            self.own[person] = lowered
        elif event in {Event.CONFIRMED, Event.IMPORTED} and was not in LIVE:
            self.own[person] = None
        if event == Event.WITHDRAWN and was in LIVE:
            self.before[person] = was
        always = {Event.CONFIRMED, Event.PAUSED, Event.LIMITED, Event.UNLIMITED}
        if event in EVENTS and (was != after or event in always):
            self.told[person].append((event, after, self.own[person] if after in LIVE else None))
        self.state[person] = after

    @rule()
    def publish(self) -> None:
        clock = self.ctx.settings.clock_file
        assert clock is not None
        clock.write_text(str(next(_days) * DAY))
        publish(self.ctx, 1)
        for text in [*self._texts().values(), *list(self.kept.values())[-3:]]:
            found = check_receipt(self.ctx, text)
            assert (found.verdict, found.in_log) == (Verdict.GENUINE, InLog.HELD)
            assert found.receipt is not None
            self.kept[found.receipt.id] = text

    @invariant()
    def every_event_has_one_receipt_that_says_what_was_pressed(self) -> None:
        for person in self.told:
            with self.ctx.db.reading() as conn:
                rows = store.events_of(conn, person, sorted(EVENTS))
                made = [issue(conn, self.ctx, row).receipt for row in rows]
            assert [(one.event, one.state, one.own) for one in made] == self.told[person]
            assert len({one.id for one in made}) == len(made)

    def _texts(self) -> dict[str, str]:
        """The last receipts of each person, signed."""
        found = {}
        with self.ctx.db.reading() as conn:
            for person in self.told:
                for row in store.events_of(conn, person, sorted(EVENTS))[-2:]:
                    found[row.ref.hex()] = as_text(issue(conn, self.ctx, row).document)
        return found


def test_receipts_always_agree_with_what_was_pressed(world: World) -> None:
    lived: list[Receipts] = []

    class InOneWorld(Receipts):
        def __init__(self) -> None:
            super().__init__(world)
            lived.append(self)

    thorough = settings(
        max_examples=12,
        stateful_step_count=12,
        deadline=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(InOneWorld, settings=thorough)
    told = {event for machine in lived for story in machine.told.values() for event, _, _ in story}
    assert len(told) > 4
    assert sum(len(machine.kept) for machine in lived) > 5
