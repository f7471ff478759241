"""Whoever is invited can look, decline, bar and report for ever, and their address goes when nothing else needs it."""

import pytest
from sqlalchemy import select, update

from outreach.domain.actors import RECIPIENT, Actor
from outreach.domain.errors import ConflictError, TokenError
from outreach.domain.invitation import Answer, Report, Way
from outreach.domain.tokens import Purpose
from outreach.services import answers, suspension
from outreach.services.confirm import Client
from outreach.services.context import Context
from outreach.services.invitations import expire_invitations, process_invitations
from outreach.services.invite import list_sent, see_sent, send_invitation, send_reminder
from outreach.services.withdraw import view_stop, withdraw
from outreach.store import members
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import consent
from outreach.store.schema.members import invitation, member
from outreach.store.schema.people import contact_key, suppression
from tests.factories import MadeMember, World
from tests.services.connecting import everything, row_of
from tests.services.people import count, hand_off_everything, link, move_clock
from tests.services.pressing import BOB, draft, mailed, mails, press, set_policy

DAY = 86_400
REFUSALS = ("decline", "never", "report")


@pytest.fixture
def alice(ctx: Context, world: World) -> MadeMember:
    set_policy(ctx, a_day=50, a_month=50)
    return world.member("alice@example.org", "Alice Berg")


def refuse(ctx: Context, token: str, how: str) -> answers.InvitationView:
    if how == "report":
        return answers.report(ctx, token, Report.HARASSMENT)
    view: answers.InvitationView = getattr(answers, how)(ctx, token)
    return view


def held(ctx: Context) -> int:
    """How many people we hold."""
    return count(ctx, contact_key)


def test_the_page_explains_and_opening_it_changes_nothing(ctx: Context, world: World, alice: MadeMember) -> None:
    token = mailed(ctx, alice.actor, note="We met at the seed swap.", relationship="colleague", locale="sv")
    entries = count(ctx, audit_entry)
    view = answers.view_invitation(ctx, token)
    assert (view.way, view.inviter, view.note) == (Way.MAIL, "Alice Berg", "We met at the seed swap.")
    assert (view.relationship, view.locale, view.masked) == ("colleague", "sv", "b•••@e•••.net")
    assert (view.answer, view.can_accept, view.can_ask_reminder, view.reminder) == ("", True, True, "")
    assert view.house.name == "Northfield Garden Society"
    assert view == answers.view_invitation(ctx, token)
    assert count(ctx, audit_entry) == entries


@pytest.mark.parametrize("how", REFUSALS)
def test_a_refusal_erases_a_stranger_at_once_and_twice_is_once(ctx: Context, alice: MadeMember, how: str) -> None:
    token = mailed(ctx, alice.actor)
    before = held(ctx)
    view = refuse(ctx, token, how)
    entries = count(ctx, audit_entry)
    assert view.answer == {"decline": "declined", "never": "never", "report": "reported"}[how]
    assert (view.masked, view.can_accept, view.can_ask_reminder) == ("", False, False)
    assert held(ctx) == before - 1
    assert refuse(ctx, token, how) == view
    assert count(ctx, audit_entry) == entries


@pytest.mark.parametrize("how", REFUSALS)
def test_whoever_is_held_for_something_else_stays(ctx: Context, world: World, alice: MadeMember, how: str) -> None:
    topic, text = world.topic()
    bob = world.person(BOB)
    world.grant(bob, topic, text)
    before = held(ctx)
    refuse(ctx, mailed(ctx, alice.actor), how)
    assert held(ctx) == before
    with ctx.db.reading() as conn:
        state = conn.execute(select(consent.c.state)).scalar_one()
    assert state == ("withdrawn" if how == "never" else "granted")


