"""What an officer sees of inviters, in numbers and without names, and stopping and restoring one."""

import json
import secrets
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event, insert, select

from outreach.domain.actors import ENGINE, Actor, Role
from outreach.domain.errors import ConflictError, InvalidInputError, NotAllowedError, NotFoundError
from outreach.domain.invitation import Allowance, Record
from outreach.services import appeals, suspension
from outreach.services.context import Context
from outreach.services.invitation_desk import (
    InviterLine,
    list_inviters,
    restore_inviter,
    see_inviter,
    see_volumes,
    suspend_inviter,
)
from outreach.services.outbox import withhold_invitation
from outreach.store import members
from outreach.store.audit import Entry, record
from outreach.store.invitations import record_of
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.campaigns import message
from outreach.store.schema.members import invitation, member
from tests.factories import DAY, MadeMember, World
from tests.services.past_invitations import invited
from tests.services.people import move_clock

OFFICER = Actor("staff:" + "0" * 32, frozenset({Role.OFFICER}))
OTHERS = Actor("staff:" + "1" * 32, frozenset({Role.ADMINISTRATOR, Role.MARKETER}))
REASON = "three complaints by telephone"


def entries(ctx: Context, kind: str) -> list[tuple[bytes | None, str, dict[str, Any]]]:
    with ctx.db.reading() as conn:
        rows = conn.execute(select(audit_entry).where(audit_entry.c.kind == kind).order_by(audit_entry.c.id)).all()
    return [(row.contact, row.actor, json.loads(row.body)) for row in rows]


def suspend_by_rule(ctx: Context, who: MadeMember, why: str = "reports") -> bool:
    with ctx.db.transaction() as conn:
        row = members.by_id(conn, who.id)
        assert row is not None
        return suspension.suspend(conn, ctx.db.now(conn), row, why, ENGINE)


def standing(ctx: Context, who: MadeMember) -> tuple[bool, str | None]:
    with ctx.db.reading() as conn:
        row = conn.execute(select(member.c.suspended, member.c.suspended_for).where(member.c.id == who.id)).one()
    return row.suspended is not None, row.suspended_for


def mailed(ctx: Context, world: World, inviter: MadeMember, state: str, reason: str | None, *, days: float = 1) -> None:
    person = world.person()
    ref = invited(ctx, inviter, way="mail", days=days, mailbox=person.mailbox, contact=person.id)
    with ctx.db.transaction() as conn:
        about = conn.execute(select(invitation.c.id, invitation.c.asked).where(invitation.c.ref == ref)).one()
        values = {
            "ref": secrets.token_bytes(16),
            "origin": "invitation",
            "kind": "service",
            "lane": "4-invitation",
            "contact": person.id,
            "mailbox": person.mailbox,
            "invitation": about.id,
            "planned": about.asked,
            "due": about.asked,
            "settled": about.asked + 60_000_000,
            "state": state,
            "reason": reason,
        }
        conn.execute(insert(message).values(values))


def lines(ctx: Context, page: int = 1) -> dict[bytes, InviterLine]:
    return {line.ref: line for line in list_inviters(ctx, OFFICER, page).lines}


def test_volumes_are_counted_over_a_week_and_a_month(ctx: Context, world: World) -> None:
    alice, bob = world.member(), world.member()
    invited(ctx, alice, "accepted", way="hand", days=2)
    invited(ctx, alice, "declined", way="hand", days=2)
    invited(ctx, bob, "never", way="link", days=6)
    invited(ctx, bob, "reported", days=20)
    invited(ctx, bob, "expired", way="hand", days=20)
    invited(ctx, bob, way="hand", days=29)
    invited(ctx, bob, "accepted", days=31)
    week, month = see_volumes(ctx, OFFICER).volumes
    assert (week.days, week.by_hand, week.by_mail, week.by_link, week.made) == (7, 2, 0, 1, 3)
    assert (week.accepted, week.declined, week.never, week.reported, week.expired) == (1, 1, 1, 0, 0)
    assert (month.days, month.by_hand, month.by_mail, month.by_link) == (30, 4, 1, 1)
    assert (month.accepted, month.refused, month.reported, month.expired) == (1, 3, 1, 1)


