"""What a policy's value may be, and what lets people get more."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from outreach.domain import policies
from outreach.domain.errors import InvalidInputError
from outreach.domain.frequency import Cap, Past, allows
from outreach.domain.invitation import Policy
from outreach.domain.policies import Name, checked, defaults, loosens, of_caps, of_inviting

DAY = 86_400
SECOND = 1_000_000
ASKING = {"on": True, "days_before": 30, "silent_days": None}
caps = st.builds(lambda n, hours: (n, hours * 3600), st.integers(0, 6), st.integers(1, 72))


@pytest.mark.parametrize("name", list(Name))
def test_what_the_product_brings_is_itself_a_value_and_loosens_nothing(name: Name) -> None:
    assert checked(name, defaults(name)) == defaults(name)
    assert not loosens(name, defaults(name), defaults(name))


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        (Name.CAP_TOTAL, of_caps(), "caps"),
        (Name.CAP_TOTAL, of_caps((1001, DAY)), "caps"),
        (Name.CAP_PROMOTIONAL, of_caps((1, 3599)), "caps"),
        (Name.CAP_PROMOTIONAL, of_caps((1, 367 * DAY)), "caps"),
        (Name.CAP_PROMOTIONAL, of_caps((1, DAY), (2, DAY), (3, DAY), (4, DAY)), "caps"),
        (Name.QUIET_HOURS, {"from": 0, "to": 1440}, "to"),
        (Name.GIVE_RATIO, {"least": 101}, "least"),
        (Name.RETENTION, {"most_days": 0}, "most_days"),
        (Name.EXPIRY, {"most_days": 3661}, "most_days"),
        (Name.APPROVALS, {"campaign_over": -1}, "over"),
        (Name.NOTICE, {"days": 0}, "days"),
        (Name.NOTICE, {"days": True}, "days"),
        (Name.BOUNCES, {"hard": 6, "soft": 5, "rest_days": 7}, "hard"),
        (Name.BOUNCES, {"hard": 1, "soft": 21, "rest_days": 7}, "soft"),
        (Name.BOUNCES, {"hard": 1, "soft": 5, "rest_days": 0}, "rest_days"),
        (Name.LINES, {"complaints": 101, "bounces": 500, "least": 200}, "complaints"),
        (Name.LINES, {"complaints": 30, "bounces": 0, "least": 200}, "bounces"),
        (Name.LINES, {"complaints": 30, "bounces": 500, "least": 0}, "least"),
        (Name.REPLIES, {"most": -1, "days": 7, "blocks": False}, "most"),
        (Name.REPLIES, {"most": 5, "days": 0, "blocks": False}, "days"),
        (Name.RE_PERMISSION, {"on": True, "days_before": 0, "silent_days": None}, "days_before"),
        (Name.RE_PERMISSION, {"on": True, "days_before": 9, "silent_days": 9}, "silent_days"),
        (Name.SOFT_OPT_IN, {"on": True, "months": 25}, "months"),
        (Name.INVITATIONS, of_inviting(Policy(a_day=0)), "a_day"),
        (Name.INVITATIONS, of_inviting(Policy(a_day=51, a_month=60)), "a_day"),
        (Name.INVITATIONS, of_inviting(Policy(a_day=5, a_month=4)), "a_month"),
        (Name.INVITATIONS, of_inviting(Policy(a_month=201)), "a_month"),
        (Name.INVITATIONS, of_inviting(Policy(recipient=Cap(21, DAY))), "recipient_n"),
        (Name.INVITATIONS, of_inviting(Policy(recipient=Cap(1, DAY + 1))), "recipient_days"),
        (Name.INVITATIONS, of_inviting(Policy(recipient=Cap(1, 367 * DAY))), "recipient_days"),
        (Name.INVITATIONS, of_inviting(Policy(keep_days=61)), "keep_days"),
    ],
)
def test_what_is_out_of_bounds_is_named(name: Name, value: policies.Value, field: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        checked(name, value)
    assert caught.value.field == field
    assert "Nothing was changed" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        (Name.CAP_TOTAL, of_caps((4, 7 * DAY)), of_caps((5, 7 * DAY))),
        (Name.CAP_TOTAL, of_caps((4, 7 * DAY)), of_caps((4, 6 * DAY))),
        (Name.CAP_PROMOTIONAL, of_caps((1, DAY)), of_caps()),
        (Name.CAP_PROMOTIONAL, of_caps((1, DAY), (3, 7 * DAY)), of_caps((1, DAY))),
        (Name.QUIET_HOURS, {"from": 1260, "to": 480}, {"from": 1261, "to": 480}),
        (Name.QUIET_HOURS, {"from": 1260, "to": 480}, {"from": 0, "to": 0}),
        (Name.GIVE_RATIO, {"least": 2}, {"least": 1}),
        (Name.RETENTION, {"most_days": 30}, {"most_days": 31}),
        (Name.EXPIRY, {"most_days": 30}, {"most_days": None}),
        (Name.INVITATIONS, of_inviting(Policy()), of_inviting(Policy(by_mail=True))),
        (Name.INVITATIONS, of_inviting(Policy()), of_inviting(Policy(keep_days=15))),
        (Name.INVITATIONS, of_inviting(Policy()), of_inviting(Policy(recipient=Cap(3, 30 * DAY)))),
        (Name.APPROVALS, {"campaign_over": 9, "reveals": 0, "policies": 0}, defaults(Name.APPROVALS)),
        (Name.APPROVALS, {**defaults(Name.APPROVALS), "reveals": True}, defaults(Name.APPROVALS)),
        (Name.NOTICE, {"days": 14}, {"days": 13}),
        (Name.BOUNCES, defaults(Name.BOUNCES), {"hard": 2, "soft": 5, "rest_days": 7}),
        (Name.BOUNCES, defaults(Name.BOUNCES), {"hard": 1, "soft": 5, "rest_days": 6}),
        (Name.LINES, defaults(Name.LINES), {"complaints": 30, "bounces": 500, "least": 201}),
        (Name.REPLIES, {"most": 5, "days": 7, "blocks": True}, defaults(Name.REPLIES)),
        (Name.RE_PERMISSION, defaults(Name.RE_PERMISSION), ASKING),
        (Name.RE_PERMISSION, ASKING, {**ASKING, "silent_days": 90}),
        (Name.RE_PERMISSION, ASKING, {**ASKING, "days_before": 31}),
        (Name.SOFT_OPT_IN, defaults(Name.SOFT_OPT_IN), {"on": True, "months": 6}),
        (Name.SOFT_OPT_IN, {"on": True, "months": 6}, {"on": True, "months": 7}),
    ],
)
def test_a_change_either_way_is_told_apart(name: Name, before: policies.Value, after: policies.Value) -> None:
    assert loosens(name, before, after)
    assert not loosens(name, after, before)


@given(before=st.lists(caps, max_size=2), after=st.lists(caps, max_size=2), sent=st.lists(st.integers(0, 200)))
def test_caps_that_are_said_not_to_loosen_never_allow_what_the_earlier_ones_refuse(
    before: list[tuple[int, int]], after: list[tuple[int, int]], sent: list[int]
) -> None:
    """Send hour by hour whatever the new caps allow: the old ones must have allowed it too."""
    if loosens(Name.CAP_PROMOTIONAL, of_caps(*before), of_caps(*after)):
        return
    ledger: list[Past] = []
    for hour in sorted(sent):
        now = (1000 + hour) * 3600 * SECOND
        if all(allows(ledger, Cap(*cap), now) for cap in after):
            assert all(allows(ledger, Cap(*cap), now) for cap in before)
            ledger.append(Past("campaign", "promotional", 1, now, now, True))


@pytest.mark.parametrize("name", [Name.RE_PERMISSION, Name.SOFT_OPT_IN])
def test_what_is_switched_off_lets_nobody_get_anything_whatever_else_it_says(name: Name) -> None:
    longer = {"days_before": 180, "silent_days": 90, "months": 24}
    assert not loosens(name, {**defaults(name), "months": 1}, {**defaults(name), **longer})
    assert policies.is_told(name)