@pytest.mark.parametrize(
    ("first", "then", "answer"),
    [
        ("decline", "never", "never"),
        ("decline", "report", "reported"),
        ("report", "never", "never"),
        ("report", "decline", "reported"),
        ("never", "decline", "never"),
        ("never", "report", "never"),
    ],
)
def test_the_stronger_answer_stands(ctx: Context, alice: MadeMember, first: str, then: str, answer: str) -> None:
    token = mailed(ctx, alice.actor)
    refuse(ctx, token, first)
    view = refuse(ctx, token, then)
    assert view.answer == answer
    assert view.is_reported == ("report" in {first, then})
    assert count(ctx, suppression) == ("never" in {first, then})


@pytest.mark.parametrize("how", REFUSALS)
def test_every_answer_works_after_the_address_was_erased(ctx: Context, alice: MadeMember, how: str) -> None:
    token = mailed(ctx, alice.actor)
    move_clock(ctx, 400 * DAY)
    expire_invitations(ctx)
    assert answers.view_invitation(ctx, token).answer == "expired"
    refuse(ctx, token, how)
    press(ctx, alice.actor)
    assert mails(ctx)[-1] == ("withheld", "never" if how == "never" else "invited_before")
    dora = press(ctx, alice.actor, "dora@example.net")
    assert row_of(ctx, dora).decided


def test_never_bars_every_spelling_and_every_inviter_even_of_a_mailbox_we_forgot(
    ctx: Context, world: World, alice: MadeMember
) -> None:
    carol = world.member("carol@example.org", "Carol")
    token = mailed(ctx, alice.actor)
    answers.decline(ctx, token)
    answers.never(ctx, token)
    press(ctx, carol.actor, "Bob+garden@example.net")
    assert mails(ctx)[-1] == ("withheld", "never")
    assert held(ctx) == 2


def test_never_ends_what_others_asked_without_blaming_them(ctx: Context, world: World, alice: MadeMember) -> None:
    carol = world.member("carol@example.org", "Carol")
    token = mailed(ctx, alice.actor)
    ref = press(ctx, carol.actor)
    answers.never(ctx, token)
    assert mails(ctx) == [("sent", None), ("withheld", "invitation_ended")]
    assert row_of(ctx, ref).answer == "expired"
    assert see_sent(ctx, carol.actor, ref).state == "open"
    assert held(ctx) == 2


def test_one_click_in_the_mails_header_is_never_again(ctx: Context, alice: MadeMember) -> None:
    mailed(ctx, alice.actor)
    with ctx.db.reading() as conn:
        ref = conn.execute(select(message.c.ref)).scalar_one()
    token = link(ctx, Purpose.STOP, ref)
    assert view_stop(ctx, token).is_invitation
    done = withdraw(ctx, token, "one-click", Client())
    assert (done.changed, done.undo) == (1, None)
    assert withdraw(ctx, token, "one-click", Client()).changed == 0
    assert count(ctx, suppression) == 1
    with ctx.db.reading() as conn:
        assert conn.execute(select(invitation.c.answer)).scalar_one() == "never"


def test_a_refusal_meets_a_mail_that_is_still_to_go(ctx: Context, alice: MadeMember) -> None:
    token = mailed(ctx, alice.actor)
    answers.ask_reminder(ctx, token)
    send_reminder(ctx, alice.actor, list_sent(ctx, alice.actor)[0].ref)
    process_invitations(ctx)
    answers.decline(ctx, token)
    assert mails(ctx) == [("sent", None), ("withheld", "invitation_ended")]


def test_while_a_mail_is_being_handed_off_the_address_stays_and_goes_after(ctx: Context, alice: MadeMember) -> None:
    token = mailed(ctx, alice.actor)
    with ctx.db.transaction() as conn:
        conn.execute(update(message).values(state="attempted"))
    before = held(ctx)
    answers.decline(ctx, token)
    assert held(ctx) == before
    expire_invitations(ctx)
    assert held(ctx) == before
    with ctx.db.transaction() as conn:
        conn.execute(update(message).values(state="sent"))
    expire_invitations(ctx)
    assert held(ctx) == before - 1


