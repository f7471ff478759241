"""The engine alone looks up who is invited: it mails, withholds with a reason, or waits, and time erases."""

import json
from functools import partial

import pytest
from sqlalchemy import insert, select, update

from outreach.domain.frequency import Cap
from outreach.domain.invitation import Report, Way
from outreach.services import answers
from outreach.services.context import Context
from outreach.services.invitations import expire_invitations, process_invitations
from outreach.services.invite import list_sent, send_invitation, send_reminder
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import request
from outreach.store.schema.members import invitation, member
from outreach.store.schema.organisation import controller
from outreach.store.schema.people import contact, contact_key, mailbox, suppression
from tests.factories import MadeMember, World
from tests.services.at_once import at_once
from tests.services.connecting import row_of
from tests.services.people import count, letter, move_clock
from tests.services.pressing import BOB, draft, mailed, mails, press, set_policy

DAY = 86_400
KEPT = 14 * DAY


@pytest.fixture
def alice(ctx: Context, world: World) -> MadeMember:
    set_policy(ctx, a_day=50, a_month=50)
    return world.member("alice@example.org", "Alice Berg")


@pytest.fixture
def carol(ctx: Context, world: World) -> MadeMember:
    return world.member("carol@example.org", "Carol")


def decided(ctx: Context) -> list[tuple[str, str | None]]:
    """(mail, reason) of every decision in the log."""
    query = select(audit_entry.c.body).where(audit_entry.c.kind == "invitation.decided").order_by(audit_entry.c.id)
    with ctx.db.reading() as conn:
        bodies = [json.loads(body) for body in conn.execute(query).scalars()]
    return [(body["mail"], body["reason"]) for body in bodies]


def still_open(ctx: Context) -> int:
    return count(ctx, request, request.c.settled.is_(None))


def test_a_stranger_gets_a_row_a_key_and_one_planned_mail(ctx: Context, alice: MadeMember) -> None:
    before = count(ctx, contact_key)
    row = row_of(ctx, press(ctx, alice.actor, locale="nl"))
    with ctx.db.reading() as conn:
        mail = conn.execute(select(message)).one()
        bob = conn.execute(select(contact).where(contact.c.id == row.contact)).one()
    assert (mail.origin, mail.kind, mail.lane) == ("invitation", "promotional", "4-invitation")
    assert (mail.state, mail.invitation, mail.contact) == ("planned", row.id, row.contact)
    assert (bob.locale, bob.timezone, row.mailbox) == ("nl", "UTC", bob.mailbox)
    assert row.decided is not None
    assert count(ctx, contact_key) == before + 1
    assert decided(ctx) == [("queued", None)]
    assert still_open(ctx) == 0


def test_two_spellings_of_one_mailbox_are_one_recipient(ctx: Context, alice: MadeMember) -> None:
    first = press(ctx, alice.actor)
    second = press(ctx, alice.actor, "BOB+friends@example.net")
    assert mails(ctx) == [("planned", None), ("withheld", "invited_before")]
    assert row_of(ctx, first).mailbox is not None
    assert (row_of(ctx, second).mailbox, row_of(ctx, second).contact) == (None, None)


def test_two_presses_in_one_batch_meet_each_other(ctx: Context, alice: MadeMember, carol: MadeMember) -> None:
    set_policy(ctx, recipient=Cap(1, 30 * DAY))
    for who in (alice, alice, carol):
        send_invitation(ctx, who.actor, draft())
    process_invitations(ctx)
    assert mails(ctx) == [("planned", None), ("withheld", "invited_before")]
    assert still_open(ctx) == 1


def test_whoever_is_withheld_from_is_forgotten_at_once(ctx: Context, alice: MadeMember, carol: MadeMember) -> None:
    answers.never(ctx, mailed(ctx, alice.actor))
    before = count(ctx, contact_key)
    ref = press(ctx, carol.actor, "bob+two@example.net")
    assert mails(ctx)[-1] == ("withheld", "never")
    assert count(ctx, contact_key) == before
    assert row_of(ctx, ref).contact is None


def test_over_the_recipients_cap_it_waits_and_then_goes(ctx: Context, alice: MadeMember, carol: MadeMember) -> None:
    set_policy(ctx, recipient=Cap(1, 10 * DAY))
    mailed(ctx, alice.actor)
    ref = press(ctx, carol.actor)
    assert mails(ctx) == [("sent", None)]
    assert row_of(ctx, ref).decided is None
    move_clock(ctx, 10 * DAY - 120)
    process_invitations(ctx)
    assert len(mails(ctx)) == 1
    move_clock(ctx, 10 * DAY + 5)
    process_invitations(ctx)
    assert mails(ctx) == [("sent", None), ("planned", None)]
    assert decided(ctx) == [("queued", None), ("queued", None)]


