"""A member looks, presses once, and learns of a yes and of nothing else; a press looks the same for everybody."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event, insert, select, update

from outreach.domain.actors import VISITOR
from outreach.domain.errors import ConflictError, InvalidInputError, NotAllowedError, NotFoundError
from outreach.domain.invitation import Answer, Report, Way
from outreach.domain.tokens import Purpose
from outreach.services import answers
from outreach.services.context import Context
from outreach.services.invitations import expire_invitations, process_invitations
from outreach.services.invite import (
    AllowanceError,
    Draft,
    cancel_invitation,
    check_draft,
    list_sent,
    may_invite,
    see_sent,
    send_invitation,
    send_reminder,
)
from outreach.store import suppressions
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.consents import request
from outreach.store.schema.members import connection, invitation, member
from outreach.store.schema.people import contact
from tests.factories import MadeMember, World
from tests.services.connecting import row_of
from tests.services.people import count, link, move_clock
from tests.services.pressing import BOB, draft, mailed, mails, press, set_policy

DAY = 86_400


@pytest.fixture
def alice(ctx: Context, world: World) -> MadeMember:
    set_policy(ctx)
    return world.member("alice@example.org", "Alice Berg")


@contextmanager
def statements(ctx: Context) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        seen.append(statement)

    event.listen(ctx.db.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(ctx.db.engine, "before_cursor_execute", note)


def _everybody(ctx: Context, world: World, alice: MadeMember) -> list[str]:
    """Addresses of all sorts of people, as Alice may know them."""
    topic, text = world.topic()
    subscriber, friend, barred = (world.person(f"{name}@example.net") for name in ("subscriber", "friend", "barred"))
    world.grant(subscriber, topic, text)
    world.member("member@example.net", "Mia")
    invited = row_of(ctx, press(ctx, alice.actor, "invited@example.net"))
    with ctx.db.transaction() as conn:
        key = conn.execute(select(contact.c.address_key).where(contact.c.id == barred.id)).scalar_one()
        suppressions.put(conn, world.now, [suppressions.Bar(key, "address", "never", "officer")])
        low, high = sorted((alice.person.id, friend.id))
        values = {"ref": bytes(16), "invitation": invited.id, "low": low, "high": high, "since": world.now}
        conn.execute(insert(connection).values(values))
    names = ("unknown", "subscriber", "friend", "barred", "member", "invited")
    return [f"{name}@example.net" for name in names] + ["alice@example.org"]


def test_whoever_is_invited_the_same_statements_run_and_the_same_comes_back(
    ctx: Context, world: World, alice: MadeMember
) -> None:
    set_policy(ctx, a_day=50, a_month=50)
    traces, results = [], []
    for address in _everybody(ctx, world, alice):
        with statements(ctx) as seen:
            ref = send_invitation(ctx, alice.actor, draft(address))
        traces.append(seen)
        shown = see_sent(ctx, alice.actor, ref)
        results.append((type(ref), len(ref), shown.state, shown.wants_reminder, shown.reminded, shown.hand_url))
    assert len(traces[0]) > 5
    assert all(trace == traces[0] for trace in traces)
    assert set(results) == {(bytes, 16, "open", False, False, "")}
    process_invitations(ctx)
    assert {one.state for one in list_sent(ctx, alice.actor)} == {"open"}
    reasons = sorted(reason or "" for _, reason in mails(ctx))
    assert reasons == ["", "", "", "", "connected", "invited_before", "never", "own_address"]


def test_a_press_writes_one_invitation_one_request_and_one_entry(ctx: Context, alice: MadeMember) -> None:
    before = count(ctx, contact)
    ref = send_invitation(ctx, alice.actor, draft(note="Hello from the seed swap."))
    assert (count(ctx, invitation), count(ctx, request), count(ctx, contact)) == (1, 1, before)
    with ctx.db.reading() as conn:
        row = conn.execute(select(audit_entry).where(audit_entry.c.kind == "invitation.asked")).one()
        typed = conn.execute(select(request.c.payload_box)).scalar_one()
    assert (row.actor, row.contact) == (alice.actor.name, alice.person.ref)
    assert json.loads(row.body)["invitation"] == ref.hex()
    assert BOB.encode() not in typed
    assert "seed swap" not in row.body


def test_by_hand_only_the_row_is_written_and_the_link_stays_the_same(ctx: Context, alice: MadeMember) -> None:
    ref = send_invitation(ctx, alice.actor, draft(way=Way.HAND))
    assert count(ctx, request) == 0
    first, second = (see_sent(ctx, alice.actor, ref) for _ in range(2))
    assert first.hand_url == second.hand_url
    base, _, token = first.hand_url.rpartition("/")
    assert base == f"{ctx.settings.public_url}/hand"
    assert answers.view_hand(ctx, token).ref == ref
    assert (first.label, first.state) == ("", "open")


def test_the_label_is_masked_and_gone_with_the_note_when_the_time_is_over(ctx: Context, alice: MadeMember) -> None:
    ref = press(ctx, alice.actor, note="Hello")
    shown = see_sent(ctx, alice.actor, ref)
    assert (shown.label, shown.note) == ("b•••@e•••.net", "Hello")
    move_clock(ctx, 15 * DAY)
    expire_invitations(ctx)
    gone = see_sent(ctx, alice.actor, ref)
    assert (gone.label, gone.note, gone.state) == ("", "", "closed")


@pytest.mark.parametrize("answer", ["decline", "never", "report", "silence", "withheld"])
def test_a_refusal_reads_as_silence_until_and_after_its_time(
    ctx: Context, world: World, alice: MadeMember, answer: str
) -> None:
    if answer == "withheld":
        answers.never(ctx, mailed(ctx, world.member("carol@example.org", "Carol").actor))
    token = mailed(ctx, alice.actor, note="Hello")
    ref = list_sent(ctx, alice.actor)[0].ref
    fresh = see_sent(ctx, alice.actor, ref)
    if answer == "report":
        answers.report(ctx, token, Report.UNWANTED)
    elif answer in {"decline", "never"}:
        getattr(answers, answer)(ctx, token)
    expire_invitations(ctx)
    assert see_sent(ctx, alice.actor, ref) == fresh
    move_clock(ctx, 15 * DAY)
    assert see_sent(ctx, alice.actor, ref).state == "closed"
    expire_invitations(ctx)
    assert see_sent(ctx, alice.actor, ref).state == "closed"


def test_a_refused_invitation_is_taken_back_like_any_other(ctx: Context, alice: MadeMember) -> None:
    answers.decline(ctx, mailed(ctx, alice.actor))
    press(ctx, alice.actor, "dora@example.net")
    dora, bob = list_sent(ctx, alice.actor)
    for one in (dora, bob):
        cancel_invitation(ctx, alice.actor, one.ref)
        cancel_invitation(ctx, alice.actor, one.ref)
        assert see_sent(ctx, alice.actor, one.ref).state == "cancelled"
    assert row_of(ctx, bob.ref).answer == "declined"
    assert row_of(ctx, dora.ref).answer == "cancelled"


def test_one_taken_back_before_its_mail_went_is_not_mailed(ctx: Context, alice: MadeMember) -> None:
    ref = press(ctx, alice.actor)
    cancel_invitation(ctx, alice.actor, ref)
    expire_invitations(ctx)
    assert mails(ctx) == [("withheld", "invitation_ended")]
    assert row_of(ctx, ref).contact is None


def test_one_taken_back_before_the_engine_looked_leaves_nobody_behind(ctx: Context, alice: MadeMember) -> None:
    people = count(ctx, contact)
    cancel_invitation(ctx, alice.actor, send_invitation(ctx, alice.actor, draft()))
    process_invitations(ctx)
    assert count(ctx, contact) == people
    assert mails(ctx) == []
    assert count(ctx, request, request.c.settled.is_(None)) == 0


def test_one_that_is_over_cannot_be_taken_back(ctx: Context, alice: MadeMember) -> None:
    ref = press(ctx, alice.actor)
    move_clock(ctx, 15 * DAY)
    with pytest.raises(ConflictError):
        cancel_invitation(ctx, alice.actor, ref)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"address": "bob"}, "address"),
        ({"note": "see www.example.org"}, "note"),
        ({"note": "x" * 201}, "note"),
        ({"relationship": ""}, "relationship"),
        ({"relationship": "enemy"}, "relationship"),
        ({"locale": "xx"}, "locale"),
        ({"way": Way.LINK}, "way"),
    ],
)
def test_what_cannot_be_meant_is_named_by_its_field(
    ctx: Context, alice: MadeMember, changed: dict[str, Any], field: str
) -> None:
    wanted = Draft(**{"way": Way.MAIL, "address": BOB, "relationship": "friend", **changed})
    for act in (check_draft, send_invitation):
        with pytest.raises(InvalidInputError) as told:
            act(ctx, alice.actor, wanted)
        assert told.value.field == field
    assert count(ctx, invitation) == 0


def test_by_mail_is_off_until_an_officer_turns_it_on(ctx: Context, world: World) -> None:
    mia = world.member("mia@example.org", "Mia")
    assert not may_invite(ctx, mia.actor).by_mail
    with pytest.raises(InvalidInputError):
        send_invitation(ctx, mia.actor, draft())
    assert send_invitation(ctx, mia.actor, draft(way=Way.HAND))


def test_the_allowance_counts_both_ways_over_an_exact_day(ctx: Context, alice: MadeMember) -> None:
    set_policy(ctx, a_day=2, a_month=3)
    assert may_invite(ctx, alice.actor).left_today == 2
    press(ctx, alice.actor)
    move_clock(ctx, 3600)
    send_invitation(ctx, alice.actor, draft(way=Way.HAND))
    with pytest.raises(AllowanceError) as told:
        send_invitation(ctx, alice.actor, draft("dora@example.net"))
    may = may_invite(ctx, alice.actor)
    assert (may.left_today, may.next) == (0, told.value.next)
    move_clock(ctx, DAY - 5)
    with pytest.raises(AllowanceError):
        send_invitation(ctx, alice.actor, draft("dora@example.net"))
    move_clock(ctx, DAY + 5)
    send_invitation(ctx, alice.actor, draft("dora@example.net"))
    move_clock(ctx, 5 * DAY)
    with pytest.raises(AllowanceError):
        send_invitation(ctx, alice.actor, draft("emil@example.net"))
    move_clock(ctx, 31 * DAY)
    send_invitation(ctx, alice.actor, draft("emil@example.net"))


def test_neither_strangers_nor_the_suspended_nor_others_may(ctx: Context, world: World, alice: MadeMember) -> None:
    ref = press(ctx, alice.actor)
    with pytest.raises(NotAllowedError):
        send_invitation(ctx, VISITOR, draft())
    other = world.member("other@example.org", "Otto")
    for act in (see_sent, cancel_invitation):
        with pytest.raises(NotFoundError):
            act(ctx, other.actor, ref)
    with ctx.db.transaction() as conn:
        conn.execute(update(member).where(member.c.id == alice.id).values(suspended=world.now, suspended_for="officer"))
    for one in (check_draft, send_invitation):
        with pytest.raises(NotAllowedError):
            one(ctx, alice.actor, draft())
    assert may_invite(ctx, alice.actor).suspended
    assert see_sent(ctx, alice.actor, ref).state == "open"


def test_a_reminder_needs_the_recipients_wish_and_a_fresh_press_and_goes_once(ctx: Context, alice: MadeMember) -> None:
    token = mailed(ctx, alice.actor)
    ref = list_sent(ctx, alice.actor)[0].ref
    with pytest.raises(ConflictError):
        send_reminder(ctx, alice.actor, ref)
    answers.ask_reminder(ctx, token)
    process_invitations(ctx)
    assert mails(ctx) == [("sent", None)]
    assert see_sent(ctx, alice.actor, ref).wants_reminder
    send_reminder(ctx, alice.actor, ref)
    send_reminder(ctx, alice.actor, ref)
    process_invitations(ctx)
    assert mails(ctx) == [("sent", None), ("planned", None)]
    shown = see_sent(ctx, alice.actor, ref)
    assert (shown.wants_reminder, shown.reminded) == (False, True)
    assert not answers.ask_reminder(ctx, token).can_ask_reminder


def test_a_reminder_of_what_was_refused_meanwhile_is_not_sent_and_the_inviter_cannot_tell(
    ctx: Context, alice: MadeMember
) -> None:
    token = mailed(ctx, alice.actor)
    ref = list_sent(ctx, alice.actor)[0].ref
    answers.ask_reminder(ctx, token)
    answers.decline(ctx, token)
    assert see_sent(ctx, alice.actor, ref).wants_reminder
    send_reminder(ctx, alice.actor, ref)
    process_invitations(ctx)
    assert mails(ctx) == [("sent", None)]
    assert see_sent(ctx, alice.actor, ref).reminded


def test_accepting_is_the_one_thing_an_inviter_learns(ctx: Context, alice: MadeMember) -> None:
    ref = press(ctx, alice.actor)
    with ctx.db.transaction() as conn:
        values = {"answer": str(Answer.ACCEPTED), "answered": ctx.db.now(conn)}
        conn.execute(update(invitation).where(invitation.c.ref == ref).values(values))
    assert see_sent(ctx, alice.actor, ref).state == "accepted"
    with pytest.raises(ConflictError):
        cancel_invitation(ctx, alice.actor, ref)
    assert answers.view_invitation(ctx, link(ctx, Purpose.INVITATION, ref)).answer == "accepted"