def test_the_days_add_up_to_the_month(ctx: Context, world: World) -> None:
    alice = world.member()
    for days in (0.5, 2.5, 3.5, 28.5):
        invited(ctx, alice, "declined", days=days)
    seen = see_volumes(ctx, OFFICER)
    assert len(seen.bars) == 30
    assert [bar.start for bar in seen.bars] == sorted(bar.start for bar in seen.bars)
    assert sum(bar.made for bar in seen.bars) == sum(bar.refused for bar in seen.bars) == seen.volumes[1].made == 4
    assert [bar.made for bar in seen.bars[-4:]] == [1, 1, 0, 1]


def test_mails_are_counted_by_what_became_of_them_with_reasons_in_words(ctx: Context, world: World) -> None:
    alice = world.member()
    mailed(ctx, world, alice, "sent", None)
    mailed(ctx, world, alice, "sent", None, days=10)
    mailed(ctx, world, alice, "withheld", "never")
    mailed(ctx, world, alice, "withheld", "inviter_stopped")
    mailed(ctx, world, alice, "withheld", "inviter_stopped")
    week, month = see_volumes(ctx, OFFICER).volumes
    assert (week.sent, month.sent) == (1, 2)
    assert week.withheld == (("The inviter was stopped, or invitations by mail are off", 2), ("Asked not to", 1))


def test_mails_never_planned_are_counted_once_for_people_we_hold_and_for_others(ctx: Context, world: World) -> None:
    person = world.person()
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        ref = withhold_invitation(conn, now, person, None, "bounce")
        body = {"invitation": "00" * 16, "mail": "withheld", "reason": "bounce"}
        record(
            conn,
            now,
            Entry(kind="invitation.decided", actor="engine", contact=person.ref, message=ref, body=body),
            Entry(kind="invitation.decided", actor="engine", body={**body, "reason": "never"}),
            Entry(kind="invitation.decided", actor="engine", body={"mail": "queued", "reason": None}),
        )
    week, _month = see_volumes(ctx, OFFICER).volumes
    assert (week.sent, week.withheld) == (0, (("Address does not work", 1), ("Asked not to", 1)))


def test_an_inviter_is_judged_by_the_numbers_the_rules_judge_by(ctx: Context, world: World) -> None:
    alice = world.member()
    for answer in ("accepted", "declined", "reported", "expired", "", "cancelled"):
        invited(ctx, alice, answer)
    for way in ("hand", "link"):  # she could have answered the one, and typed nothing into the other
        for answer in ("accepted", "reported"):
            invited(ctx, alice, answer, way=way)
    invited(ctx, alice, "reported", days=91)
    line = lines(ctx)[alice.ref]
    assert line.record == Record(accepted=1, refused=2, reported=1, unaccepted=4)
    with ctx.db.reading() as conn:
        assert line.record == record_of(conn, alice.id, ctx.db.now(conn))
    assert (line.made, line.by_mail, line.by_hand, line.by_link, line.refused_percent) == (10, 6, 2, 2, 67)
    assert (line.state, line.allowed) == ("tightened", Allowance(2, 10))


@pytest.mark.parametrize("answer", ["", "declined", "never", "reported", "expired"])
def test_an_allowance_tells_nobodys_answer(ctx: Context, world: World, answer: str) -> None:
    alice = world.member()
    for _ in range(4):
        invited(ctx, alice, "declined", way="hand")
        invited(ctx, alice)
    over = lines(ctx)[alice.ref].allowed
    with ctx.db.reading() as conn:
        later = ctx.db.now(conn) + 86_400_000_000
    invited(ctx, alice, answer, expires=later)
    assert lines(ctx)[alice.ref].allowed == over
    move_clock(ctx, 2 * 86_400)
    assert lines(ctx)[alice.ref].allowed == Allowance(1, 5)


def test_inviters_go_by_a_code_alone(ctx: Context, world: World) -> None:
    alice = world.member("anna.berg@example.org", "Anna Berg")
    invited(ctx, alice, "declined")
    seen = (list_inviters(ctx, OFFICER), see_inviter(ctx, OFFICER, alice.ref))
    assert all("anna" not in repr(one).lower() for one in seen)
    with ctx.db.reading() as conn:
        code = conn.execute(select(member.c.code)).scalar_one()
    assert lines(ctx)[alice.ref].code == code