def test_a_wait_longer_than_its_time_ends_it(ctx: Context, alice: MadeMember, carol: MadeMember) -> None:
    set_policy(ctx, recipient=Cap(1, 30 * DAY))
    mailed(ctx, alice.actor)
    ref = press(ctx, carol.actor)
    assert mails(ctx) == [("sent", None), ("withheld", "cap_invitations")]
    assert row_of(ctx, ref).answer is None
    assert still_open(ctx) == 0


def test_promotions_and_invitations_stand_in_one_ledger(ctx: Context, world: World, alice: MadeMember) -> None:
    topic, text = world.topic()
    bob = world.person(BOB)
    world.grant(bob, topic, text)
    world.cap("promotional", 1, 2 * DAY)
    letter(ctx, world, bob.id, topic, kind="promotional")
    press(ctx, alice.actor)
    assert mails(ctx) == []
    move_clock(ctx, 2 * DAY + 5)
    process_invitations(ctx)
    assert mails(ctx) == [("planned", None)]


def test_a_persons_own_ceiling_counts_too(ctx: Context, world: World, alice: MadeMember) -> None:
    topic, _ = world.topic()
    bob = world.person(BOB)
    with ctx.db.transaction() as conn:
        own = {"own_total_n": 1, "own_total_window": 5 * DAY}
        conn.execute(update(contact).where(contact.c.id == bob.id).values(own))
    letter(ctx, world, bob.id, topic)
    press(ctx, alice.actor)
    assert mails(ctx) == []
    move_clock(ctx, 5 * DAY + 5)
    process_invitations(ctx)
    assert mails(ctx) == [("planned", None)]


def test_at_quiet_hours_nothing_is_planned_before_they_end(ctx: Context, alice: MadeMember) -> None:
    with ctx.db.transaction() as conn:
        minute = ctx.db.now(conn) // 60_000_000 % 1440
        quiet = {"quiet_from": (minute - 60) % 1440, "quiet_to": (minute + 60) % 1440}
        conn.execute(update(controller).values(quiet))
    press(ctx, alice.actor)
    assert mails(ctx) == []
    move_clock(ctx, 3700)
    process_invitations(ctx)
    assert mails(ctx) == [("planned", None)]


@pytest.mark.parametrize("stopped", ["suspended", "closed"])
def test_what_a_stopped_member_had_pressed_is_not_planned(ctx: Context, alice: MadeMember, stopped: str) -> None:
    send_invitation(ctx, alice.actor, draft())
    with ctx.db.transaction() as conn:
        conn.execute(update(member).values({stopped: 1}))
    process_invitations(ctx)
    assert mails(ctx) == [("withheld", "inviter_stopped")]


def test_switched_off_meanwhile_by_mail_goes_no_more(ctx: Context, alice: MadeMember) -> None:
    send_invitation(ctx, alice.actor, draft())
    set_policy(ctx, by_mail=False)
    process_invitations(ctx)
    assert mails(ctx) == [("withheld", "inviter_stopped")]


def test_a_press_that_cannot_be_opened_stops_no_other(ctx: Context, alice: MadeMember) -> None:
    send_invitation(ctx, alice.actor, draft())
    with ctx.db.transaction() as conn:
        conn.execute(update(request).values(payload_box=bytes(40)))
    ref = send_invitation(ctx, alice.actor, draft("dora@example.net"))
    assert process_invitations(ctx) == 2
    assert row_of(ctx, ref).decided is not None
    assert still_open(ctx) == 1
    assert process_invitations(ctx) == 0


def test_unanswered_it_ends_and_the_stranger_is_erased_but_once_stays_once(
    ctx: Context, alice: MadeMember, carol: MadeMember
) -> None:
    people = count(ctx, contact_key)
    mailed(ctx, alice.actor, note="Hello")
    move_clock(ctx, KEPT - 60)
    assert expire_invitations(ctx) == 0
    move_clock(ctx, KEPT + 60)
    assert expire_invitations(ctx) > 0
    assert expire_invitations(ctx) == 0
    with ctx.db.reading() as conn:
        row = conn.execute(select(invitation)).one()
    assert (row.answer, row.note_box, row.label_box, row.contact) == ("expired", None, None, None)
    assert count(ctx, contact_key) == people
    press(ctx, alice.actor)
    assert mails(ctx)[-1] == ("withheld", "invited_before")
    press(ctx, carol.actor)
    assert mails(ctx)[-1] == ("planned", None)