def test_by_hand_one_no_closes_it_for_everybody(ctx: Context, alice: MadeMember) -> None:
    ref = send_invitation(ctx, alice.actor, draft(way=Way.HAND))
    token = link(ctx, Purpose.HAND, ref)
    assert answers.view_hand(ctx, token).can_accept
    assert answers.decline_hand(ctx, token).answer == "declined"
    assert not answers.view_hand(ctx, token).can_accept
    view = answers.report_hand(ctx, token, Report.ADVERTISING)
    assert (view.answer, view.is_reported, view.masked) == ("declined", False, "")


def test_by_hand_a_report_counts_while_it_is_open(ctx: Context, alice: MadeMember) -> None:
    token = link(ctx, Purpose.HAND, send_invitation(ctx, alice.actor, draft(way=Way.HAND)))
    view = answers.report_hand(ctx, token, Report.ADVERTISING)
    assert (view.answer, view.is_reported, view.masked) == ("reported", True, "")


@pytest.mark.parametrize("over", ["accepted", "declined", "cancelled", "reported", "expired", "past its time"])
def test_by_hand_nothing_counts_once_it_is_over(ctx: Context, world: World, alice: MadeMember, over: str) -> None:
    tokens = [link(ctx, Purpose.HAND, send_invitation(ctx, alice.actor, draft(way=Way.HAND))) for _ in range(3)]
    if over == "past its time":
        move_clock(ctx, 31 * DAY)
    else:
        with ctx.db.transaction() as conn:
            conn.execute(update(invitation).values(answer=over, answered=ctx.db.now(conn)))
    before = everything(ctx)
    for token in tokens:
        views = [answers.decline_hand(ctx, token), answers.report_hand(ctx, token, Report.UNWANTED)]
        assert {view.answer for view in views} == {"expired" if over == "past its time" else over}
    assert everything(ctx) == before
    assert suspended_for(ctx, alice) is None


def test_a_refusal_that_replaces_another_is_answered_when_the_first_was(ctx: Context, alice: MadeMember) -> None:
    ref = press(ctx, alice.actor)
    hand_off_everything(ctx)
    token = link(ctx, Purpose.INVITATION, ref)
    answers.decline(ctx, token)
    first = row_of(ctx, ref).answered
    move_clock(ctx, 30 * DAY)
    answers.report(ctx, token, Report.UNWANTED)
    answers.never(ctx, token)
    row = row_of(ctx, ref)
    assert (row.answer, row.report, row.answered) == ("never", "unwanted", first)


def test_old_answers_pressed_again_do_not_stop_who_was_let_invite_again(ctx: Context, alice: MadeMember) -> None:
    tokens = [mailed(ctx, alice.actor, f"person{n}@example.net") for n in range(3)]
    for token in tokens:
        answers.report(ctx, token, Report.UNWANTED)
    move_clock(ctx, 3 * DAY)
    with ctx.db.transaction() as conn:
        row = members.by_id(conn, alice.id)
        assert row is not None
        suspension.restore(conn, ctx.db.now(conn), row, Actor("staff:" + "0" * 32), said={})
    move_clock(ctx, 30 * DAY)
    for token in tokens:
        answers.never(ctx, token)
    assert suspended_for(ctx, alice) is None


def test_links_of_one_kind_do_not_work_as_another(ctx: Context, alice: MadeMember) -> None:
    by_mail, by_hand = press(ctx, alice.actor), send_invitation(ctx, alice.actor, draft(way=Way.HAND))
    for wrong in (link(ctx, Purpose.HAND, by_hand), link(ctx, Purpose.INVITATION, by_hand), "t1.abc"):
        with pytest.raises(TokenError):
            answers.never(ctx, wrong)
    for wrong in (link(ctx, Purpose.INVITATION, by_mail), link(ctx, Purpose.HAND, by_mail)):
        with pytest.raises(TokenError):
            answers.decline_hand(ctx, wrong)
    with pytest.raises(TokenError):
        answers.view_invitation(ctx, link(ctx, Purpose.INVITATION, bytes(16)))


