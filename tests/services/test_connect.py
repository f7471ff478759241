"""Asking through connect links: one row at the door, and no more mail than caps and budgets allow."""

from typing import Any

import pytest
from sqlalchemy import event, select, update

from outreach.domain.errors import ConflictError, InvalidInputError
from outreach.services.connect import (
    decline_connect,
    process_connects,
)
from outreach.services.connect_links import close_link, make_link, see_link
from outreach.services.context import Context
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import request
from outreach.store.schema.members import invitation
from tests.factories import DAY, World
from tests.services.asking import VICTIM, ask, asked, bar, connected, contact_of, mails, set_cap, stop, withheld
from tests.services.people import count, hand_off_everything, move_clock


def test_the_door_runs_the_same_statements_whoever_is_typed(ctx: Context, world: World) -> None:
    alice, bob = world.member("alice@example.org"), world.member("bob@example.org")
    ref = make_link(ctx, alice.actor, label="Blog")
    connected(ctx, alice, bob)
    bar(ctx, "barred@example.org")
    world.member("member@example.org")
    world.person("known@example.org")
    asked(ctx, ref, "asked@example.org")
    before = count(ctx, request)
    typed = ("unknown", "known", "member", "barred", "bob", "alice", "asked")
    traces: list[list[str]] = []
    for name in typed:
        trace: list[str] = []

        def note(_c: Any, _cur: Any, statement: str, *_rest: Any, trace: list[str] = trace) -> None:
            trace.append(statement)

        event.listen(ctx.db.engine, "before_cursor_execute", note)
        ask(ctx, ref, f"{name}@example.org")
        event.remove(ctx.db.engine, "before_cursor_execute", note)
        traces.append(trace)
    assert all(trace == traces[0] for trace in traces)
    assert [statement.split()[:3] for statement in traces[0] if not statement.startswith(("SELECT", "BEGIN"))] == [
        ["INSERT", "INTO", "request"]
    ]
    assert count(ctx, request) == before + len(typed)


def test_what_was_typed_is_sealed_until_decided(ctx: Context, world: World) -> None:
    ask(ctx, make_link(ctx, world.member().actor, label="Blog"))
    with ctx.db.reading() as conn:
        assert b"victim" not in conn.execute(select(request.c.payload_box)).scalar_one()
    assert process_connects(ctx) == 1
    with ctx.db.reading() as conn:
        assert conn.execute(select(request.c.payload_box)).scalar_one() is None
    assert process_connects(ctx) == 0


def test_an_ask_becomes_one_question_and_nothing_the_owner_sees(ctx: Context, world: World) -> None:
    alice = world.member()
    ref = make_link(ctx, alice.actor, label="Blog")
    before = see_link(ctx, alice.actor, ref)
    ask(ctx, ref)
    process_connects(ctx)
    with ctx.db.reading() as conn:
        row = conn.execute(select(invitation)).one()
        mail = conn.execute(select(message)).one()
    assert (row.way, row.member, row.contact, row.answer) == ("link", alice.id, contact_of(ctx), None)
    assert row.expires - row.asked >= 7 * DAY
    assert (mail.origin, mail.lane, mail.state, mail.invitation) == ("invitation", "4-invitation", "planned", row.id)
    assert see_link(ctx, alice.actor, ref) == before


def test_a_wrong_address_is_named_and_writes_nothing(ctx: Context, world: World) -> None:
    ref = make_link(ctx, world.member().actor, label="Blog")
    for wrong in ("", "alice", "alice@gmial.com"):
        with pytest.raises(InvalidInputError) as caught:
            ask(ctx, ref, wrong)
        assert caught.value.field == "address"
    assert count(ctx, request) == 0


def test_a_link_that_is_off_takes_no_ask(ctx: Context, world: World) -> None:
    alice, bob = world.member(), world.member()
    closed, stopped = make_link(ctx, alice.actor, label="Blog"), make_link(ctx, bob.actor, label="Blog")
    close_link(ctx, alice.actor, closed)
    stop(ctx, bob)
    for ref in (closed, stopped, b"n" * 16):
        with pytest.raises(ConflictError):
            ask(ctx, ref)
    assert count(ctx, request) == 0


def test_a_form_sent_at_once_waits_and_one_with_honey_is_dropped(ctx: Context, world: World) -> None:
    ref = make_link(ctx, world.member().actor, label="Blog")
    ask(ctx, ref, "quick@example.org", seconds=0.5)
    ask(ctx, ref, "bot@example.org", honey="x")
    assert process_connects(ctx) == 0
    move_clock(ctx, 3_700)
    assert process_connects(ctx) == 1
    assert mails(ctx) == 1


