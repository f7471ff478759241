"""Acts on one invitation that meet at the same instant: each takes its turn, none is lost, nobody waits in a ring."""

from functools import partial
from typing import Any

import pytest
from sqlalchemy import select

from outreach.domain.actors import Actor
from outreach.domain.errors import NotFoundError
from outreach.domain.invitation import Way
from outreach.domain.tokens import Purpose
from outreach.services import answers, incoming
from outreach.services.confirm import Client
from outreach.services.context import Context
from outreach.services.incoming import CannotAcceptError
from outreach.services.invitations import expire_invitations, process_invitations
from outreach.services.invite import cancel_invitation, list_sent, send_invitation, send_reminder
from outreach.services.leave import close_account
from outreach.services.withdraw import withdraw
from outreach.store.schema.campaigns import message
from outreach.store.schema.members import connection, invitation, member
from outreach.store.schema.people import contact_key, suppression
from tests.factories import MadeMember, World
from tests.services.at_once import at_once
from tests.services.connecting import entries, handed, requested, row_of
from tests.services.connecting import mailed as written
from tests.services.people import count, hand_off_everything, link
from tests.services.pressing import draft, mailed, press, set_policy
from tests.services.staffing import PASSWORD
from tests.services.test_members import session_of

MANY = 4


@pytest.fixture
def alice(ctx: Context, world: World) -> MadeMember:
    set_policy(ctx, a_day=50, a_month=50)
    return world.member("alice@example.org", "Alice Berg")


def by_hand(ctx: Context, who: MadeMember) -> tuple[bytes, str]:
    ref = send_invitation(ctx, who.actor, draft(way=Way.HAND))
    return ref, link(ctx, Purpose.HAND, ref)


def accept(ctx: Context, who: MadeMember, ref: bytes, token: str = "") -> bytes:
    return incoming.accept(ctx, who.actor, ref, show_name=True, show_address=True, hand_token=token)


def test_a_refusal_and_a_reminder(ctx: Context, alice: MadeMember) -> None:
    refs = [press(ctx, alice.actor, f"person{n}@example.net") for n in range(MANY)]
    hand_off_everything(ctx)
    tokens = [link(ctx, Purpose.INVITATION, ref) for ref in refs]
    for token in tokens:
        answers.ask_reminder(ctx, token)
    acts: list[Any] = [partial(answers.never, ctx, token) for token in tokens]
    acts += [partial(send_reminder, ctx, alice.actor, ref) for ref in refs]
    acts += [partial(cancel_invitation, ctx, alice.actor, refs[0]), partial(process_invitations, ctx)]
    at_once(*acts)
    assert {row_of(ctx, ref).answer for ref in refs} == {"never"}
    assert count(ctx, suppression) == MANY
    process_invitations(ctx)
    assert count(ctx, message, message.c.origin == "invitation", message.c.state == "planned") == 0


def test_a_stop_in_the_mail_to_one_spelling_and_a_no_from_another(
    ctx: Context, world: World, alice: MadeMember
) -> None:
    carl = world.member("carl@example.org", "Carl")
    for n in range(MANY):
        token = mailed(ctx, alice.actor, f"bob{n}@example.net")
        mailed(ctx, carl.actor, f"bob{n}+garden@example.net")
        with ctx.db.reading() as conn:
            query = select(message.c.ref).where(message.c.origin == "invitation").order_by(message.c.id.desc())
            stop = link(ctx, Purpose.STOP, conn.execute(query.limit(1)).scalar_one())
        at_once(partial(withdraw, ctx, stop, "one-click", Client()), partial(answers.decline, ctx, token))
        assert answers.view_invitation(ctx, token).answer == "declined"
    assert count(ctx, suppression) == MANY
    assert count(ctx, invitation, invitation.c.contact.is_not(None)) == 0


