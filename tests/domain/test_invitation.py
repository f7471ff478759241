"""How many invitations a member may make, when one is suspended, and whether one mail may go, as pure rules."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outreach.domain.eligibility import Defer, Reason, Send, Withhold
from outreach.domain.frequency import SECOND, Cap, Past, allows
from outreach.domain.invitation import (
    Allowance,
    Answer,
    Facts,
    Policy,
    Record,
    allowance,
    decide,
    next_free,
    replaces,
    suspension,
)

HOUR = 3_600 * SECOND
DAY = 24 * HOUR
NOW = 1_000 * DAY

records = st.builds(
    lambda accepted, refused, reported, silent: Record(
        accepted, refused + reported, reported, refused + reported + silent
    ),
    st.integers(0, 30),
    st.integers(0, 30),
    st.integers(0, 30),
    st.integers(0, 6),
)
caps = st.builds(Cap, st.integers(1, 4), st.sampled_from([86_400, 7 * 86_400, 30 * 86_400]))
pasts = st.builds(
    lambda origin, kind, ago: Past(
        origin, kind, None, NOW - 40 * DAY, None if ago is None else NOW - ago * HOUR, ago is not None
    ),
    st.sampled_from(["campaign", "invitation", "confirmation", "notice"]),
    st.sampled_from(["promotional", "informational", "service"]),
    st.one_of(st.none(), st.integers(0, 24 * 35)),
)

OPEN = Facts(
    has_key=True,
    bars=frozenset(),
    is_open=True,
    is_inviter_active=True,
    may_mail=True,
    is_own=False,
    is_before=False,
    is_connected=False,
    ledger=(),
    recipient=Cap(2, 30 * 86_400),
)


def invitation(ago: int | None) -> Past:
    return Past("invitation", "promotional", None, NOW, None if ago is None else NOW - ago, ago is not None)


def test_an_open_invitation_to_a_stranger_may_go() -> None:
    assert decide(OPEN, NOW) == Send()


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"has_key": False}, Reason.ERASED),
        ({"bars": frozenset({"never", "deceased"})}, Reason.DECEASED),
        ({"bars": frozenset({"bounce"})}, Reason.BOUNCE),
        ({"is_open": False}, Reason.INVITATION_ENDED),
        ({"is_inviter_active": False}, Reason.INVITER_STOPPED),
        ({"may_mail": False}, Reason.INVITER_STOPPED),
        ({"is_own": True}, Reason.OWN_ADDRESS),
        ({"is_before": True}, Reason.INVITED_BEFORE),
        ({"is_connected": True}, Reason.CONNECTED),
    ],
)
def test_each_thing_that_stands_against_it_is_named(changed: dict[str, Any], reason: Reason) -> None:
    assert decide(replace(OPEN, **changed), NOW) == Withhold(reason)


def test_a_bar_is_named_before_all_else() -> None:
    facts = replace(OPEN, bars=frozenset({"never"}), is_open=False, is_before=True, is_own=True)
    assert decide(facts, NOW) == Withhold(Reason.NEVER)


def test_over_a_cap_it_waits_for_the_very_instant_a_place_is_free() -> None:
    facts = replace(OPEN, ledger=(invitation(5 * DAY), invitation(20 * DAY)))
    decision = decide(facts, NOW)
    assert decision == Defer(NOW + 10 * DAY)
    assert isinstance(decision, Defer)
    later = [replace(past) for past in facts.ledger]
    assert decide(replace(facts, ledger=tuple(later)), decision.until) == Send()
    assert isinstance(decide(facts, decision.until - 1), Defer)


def test_what_reserves_a_place_is_looked_at_again_within_the_hour() -> None:
    facts = replace(OPEN, recipient=Cap(1, 86_400), ledger=(invitation(None),))
    assert decide(facts, NOW) == Defer(NOW + HOUR)


def test_quiet_hours_begin_where_the_cap_ends() -> None:
    facts = replace(OPEN, recipient=Cap(1, 86_400), ledger=(invitation(DAY - HOUR),), quiet_from=0, quiet_to=120)
    midnight = NOW  # day 1,000 begins at midnight, UTC
    assert decide(facts, midnight) == Defer(midnight + 2 * HOUR)


@settings(deadline=None)
@given(ledger=st.lists(pasts, max_size=8), recipient=caps, promotional=st.lists(caps, max_size=2),
       total=st.lists(caps, max_size=2))  # fmt: skip
def test_it_goes_exactly_when_every_cap_has_room(
    ledger: list[Past], recipient: Cap, promotional: list[Cap], total: list[Cap]
) -> None:
    facts = replace(OPEN, ledger=tuple(ledger), recipient=recipient, promotional=tuple(promotional), total=tuple(total))
    room = allows([past for past in ledger if past.origin == "invitation"], recipient, NOW)
    room &= all(allows([past for past in ledger if past.is_promotional], cap, NOW) for cap in promotional)
    room &= all(allows([past for past in ledger if past.is_capped], cap, NOW) for cap in total)
    decision = decide(facts, NOW)
    assert (decision == Send()) == room
    if isinstance(decision, Defer):
        assert decision.until > NOW
    else:
        assert decision == Send()


@settings(deadline=None)
@given(ledger=st.lists(pasts.filter(lambda past: past.counted is not None), max_size=8), recipient=caps)
def test_a_wait_for_counted_mails_is_exact(ledger: list[Past], recipient: Cap) -> None:
    facts = replace(OPEN, ledger=tuple(ledger), recipient=recipient)
    decision = decide(facts, NOW)
    if isinstance(decision, Defer):
        assert decide(facts, decision.until) == Send()
        assert isinstance(decide(facts, decision.until - 1), Defer)


@settings(deadline=None)
@given(record=records, answered=st.integers(0, 30), reported=st.integers(0, 30))
def test_an_allowance_never_grows_with_a_no_and_tells_none_from_silence(
    record: Record, answered: int, reported: int
) -> None:
    policy = Policy(a_day=8, a_month=40)
    before = allowance(policy, record)
    after = allowance(policy, replace(record, unaccepted=record.unaccepted + 1))
    assert 1 <= after.a_day <= before.a_day <= 8
    assert 1 <= after.a_month <= before.a_month <= 40
    assert allowance(policy, replace(record, refused=answered, reported=reported)) == before


def test_an_allowance_tightens_with_what_is_not_accepted() -> None:
    policy = Policy(a_day=8, a_month=40)
    assert allowance(policy, Record(unaccepted=4)) == Allowance(8, 40)
    assert allowance(policy, Record(accepted=1, unaccepted=3)) == Allowance(8, 40)
    assert allowance(policy, Record(accepted=1, unaccepted=4)) == Allowance(4, 20)
    assert allowance(policy, Record(unaccepted=5)) == Allowance(2, 10)


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (Record(), ""),
        (Record(accepted=50, refused=2, reported=2), ""),
        (Record(accepted=50, refused=3, reported=3), "reports"),
        (Record(refused=9), ""),
        (Record(accepted=1, refused=8), ""),
        (Record(accepted=1, refused=9), "refusals"),
        (Record(accepted=2, refused=9), ""),
    ],
)
def test_three_reports_or_nine_refusals_in_ten_suspend(record: Record, why: str) -> None:
    assert suspension(record) == why


@settings(deadline=None)
@given(
    pressed=st.lists(st.integers(0, 40 * 24).map(lambda hours: NOW - hours * HOUR), max_size=30),
    allowed=st.builds(Allowance, st.integers(1, 5), st.integers(1, 20)),
)
def test_the_next_press_is_told_to_the_instant(pressed: list[int], allowed: Allowance) -> None:
    def has_room(at: int) -> bool:
        a_day = sum(1 for one in pressed if at - DAY < one)
        a_month = sum(1 for one in pressed if at - 30 * DAY < one)
        return a_day < allowed.a_day and a_month < allowed.a_month

    free = next_free(pressed, allowed, NOW)
    assert has_room(free)
    assert free == NOW or not has_room(free - 1)


def test_the_stronger_refusal_stands_and_so_does_a_yes() -> None:
    assert replaces(Answer.NEVER, Answer.DECLINED, is_waiting=False)
    assert replaces(Answer.DECLINED, Answer.EXPIRED, is_waiting=False)
    assert not replaces(Answer.DECLINED, Answer.REPORTED, is_waiting=False)
    assert not replaces(Answer.DECLINED, Answer.DECLINED, is_waiting=False)
    assert not replaces(Answer.NEVER, Answer.ACCEPTED, is_waiting=False)
    assert replaces(Answer.DECLINED, Answer.ACCEPTED, is_waiting=True)