def test_whoever_two_invite_is_held_until_the_last_is_over(
    ctx: Context, world: World, alice: MadeMember, carol: MadeMember
) -> None:
    token = mailed(ctx, alice.actor)
    mailed(ctx, carol.actor)
    before = count(ctx, contact_key)
    answers.decline(ctx, token)
    assert count(ctx, contact_key) == before
    move_clock(ctx, KEPT + 60)
    expire_invitations(ctx)
    assert count(ctx, contact_key) == before - 1


def test_a_mail_not_sent_in_time_is_withheld_when_it_ends(ctx: Context, alice: MadeMember) -> None:
    press(ctx, alice.actor)
    move_clock(ctx, KEPT + 60)
    expire_invitations(ctx)
    assert mails(ctx) == [("withheld", "invitation_ended")]
    assert count(ctx, contact_key) == 1


def test_by_hand_nobody_is_held_and_it_ends_after_its_days(ctx: Context, alice: MadeMember) -> None:
    ref = send_invitation(ctx, alice.actor, draft(way=Way.HAND, note="Hello"))
    people, boxes = count(ctx, contact), count(ctx, mailbox)
    move_clock(ctx, 30 * DAY + 60)
    expire_invitations(ctx)
    assert (row_of(ctx, ref).answer, row_of(ctx, ref).note_box) == ("expired", None)
    assert (count(ctx, contact), count(ctx, mailbox)) == (people, boxes)


def test_a_reminder_stands_under_the_same_caps(ctx: Context, alice: MadeMember) -> None:
    set_policy(ctx, recipient=Cap(1, 10 * DAY))
    answers.ask_reminder(ctx, mailed(ctx, alice.actor))
    ref = list_sent(ctx, alice.actor)[0].ref
    send_reminder(ctx, alice.actor, ref)
    process_invitations(ctx)
    assert mails(ctx) == [("sent", None)]
    move_clock(ctx, 10 * DAY + 60)
    process_invitations(ctx)
    assert mails(ctx) == [("sent", None), ("planned", None)]


def test_a_bar_put_after_the_press_counts(ctx: Context, world: World, alice: MadeMember) -> None:
    bob = world.person(BOB)
    send_invitation(ctx, alice.actor, draft())
    with ctx.db.transaction() as conn:
        key = conn.execute(select(contact.c.address_key).where(contact.c.id == bob.id)).scalar_one()
        bar = {"key": key, "scope": "address", "kind": "bounce", "lift": "officer", "since": 1}
        conn.execute(insert(suppression).values(bar))
    process_invitations(ctx)
    assert mails(ctx) == [("withheld", "bounce")]


def test_presses_at_the_same_instant_do_not_pass_the_allowance_together(ctx: Context, alice: MadeMember) -> None:
    set_policy(ctx, a_day=2)
    people = [f"person{n}@example.net" for n in range(6)]
    said = at_once(*(partial(send_invitation, ctx, alice.actor, draft(one)) for one in people))
    assert sum(isinstance(one, bytes) for one in said) == 2
    assert count(ctx, invitation) == 2


def test_reports_at_the_same_instant_are_all_counted(ctx: Context, alice: MadeMember) -> None:
    tokens = [mailed(ctx, alice.actor, f"person{n}@example.net") for n in range(4)]
    at_once(*(partial(answers.report, ctx, token, Report.UNWANTED) for token in tokens))
    assert count(ctx, audit_entry, audit_entry.c.kind == "member.suspended") == 1


def test_engines_at_the_same_instant_mail_one_mailbox_once(ctx: Context, alice: MadeMember, carol: MadeMember) -> None:
    set_policy(ctx, recipient=Cap(1, 30 * DAY), a_day=50)
    for who in (alice, carol, alice, carol):
        send_invitation(ctx, who.actor, draft())
    at_once(*(partial(process_invitations, ctx) for _ in range(3)))
    assert [state for state, _ in mails(ctx)].count("planned") == 1


def test_answers_and_the_clock_at_the_same_instant_end_it_once(ctx: Context, alice: MadeMember) -> None:
    token = mailed(ctx, alice.actor)
    move_clock(ctx, KEPT + 60)
    at_once(
        partial(answers.decline, ctx, token),
        partial(answers.never, ctx, token),
        partial(expire_invitations, ctx),
        partial(answers.report, ctx, token, Report.HARASSMENT),
    )
    expire_invitations(ctx)
    assert answers.view_invitation(ctx, token).answer == "never"
    assert count(ctx, audit_entry, audit_entry.c.kind == "contact.erased") == 1
    assert count(ctx, contact_key) == 1