def test_the_worst_stand_first_and_whoever_appeals_above_them(ctx: Context, world: World) -> None:
    quiet, liked, refused, reported, appealing = (world.member() for _ in range(5))
    invited(ctx, liked, "accepted")
    invited(ctx, refused, "declined")
    invited(ctx, reported, "reported")
    suspend_by_rule(ctx, appealing)
    appeals.write_appeal(ctx, appealing.actor, "I know these people.")
    order = [line.ref for line in list_inviters(ctx, OFFICER).lines]
    assert order == [appealing.ref, reported.ref, refused.ref, liked.ref]
    assert quiet.ref not in order


def test_inviters_come_fifty_a_page(ctx: Context, world: World) -> None:
    everybody = [world.member() for _ in range(53)]
    for one in everybody:
        invited(ctx, one)
    first, second = list_inviters(ctx, OFFICER), list_inviters(ctx, OFFICER, 2)
    assert (first.page, first.pages, len(first.lines)) == (1, 2, 50)
    assert (second.page, len(second.lines)) == (2, 3)
    assert {line.ref for line in first.lines + second.lines} == {one.ref for one in everybody}
    assert list_inviters(ctx, OFFICER, 99) == second
    assert list_inviters(ctx, OFFICER, -1) == first


@pytest.mark.parametrize("look", [see_volumes, list_inviters])
def test_as_many_statements_however_many_invite(
    ctx: Context, world: World, look: Callable[[Context, Actor], object]
) -> None:
    def statements() -> int:
        seen: list[str] = []

        def keep(*args: Any) -> None:
            seen.append(args[2])

        event.listen(ctx.db.engine, "before_cursor_execute", keep)
        try:
            look(ctx, OFFICER)
        finally:
            event.remove(ctx.db.engine, "before_cursor_execute", keep)
        return len(seen)

    invited(ctx, world.member(), "declined")
    before = statements()
    for _ in range(8):
        one = world.member()
        invited(ctx, one, "declined")
        invited(ctx, one, "reported", way="link")
        suspend_by_rule(ctx, one)
    assert statements() == before
    assert before <= 6


def test_an_inviters_weeks_and_invitations_tell_no_more_than_numbers_and_answers(ctx: Context, world: World) -> None:
    alice, bob = world.member(), world.member()
    refs = [invited(ctx, alice, answer, way="hand", days=8) for answer in ("accepted", "reported", "")]
    refs.append(invited(ctx, alice, "declined", days=1))
    invited(ctx, bob, "reported")
    view = see_inviter(ctx, OFFICER, alice.ref)
    assert [(week.made, week.accepted, week.refused, week.reported) for week in view.weeks if week.made] == [
        (3, 1, 1, 1),
        (1, 0, 1, 0),
    ]
    assert [week.start - view.weeks[0].start for week in view.weeks] == [n * 7 * DAY for n in range(len(view.weeks))]
    assert [line.ref for line in view.invitations] == refs[::-1]
    assert [(line.way, line.answer, line.report) for line in view.invitations] == [
        ("mail", "declined", ""),
        ("hand", "", ""),
        ("hand", "reported", "unwanted"),
        ("hand", "accepted", ""),
    ]


def test_an_inviters_invitations_come_fifty_a_page(ctx: Context, world: World) -> None:
    alice = world.member()
    refs = [invited(ctx, alice) for _ in range(52)]
    view = see_inviter(ctx, OFFICER, alice.ref, 2)
    assert (view.page, view.pages) == (2, 2)
    assert [line.ref for line in view.invitations] == [refs[1], refs[0]]


def test_a_stranger_is_no_inviter(ctx: Context) -> None:
    for attempt in (
        lambda: see_inviter(ctx, OFFICER, b"x" * 16),
        lambda: suspend_inviter(ctx, OFFICER, b"x" * 16, REASON),
        lambda: restore_inviter(ctx, OFFICER, b"x" * 16, REASON),
    ):
        with pytest.raises(NotFoundError):
            attempt()


