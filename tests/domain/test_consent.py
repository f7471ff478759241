"""The consent machine, driven at random against what PRODUCT.md promises of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from outreach.domain.consent import LIVE, Event, State, transition
from outreach.domain.errors import ConflictError

OUTSIDERS = (Event.REQUESTED, Event.DECLINED, Event.LAPSED)
STATES = st.sampled_from(State)


@given(STATES)
def test_submitting_an_address_moves_nobody_but_a_stranger(state: State) -> None:
    after = transition(state, Event.REQUESTED)
    assert after == (State.PENDING if state == State.NONE else state)


@given(STATES)
def test_confirming_grants_from_everywhere(state: State) -> None:
    assert transition(state, Event.CONFIRMED) == State.GRANTED


@given(STATES, st.sampled_from((Event.DECLINED, Event.LAPSED)))
def test_an_unanswered_or_declined_request_ends_only_what_it_began(state: State, event: Event) -> None:
    assert transition(state, event) == (State.NONE if state == State.PENDING else state)


@given(STATES, st.sampled_from((Event.WITHDRAWN, Event.COMPLAINED)))
def test_withdrawing_and_complaining_are_never_refused_and_twice_is_once(state: State, event: Event) -> None:
    once = transition(state, event)
    assert once not in LIVE
    assert transition(once, event) == once


@given(STATES.filter(lambda state: state not in {State.NONE, State.PENDING}))
def test_an_import_revives_nobody(state: State) -> None:
    with pytest.raises(ConflictError):
        transition(state, Event.IMPORTED)


def test_a_purchase_revives_nobody_who_objected() -> None:
    with pytest.raises(ConflictError):
        transition(State.WITHDRAWN, Event.SOFT)


@given(STATES, STATES)
def test_undo_restores_only_what_a_withdrawal_ended(state: State, before: State) -> None:
    if state == State.WITHDRAWN and before in LIVE:
        assert transition(state, Event.RESTORED, before) == before
    else:
        with pytest.raises(ConflictError):
            transition(state, Event.RESTORED, before)


@given(STATES.filter(lambda state: state not in LIVE), st.sampled_from((Event.RESUMED, Event.PAUSED, Event.LIMITED)))
def test_only_a_live_consent_can_be_paused_resumed_or_limited(state: State, event: Event) -> None:
    with pytest.raises(ConflictError):
        transition(state, event)


class Life(RuleBasedStateMachine):
    """One consent through any history. `agreed` is what a witness would say: has the owner a live yes, or bought?"""

    def __init__(self) -> None:
        super().__init__()
        self.state = State.NONE
        self.agreed = False
        self.before: State | None = None

    def _do(self, event: Event) -> None:
        self.state = transition(self.state, event)

    @rule(event=st.sampled_from(OUTSIDERS))
    def anybody_meddles(self, event: Event) -> None:
        was = self.state
        self._do(event)
        assert was == self.state or {was, self.state} <= {State.NONE, State.PENDING}

    @rule()
    def the_owner_confirms(self) -> None:
        self._do(Event.CONFIRMED)
        self.agreed, self.before = True, None

    @rule(event=st.sampled_from((Event.WITHDRAWN, Event.COMPLAINED)))
    def the_owner_stops(self, event: Event) -> None:
        if self.state in LIVE and event == Event.WITHDRAWN:
            self.before = self.state
        self._do(event)
        self.agreed = False

    @precondition(lambda self: self.state == State.WITHDRAWN and self.before is not None)
    @rule()
    def the_owner_undoes(self) -> None:
        self.state = transition(self.state, Event.RESTORED, self.before)
        self.agreed, self.before = True, None

    @precondition(lambda self: self.state in LIVE)
    @rule(event=st.sampled_from((Event.PAUSED, Event.RESUMED, Event.LIMITED, Event.UNLIMITED)))
    def the_owner_adjusts(self, event: Event) -> None:
        self._do(event)

    @rule()
    def time_runs_out(self) -> None:
        self._do(Event.EXPIRED)
        self.agreed = False

    @precondition(lambda self: self.state in {State.NONE, State.PENDING})
    @rule()
    def an_evidenced_yes_is_imported(self) -> None:
        self._do(Event.IMPORTED)
        self.agreed = True

    @precondition(lambda self: self.state != State.WITHDRAWN)
    @rule()
    def they_buy_something(self) -> None:
        was = self.state
        self._do(Event.SOFT)
        assert self.state == (State.PAUSED if was == State.PAUSED else State.GRANTED)
        self.agreed = True

    @invariant()
    def what_is_live_is_the_owners_own_yes_or_purchase(self) -> None:
        assert (self.state in LIVE) == self.agreed


TestLife = Life.TestCase
