"""How much one owner's links can bring about: a limit in silence, and nothing of the owner's own is used up."""

import pytest
from sqlalchemy import insert, select

from outreach.domain.invitation import CONNECT_ASKS_A_DAY, CONNECT_ASKS_A_MONTH, Report
from outreach.domain.tokens import Purpose
from outreach.services import answers
from outreach.services.connect import confirm_connect, process_connects
from outreach.services.connect_expiry import expire_requests
from outreach.services.connect_links import list_links, make_link
from outreach.services.context import Context
from outreach.services.invitations import expire_invitations
from outreach.store.schema.consents import request
from outreach.store.schema.members import connect_ask, connect_link, invitation
from tests.factories import DAY, World
from tests.services.asking import ask, asked, bar, mails, withheld
from tests.services.connecting import row_of
from tests.services.people import count, hand_off_everything, link, move_clock
from tests.services.pressing import mails as invited
from tests.services.pressing import press, set_policy

BOB = "bob@example.net"


def type_many(ctx: Context, refs: list[bytes], number: int, *, first: int = 0) -> None:
    """So many strangers' addresses, each from a network of its own, at one link after the other."""
    for one in range(first, first + number):
        ask(ctx, refs[one % len(refs)], f"stranger{one}@example{one}.com", network=f"net {one}")
    process_connects(ctx)


def waiting(ctx: Context) -> int:
    return count(ctx, request, request.c.settled.is_(None))


def test_over_the_days_limit_asks_wait_whichever_link_and_nobody_is_told(ctx: Context, world: World) -> None:
    alice, other = world.member(), world.member()
    refs = [make_link(ctx, alice.actor, label=f"Link {number}") for number in range(3)]
    before = list_links(ctx, alice.actor)
    type_many(ctx, refs, CONNECT_ASKS_A_DAY + 3)
    assert (mails(ctx), waiting(ctx), withheld(ctx)) == (CONNECT_ASKS_A_DAY, 3, [])
    assert list_links(ctx, alice.actor) == before
    ask(ctx, make_link(ctx, other.actor, label="Blog"), "new@example.org")
    process_connects(ctx)
    assert mails(ctx) == CONNECT_ASKS_A_DAY + 1
    move_clock(ctx, 86_400 + 60)
    process_connects(ctx)
    assert (mails(ctx), waiting(ctx)) == (CONNECT_ASKS_A_DAY + 4, 0)


@pytest.mark.parametrize("is_barred", [False, True])
def test_what_is_left_of_the_limit_does_not_tell_whether_an_address_is_barred(
    ctx: Context, world: World, is_barred: bool
) -> None:
    ref = make_link(ctx, world.member().actor, label="Blog")
    if is_barred:
        bar(ctx, BOB)
    type_many(ctx, [ref], CONNECT_ASKS_A_DAY - 1)
    ask(ctx, ref, BOB, network="Bob's")
    process_connects(ctx)
    before = mails(ctx)
    ask(ctx, ref, "canary@example.org", network="the canary's")
    process_connects(ctx)
    assert (mails(ctx), waiting(ctx)) == (before, 1)


def test_a_confirmed_ask_makes_room(ctx: Context, world: World) -> None:
    alice = world.member()
    ref = make_link(ctx, alice.actor, label="Blog")
    token = asked(ctx, ref, BOB)
    type_many(ctx, [ref], CONNECT_ASKS_A_DAY - 1)
    confirm_connect(ctx, token)
    type_many(ctx, [ref], 2, first=100)
    assert (waiting(ctx), mails(ctx)) == (1, CONNECT_ASKS_A_DAY + 1)


def test_over_the_months_limit_an_ask_ends_with_its_week_and_old_ones_are_forgotten(ctx: Context, world: World) -> None:
    alice = world.member()
    ref = make_link(ctx, alice.actor, label="Blog")
    with ctx.db.transaction() as conn:
        link_id, now = conn.execute(select(connect_link.c.id)).scalar_one(), ctx.db.now(conn)
        taken = [{"link": link_id, "at": now - 10 * DAY} for _ in range(CONNECT_ASKS_A_MONTH - 1)]
        conn.execute(insert(connect_ask), taken)
    type_many(ctx, [ref], 2)
    assert (mails(ctx), waiting(ctx), withheld(ctx)) == (1, 0, ["cap_invitations"])
    assert count(ctx, connect_ask) == CONNECT_ASKS_A_MONTH  # what nobody looked at counts for nothing
    move_clock(ctx, 20 * 86_400 + 60)
    expire_requests(ctx)
    assert count(ctx, connect_ask) == 1
    type_many(ctx, [ref], 1, first=100)
    assert mails(ctx) == 2


def expired(ctx: Context, ref: bytes) -> str:
    """Bob's address was typed at the link and nobody confirmed; the token of that mail."""
    asked(ctx, ref, BOB)
    with ctx.db.reading() as conn:
        made = conn.execute(select(invitation.c.ref)).scalar_one()
    move_clock(ctx, 20 * 86_400)
    expire_invitations(ctx)
    return link(ctx, Purpose.INVITATION, made)


def test_what_an_outsider_typed_and_nobody_confirmed_uses_up_no_invitation_of_the_owners(
    ctx: Context, world: World
) -> None:
    set_policy(ctx)
    alice = world.member("alice@example.org")
    ref = make_link(ctx, alice.actor, label="Blog")
    expired(ctx, ref)
    made = press(ctx, alice.actor, BOB)
    assert invited(ctx)[-1] == ("planned", None)
    hand_off_everything(ctx)
    again = press(ctx, alice.actor, BOB)
    assert (row_of(ctx, made).mailbox is None, row_of(ctx, again).mailbox is None) == (False, True)
    assert invited(ctx)[-1] == ("withheld", "invited_before")


def test_a_second_ask_through_a_link_stays_refused_for_ever(ctx: Context, world: World) -> None:
    ref = make_link(ctx, world.member().actor, label="Blog")
    expired(ctx, ref)
    ask(ctx, ref, "bob+again@example.net")
    ask(ctx, ref, BOB)
    process_connects(ctx)
    assert (mails(ctx), count(ctx, invitation), withheld(ctx)) == (1, 1, ["invited_before"] * 2)


@pytest.mark.parametrize("answer", ["decline", "report", "never"])
def test_an_expired_ask_can_still_be_refused_beside_the_owners_own_invitation(
    ctx: Context, world: World, answer: str
) -> None:
    set_policy(ctx)
    alice = world.member("alice@example.org")
    token = expired(ctx, make_link(ctx, alice.actor, label="Blog"))
    own = press(ctx, alice.actor, BOB)
    hand_off_everything(ctx)
    seen = answers.report(ctx, token, Report.UNWANTED) if answer == "report" else getattr(answers, answer)(ctx, token)
    assert seen.answer == {"decline": "declined", "report": "reported", "never": "never"}[answer]
    assert row_of(ctx, own).answer == ("expired" if answer == "never" else None)


@pytest.mark.parametrize("answer", ["decline", "report"])
def test_who_refused_an_ask_is_not_invited_by_its_owner(ctx: Context, world: World, answer: str) -> None:
    set_policy(ctx)
    alice = world.member("alice@example.org")
    token = expired(ctx, make_link(ctx, alice.actor, label="Blog"))
    if answer == "report":
        answers.report(ctx, token, Report.UNWANTED)
    else:
        answers.decline(ctx, token)
    press(ctx, alice.actor, BOB)
    assert invited(ctx)[-1] == ("withheld", "invited_before")