def test_the_rules_suspend_once_and_the_log_says_by_which_numbers(ctx: Context, world: World) -> None:
    alice = world.member()
    for _ in range(3):
        invited(ctx, alice, "reported")
    assert suspend_by_rule(ctx, alice)
    assert not suspend_by_rule(ctx, alice, "refusals")
    assert standing(ctx, alice) == (True, "reports")
    ((contact, actor, body),) = entries(ctx, "member.suspended")
    assert (contact, actor) == (alice.person.ref, "engine")
    assert body["member"] == alice.ref.hex()
    assert (body["why"], body["accepted"], body["refused"], body["reported"]) == ("reports", 0, 3, 3)


def test_an_officer_suspends_with_a_reason_whose_addresses_are_masked(ctx: Context, world: World) -> None:
    alice = world.member()
    suspend_inviter(ctx, OFFICER, alice.ref, "anna.berg@example.org was invited at home")
    assert standing(ctx, alice) == (True, "officer")
    ((_, actor, body),) = entries(ctx, "member.suspended")
    assert (actor, body["why"]) == (OFFICER.name, "officer")
    assert body["reason"] == "a•••@e•••.org was invited at home"
    with pytest.raises(ConflictError):
        suspend_inviter(ctx, OFFICER, alice.ref, REASON)
    assert len(entries(ctx, "member.suspended")) == 1


def test_after_restoring_earlier_answers_count_no_more(ctx: Context, world: World) -> None:
    alice = world.member()
    for _ in range(3):
        invited(ctx, alice, "reported")
    suspend_by_rule(ctx, alice)
    restore_inviter(ctx, OFFICER, alice.ref, REASON)
    assert standing(ctx, alice) == (False, None)
    assert lines(ctx)[alice.ref].record == Record()
    assert lines(ctx)[alice.ref].state == "free"
    move_clock(ctx, 3 * 86_400)
    invited(ctx, alice, "declined", days=1)
    assert lines(ctx)[alice.ref].record == Record(refused=1, unaccepted=1)
    assert [act.kind for act in see_inviter(ctx, OFFICER, alice.ref).acts] == ["member.suspended", "member.restored"]


def test_restoring_answers_the_appeal_that_waits(ctx: Context, world: World) -> None:
    alice = world.member()
    suspend_by_rule(ctx, alice)
    appeals.write_appeal(ctx, alice.actor, "I know these people.")
    restore_inviter(ctx, OFFICER, alice.ref, REASON)
    assert see_inviter(ctx, OFFICER, alice.ref).appeal is None
    (appeal,) = appeals.see_standing(ctx, alice.actor).appeals
    assert (appeal.answer, appeal.reason) == ("lifted", REASON)


def test_who_is_not_suspended_cannot_be_restored(ctx: Context, world: World) -> None:
    alice = world.member()
    with pytest.raises(ConflictError):
        restore_inviter(ctx, OFFICER, alice.ref, REASON)
    assert entries(ctx, "member.restored") == []


def test_who_left_cannot_be_suspended(ctx: Context, world: World) -> None:
    alice = world.member()
    with ctx.db.transaction() as conn:
        members.change(conn, alice.id, closed=ctx.db.now(conn))
    with pytest.raises(ConflictError):
        suspend_inviter(ctx, OFFICER, alice.ref, REASON)


@pytest.mark.parametrize("reason", ["", "because", "x" * 501])
def test_neither_is_done_without_a_real_reason(ctx: Context, world: World, reason: str) -> None:
    alice, bob = world.member(), world.member()
    suspend_by_rule(ctx, bob)
    for act, who in ((suspend_inviter, alice), (restore_inviter, bob)):
        with pytest.raises(InvalidInputError) as caught:
            act(ctx, OFFICER, who.ref, reason)
        assert caught.value.field == "reason"
    assert standing(ctx, alice) == (False, None)
    assert standing(ctx, bob) == (True, "reports")


@pytest.mark.parametrize("is_member", [False, True])
def test_only_an_officer_looks_or_acts(ctx: Context, world: World, is_member: bool) -> None:
    alice = world.member()
    actor = alice.actor if is_member else OTHERS
    for attempt in (
        lambda: see_volumes(ctx, actor),
        lambda: list_inviters(ctx, actor),
        lambda: see_inviter(ctx, actor, alice.ref),
        lambda: suspend_inviter(ctx, actor, alice.ref, REASON),
        lambda: restore_inviter(ctx, actor, alice.ref, REASON),
    ):
        with pytest.raises(NotAllowedError):
            attempt()