def test_a_reminder_can_be_asked_for_while_the_invitation_is_open(ctx: Context, alice: MadeMember) -> None:
    token = mailed(ctx, alice.actor)
    entries = count(ctx, audit_entry)
    assert answers.ask_reminder(ctx, token).reminder == "asked"
    assert answers.ask_reminder(ctx, token).reminder == "asked"
    assert count(ctx, audit_entry) == entries + 1
    late = mailed(ctx, alice.actor, "dora@example.net")
    move_clock(ctx, 15 * DAY)
    assert not answers.view_invitation(ctx, late).can_ask_reminder
    with pytest.raises(ConflictError):
        answers.ask_reminder(ctx, late)


def test_an_answer_is_not_taken_back_by_a_weaker_press_after_accepting(ctx: Context, alice: MadeMember) -> None:
    token = mailed(ctx, alice.actor)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        conn.execute(update(invitation).values(answer=str(Answer.ACCEPTED), answered=now))
    assert answers.decline(ctx, token).answer == "accepted"
    view = answers.report(ctx, token, Report.UNWANTED)
    assert (view.answer, view.is_reported) == ("accepted", True)
    assert answers.never(ctx, token).answer == "accepted"
    entries = count(ctx, audit_entry)
    assert answers.never(ctx, token).answer == "accepted"
    assert (count(ctx, suppression), count(ctx, audit_entry)) == (1, entries)


def test_a_confirmed_request_that_its_owner_has_not_answered_can_be_withdrawn(ctx: Context, alice: MadeMember) -> None:
    token = mailed(ctx, alice.actor)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        values = {"way": "link", "answer": str(Answer.ACCEPTED), "answered": now}
        conn.execute(update(invitation).values(values))
    assert answers.decline(ctx, token).answer == "declined"


def test_three_reports_suspend_the_inviter_at_once(ctx: Context, alice: MadeMember) -> None:
    tokens = [mailed(ctx, alice.actor, f"person{n}@example.net") for n in range(4)]
    for token in tokens[:2]:
        answers.report(ctx, token, Report.UNWANTED)
    assert suspended_for(ctx, alice) is None
    answers.report(ctx, tokens[2], Report.UNWANTED)
    assert suspended_for(ctx, alice) == "reports"
    assert count(ctx, audit_entry, audit_entry.c.kind == "member.suspended") == 1
    answers.report(ctx, tokens[3], Report.UNWANTED)
    assert count(ctx, audit_entry, audit_entry.c.kind == "member.suspended") == 1
    assert not answers.view_invitation(ctx, tokens[3]).can_accept


def test_nine_refusals_in_ten_suspend_too(ctx: Context, alice: MadeMember) -> None:
    set_policy(ctx, a_day=50, a_month=200)
    tokens = [mailed(ctx, alice.actor, f"person{n}@example.net") for n in range(10)]
    for token in tokens[:9]:
        answers.decline(ctx, token)
    assert suspended_for(ctx, alice) is None
    answers.decline(ctx, tokens[9])
    assert suspended_for(ctx, alice) == "refusals"


def suspended_for(ctx: Context, who: MadeMember) -> str | None:
    with ctx.db.reading() as conn:
        why: str | None = conn.execute(select(member.c.suspended_for).where(member.c.id == who.id)).scalar_one()
        return why


def test_what_is_not_a_refusal_cannot_be_settled_as_one(ctx: Context, alice: MadeMember) -> None:
    row = row_of(ctx, press(ctx, alice.actor))
    with ctx.db.transaction() as conn:
        for answer, why in ((Answer.ACCEPTED, None), (Answer.REPORTED, None), (Answer.DECLINED, Report.UNWANTED)):
            with pytest.raises(ValueError, match="not a refusal"):
                answers.settle_refusal(conn, ctx, 1, row, answer, why=why, actor=RECIPIENT)


def test_a_view_of_a_closed_inviter_names_nobody_and_accepts_nothing(ctx: Context, alice: MadeMember) -> None:
    token = mailed(ctx, alice.actor)
    with ctx.db.transaction() as conn:
        conn.execute(update(member).values(closed=1, name_box=None))
    view = answers.view_invitation(ctx, token)
    assert (view.inviter, view.can_accept) == ("", False)
    assert answers.decline(ctx, token).answer == "declined"