def test_an_engine_that_binds_a_mailbox_and_a_yes_from_its_other_spelling(
    ctx: Context, world: World, alice: MadeMember
) -> None:
    for n in range(MANY):
        bob = world.member(f"bob{n}@example.net", "Bob Lind")
        ref, token = by_hand(ctx, alice)
        by_mail = send_invitation(ctx, alice.actor, draft(f"bob{n}+garden@example.net"))
        made, _ = at_once(partial(accept, ctx, bob, ref, token), partial(process_invitations, ctx))
        assert isinstance(made, bytes)
        assert row_of(ctx, ref).answer == "accepted"
        bound = {row_of(ctx, one).mailbox for one in (ref, by_mail)}
        assert bound == {None, bob.person.mailbox}
    assert count(ctx, connection) == MANY
    assert {one.state for one in list_sent(ctx, alice.actor)} == {"accepted", "open"}


def test_two_who_invited_each_other_and_leave(ctx: Context, world: World, alice: MadeMember) -> None:
    for n in range(MANY):
        names = [f"ines{n}@example.net", f"jon{n}@example.net"]
        pair = [world.member(name, "Ines or Jon", password=PASSWORD) for name in names]
        for who, other in zip(pair, reversed(names), strict=True):
            mailed(ctx, who.actor, other)
        at_once(*(partial(close_account, ctx, session_of(ctx, who), PASSWORD) for who in pair))
    assert count(ctx, member, member.c.closed.is_(None)) == 1
    expire_invitations(ctx)
    assert count(ctx, contact_key) == 1


@pytest.mark.parametrize("kind", ["invitation", "request"])
def test_who_left_while_they_accepted_is_connected_with_nobody(
    ctx: Context, world: World, alice: MadeMember, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    bob = world.member("bob@example.net", "Bob Lind", password=PASSWORD)
    ref, token = by_hand(ctx, alice) if kind == "invitation" else (requested(ctx, bob, world.person()), "")
    waiting = [partial(close_account, ctx, session_of(ctx, bob), PASSWORD)]
    if ctx.db.is_sqlite:  # one who writes begins by keeping all others out
        waiting.pop()()
    found = incoming._found

    def found_and_left(*args: Any, **more: Any) -> Any:
        row = found(*args, **more)
        while waiting:
            waiting.pop()()
        return row

    monkeypatch.setattr(incoming, "_found", found_and_left)
    with pytest.raises(NotFoundError):
        accept(ctx, bob, ref, token)
    assert count(ctx, connection) == 0
    assert count(ctx, contact_key, contact_key.c.contact == bob.person.id) == 0


def test_two_who_accept_one_link_at_once_are_one(ctx: Context, alice: MadeMember, world: World) -> None:
    ref, token = handed(ctx, alice)
    people = [world.member() for _ in range(4)]
    ends = at_once(*(partial(say_yes, ctx, person.actor, ref, token) for person in people))
    assert ends.count("over") == 3
    assert count(ctx, connection) == 1
    assert len(entries(ctx, "invitation.answered")) == 1


def test_one_who_accepts_two_links_at_once_has_one_connection(ctx: Context, world: World, alice: MadeMember) -> None:
    bob = world.member()
    links = [handed(ctx, alice) for _ in range(3)]
    ends = at_once(*(partial(say_yes, ctx, bob.actor, ref, token) for ref, token in links))
    assert len(set(ends)) == 1
    assert "over" not in ends
    assert count(ctx, connection) == 1
    assert count(ctx, invitation, invitation.c.mailbox == bob.person.mailbox) == 1


def test_two_who_invited_each_other_and_accept_at_once_have_one_connection(
    ctx: Context, world: World, alice: MadeMember
) -> None:
    bob = world.member()
    to_bob, to_alice = written(ctx, alice, bob.person), written(ctx, bob, alice.person)
    ends = at_once(partial(say_yes, ctx, bob.actor, to_bob), partial(say_yes, ctx, alice.actor, to_alice))
    assert len(set(ends)) == 1
    assert "over" not in ends
    assert count(ctx, connection) == 1


def say_yes(ctx: Context, actor: Actor, ref: bytes, token: str = "") -> str:
    """Accept, and say which connection it made, or "over"."""
    try:
        return incoming.accept(ctx, actor, ref, show_name=False, show_address=False, hand_token=token).hex()
    except CannotAcceptError:
        return "over"