def test_asking_again_sends_nothing_more_whichever_link_of_hers_and_however_spelled(ctx: Context, world: World) -> None:
    alice = world.member()
    first, second = (make_link(ctx, alice.actor, label=label) for label in ("Blog", "Fair"))
    token = asked(ctx, first)
    ask(ctx, first)
    ask(ctx, second, "VICTIM+tag@example.org")
    process_connects(ctx)
    decline_connect(ctx, token)
    ask(ctx, second)
    process_connects(ctx)
    assert (mails(ctx), count(ctx, invitation)) == (1, 1)
    assert withheld(ctx) == ["invited_before"] * 3
    assert count(ctx, request, request.c.settled.is_(None)) == 0


def test_a_stranger_who_is_barred_is_not_mailed_and_not_remembered(ctx: Context, world: World) -> None:
    ref = make_link(ctx, world.member().actor, label="Blog")
    bar(ctx, VICTIM)
    ask(ctx, ref)
    process_connects(ctx)
    assert (count(ctx, message), count(ctx, invitation), contact_of(ctx)) == (0, 0, None)
    assert withheld(ctx) == ["never"]


def test_a_person_we_hold_can_read_why_no_mail_came(ctx: Context, world: World) -> None:
    ref = make_link(ctx, world.member().actor, label="Blog")
    person = world.person(VICTIM)
    bar(ctx, VICTIM)
    ask(ctx, ref)
    process_connects(ctx)
    with ctx.db.reading() as conn:
        mail = conn.execute(select(message)).one()
    assert (mail.contact, mail.state, mail.reason) == (person.id, "withheld", "never")
    assert count(ctx, invitation) == 0


def test_ones_own_address_and_somebody_connected_are_asked_nothing(ctx: Context, world: World) -> None:
    alice, bob = world.member("alice@example.org"), world.member("bob@example.org")
    connected(ctx, alice, bob)
    ref = make_link(ctx, alice.actor, label="Blog")
    ask(ctx, ref, "alice+me@example.org")
    ask(ctx, ref, "bob@example.org")
    process_connects(ctx)
    assert mails(ctx) == 0
    assert withheld(ctx) == ["own_address", "connected"]


def test_an_owner_stopped_meanwhile_asks_nobody_but_a_link_closed_meanwhile_does(ctx: Context, world: World) -> None:
    alice, bob = world.member(), world.member()
    hers, his = make_link(ctx, alice.actor, label="Blog"), make_link(ctx, bob.actor, label="Blog")
    ask(ctx, hers)
    ask(ctx, his, "other@example.org")
    stop(ctx, alice)
    close_link(ctx, bob.actor, his)
    process_connects(ctx)
    assert mails(ctx) == 1
    assert contact_of(ctx) is None
    assert withheld(ctx) == ["inviter_stopped"]


def test_fifty_links_and_one_victim_make_no_more_mails_than_the_cap(ctx: Context, world: World) -> None:
    for number in range(50):
        ref = make_link(ctx, world.member().actor, label="Blog")
        ask(ctx, ref, f"victim+{number}@example.org", network=f"192.0.{number}.0/24")
    process_connects(ctx)
    assert mails(ctx) == 2
    hand_off_everything(ctx)
    for days in range(1, 9):
        move_clock(ctx, days * 86_400)
        process_connects(ctx)
    assert mails(ctx) == 2
    assert count(ctx, request, request.c.settled.is_(None)) == 0
    assert count(ctx, request, request.c.payload_box.is_not(None)) == 0
    assert count(ctx, invitation) == 2
    assert set(withheld(ctx)) == {"cap_invitations"}


def test_however_high_the_cap_a_mailbox_gets_three_questions_a_day(ctx: Context, world: World) -> None:
    set_cap(ctx, 50)
    for number in range(10):
        ref = make_link(ctx, world.member().actor, label="Blog")
        ask(ctx, ref, network=f"192.0.{number}.0/24")
    process_connects(ctx)
    assert mails(ctx) == 3
    assert withheld(ctx) == ["budget"] * 7


def test_over_a_networks_budget_asks_wait_whoever_was_typed(ctx: Context, world: World) -> None:
    ref = make_link(ctx, world.member("alice@example.org").actor, label="Blog")
    for _ in range(ctx.settings.confirmations_per_network):
        ask(ctx, ref, "alice@example.org")
    ask(ctx, make_link(ctx, world.member().actor, label="Blog"), "new@example.org")
    process_connects(ctx)
    assert mails(ctx) == 0
    assert count(ctx, request, request.c.settled.is_(None)) == 1
    move_clock(ctx, 3_700)
    process_connects(ctx)
    assert mails(ctx) == 1


def test_one_that_cannot_be_opened_stops_no_other(ctx: Context, world: World) -> None:
    ref = make_link(ctx, world.member().actor, label="Blog")
    ask(ctx, ref, "first@example.org")
    with ctx.db.transaction() as conn:
        conn.execute(update(request).values(payload_box=b"not a box at all, by no means"))
    ask(ctx, ref, "second@example.org")
    process_connects(ctx)
    assert mails(ctx) == 1
    assert count(ctx, request, request.c.settled.is_(None)) == 1
