"""The message machine: nothing final moves, but the unknown by an officer's word; a place is kept until the end."""

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from outreach.domain.errors import ConflictError
from outreach.domain.message import (
    COUNTED,
    FINAL,
    RESERVING,
    TRANSITIONS,
    MessageEvent,
    MessageState,
    move,
    retry_delay,
)

MINUTE = 60_000_000
RULINGS = {MessageEvent.FIND, MessageEvent.MISS}


class Life(RuleBasedStateMachine):
    """Any order of events, from any beginning."""

    def __init__(self) -> None:
        super().__init__()
        self.state = MessageState.WAITING
        self.handed_off = 0
        self.found = False

    @rule(event=st.sampled_from(MessageEvent))
    def happen(self, event: MessageEvent) -> None:
        before = self.state
        try:
            self.state = move(before, event)
        except ConflictError:
            assert (before, event) not in TRANSITIONS
            return
        assert before not in FINAL or event in RULINGS
        self.found = event is MessageEvent.FIND
        self.handed_off += event is MessageEvent.ACCEPT
        if before in RESERVING and self.state not in RESERVING:
            assert self.state in FINAL

    @invariant()
    def it_is_sent_at_most_once(self) -> None:
        assert self.handed_off <= 1
        assert (self.handed_off == 1 or self.found) == (self.state is MessageState.SENT)


TestLife = Life.TestCase
TestLife.settings = settings(max_examples=50, stateful_step_count=20, deadline=None)


def test_only_an_attempt_leads_to_an_outcome() -> None:
    for event in (MessageEvent.ACCEPT, MessageEvent.REJECT, MessageEvent.LOSE):
        assert [state for state, one in TRANSITIONS if one is event] == [MessageState.ATTEMPTED]


def test_waiting_reserves_nothing_and_withheld_counts_nowhere() -> None:
    assert MessageState.WAITING not in COUNTED
    assert MessageState.WITHHELD not in COUNTED
    assert MessageState.FAILED not in COUNTED


@pytest.mark.parametrize("attempts", range(1, 9))
def test_a_refusal_is_tried_again_after_half_an_hour_at_the_soonest(attempts: int) -> None:
    assert retry_delay(attempts, reached=True) >= 30 * MINUTE
    assert MINUTE <= retry_delay(attempts, reached=False) <= 10 * MINUTE
