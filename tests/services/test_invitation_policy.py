"""The officer's rules of inviting: who may change them, within what, and what the log keeps."""

import json
from dataclasses import replace

import pytest
from sqlalchemy import func, select

from outreach.domain.actors import Actor, Role
from outreach.domain.errors import InvalidInputError, NotAllowedError
from outreach.domain.frequency import Cap
from outreach.domain.invitation import Policy
from outreach.services.context import Context
from outreach.services.invitation_policy import change_policy, see_policy
from outreach.store.invitations import policy_now
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.members import invitation_policy

OFFICER = Actor("staff:" + "0" * 32, frozenset({Role.OFFICER}))
OTHERS = Actor("staff:" + "1" * 32, frozenset({Role.ADMINISTRATOR, Role.MARKETER}))
REASON = "decided by the board on 12 November"
DAY = 86_400


def in_force(ctx: Context) -> Policy:
    with ctx.db.reading() as conn:
        return policy_now(conn)


def entries(ctx: Context) -> list[dict[str, object]]:
    with ctx.db.reading() as conn:
        query = select(audit_entry.c.body).where(audit_entry.c.kind == "policy.invitations-changed")
        return [json.loads(body) for body in conn.execute(query.order_by(audit_entry.c.id)).scalars()]


def test_nobody_is_mailed_an_invitation_until_an_officer_says_so(ctx: Context) -> None:
    seen = see_policy(ctx, OFFICER)
    assert not seen.policy.by_mail
    assert seen.since is None


def test_a_change_is_in_force_at_once_and_ends_the_version_before(ctx: Context) -> None:
    change_policy(ctx, OFFICER, Policy(by_mail=True, a_day=3, a_month=9, recipient=Cap(1, 60 * DAY)), REASON)
    change_policy(ctx, OFFICER, Policy(by_mail=False, a_day=3, a_month=9, keep_days=7), REASON)
    assert in_force(ctx) == Policy(by_mail=False, a_day=3, a_month=9, keep_days=7)
    seen = see_policy(ctx, OFFICER)
    assert seen.reason == REASON
    with ctx.db.reading() as conn:
        open_rows = select(func.count()).select_from(invitation_policy).where(invitation_policy.c.ended.is_(None))
        assert conn.execute(open_rows).scalar_one() == 1
        assert conn.execute(select(func.count()).select_from(invitation_policy)).scalar_one() == 2


def test_the_log_keeps_before_after_and_reason_with_addresses_masked(ctx: Context) -> None:
    change_policy(ctx, OFFICER, Policy(by_mail=True), "asked for by anna.berg@example.org of the board")
    (body,) = entries(ctx)
    before, after = body["before"], body["after"]
    assert isinstance(before, dict)
    assert isinstance(after, dict)
    assert (before["by_mail"], after["by_mail"]) == (0, 1)
    assert before["a_day"] == after["a_day"] == 5
    assert body["reason"] == "asked for by a•••@e•••.org of the board"


@pytest.mark.parametrize(
    ("policy", "field"),
    [
        (Policy(a_day=0), "a_day"),
        (Policy(a_day=51, a_month=60), "a_day"),
        (Policy(a_day=5, a_month=4), "a_month"),
        (Policy(a_month=201), "a_month"),
        (Policy(recipient=Cap(21, DAY)), "recipient_n"),
        (Policy(recipient=Cap(-1, DAY)), "recipient_n"),
        (Policy(recipient=Cap(1, 0)), "recipient_days"),
        (Policy(recipient=Cap(1, 367 * DAY)), "recipient_days"),
        (Policy(recipient=Cap(1, DAY + 1)), "recipient_days"),
        (Policy(keep_days=0), "keep_days"),
        (Policy(keep_days=61), "keep_days"),
    ],
)
def test_what_is_out_of_bounds_is_named_and_changes_nothing(ctx: Context, policy: Policy, field: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        change_policy(ctx, OFFICER, policy, REASON)
    assert caught.value.field == field
    assert in_force(ctx) == Policy()
    assert entries(ctx) == []


@pytest.mark.parametrize("reason", ["", "because", "x" * 501])
def test_a_change_without_a_real_reason_changes_nothing(ctx: Context, reason: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        change_policy(ctx, OFFICER, Policy(by_mail=True), reason)
    assert caught.value.field == "reason"
    assert in_force(ctx) == Policy()


def test_the_bounds_themselves_may_be_set(ctx: Context) -> None:
    most = Policy(by_mail=True, a_day=50, a_month=200, recipient=Cap(20, 366 * DAY), keep_days=60)
    least = Policy(by_mail=False, a_day=1, a_month=1, recipient=Cap(0, DAY), keep_days=1)
    for policy in (most, least):
        change_policy(ctx, OFFICER, policy, REASON)
        assert in_force(ctx) == policy


def test_the_same_rules_again_are_no_change(ctx: Context) -> None:
    changed = replace(Policy(), by_mail=True)
    change_policy(ctx, OFFICER, changed, REASON)
    with pytest.raises(InvalidInputError):
        change_policy(ctx, OFFICER, changed, REASON)
    assert len(entries(ctx)) == 1


def test_only_an_officer_sees_or_changes_the_rules(ctx: Context) -> None:
    with pytest.raises(NotAllowedError):
        see_policy(ctx, OTHERS)
    with pytest.raises(NotAllowedError):
        change_policy(ctx, OTHERS, Policy(by_mail=True), REASON)
