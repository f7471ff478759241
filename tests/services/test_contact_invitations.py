"""What an officer reads of a person's dealings with others: by codes and references, without anybody's name."""

from dataclasses import asdict

from outreach.services import connections
from outreach.services.contact_history import contact_history
from outreach.services.contact_invitations import PersonToPerson
from outreach.services.context import Context
from tests.factories import World
from tests.services.connecting import connected
from tests.services.past_invitations import invited
from tests.services.test_invitation_desk import OFFICER, suspend_by_rule


def others(ctx: Context, ref: bytes) -> PersonToPerson:
    return contact_history(ctx, OFFICER, ref).others


def test_who_has_nothing_to_do_with_anybody_has_nothing_here(ctx: Context, world: World) -> None:
    assert others(ctx, world.person().ref) == PersonToPerson(None, (), ())


def test_an_account_its_state_and_what_it_made(ctx: Context, world: World) -> None:
    alice = world.member("alice@example.org", "Alice Berg")
    for way in ("hand", "hand", "mail", "link"):
        invited(ctx, alice, way=way)
    account = others(ctx, alice.person.ref).account
    assert account is not None
    assert (account.ref, account.state) == (alice.ref, "open")
    assert account.sent == {"hand": 2, "mail": 1, "link": 1}
    suspend_by_rule(ctx, alice)
    suspended = others(ctx, alice.person.ref).account
    assert suspended is not None
    assert suspended.state == "suspended"


def test_invitations_received_stay_told_once_nobody_is_named_any_more(ctx: Context, world: World) -> None:
    alice, bob, person = world.member(name="Alice Berg"), world.member(name="Bob Lind"), world.person()
    first = invited(ctx, alice, "reported", way="mail", mailbox=person.mailbox, report="harassment")
    second = invited(ctx, bob, way="mail", mailbox=person.mailbox, contact=person.id)
    invited(ctx, bob, "declined")
    received = others(ctx, person.ref).received
    assert [one.ref for one in received] == [second, first]
    assert [(one.inviter, one.answer, one.report) for one in received] == [
        (bob.ref, "", ""),
        (alice.ref, "reported", "harassment"),
    ]
    assert not any("Alice" in repr(one) or "Bob" in repr(one) for one in received)


def test_connections_tell_what_was_shown_and_not_to_whom(ctx: Context, world: World) -> None:
    alice, bob = world.member(name="Alice Berg"), world.member(name="Bob Lind")
    ref = connected(ctx, alice, bob.person)
    connections.disclose(ctx, bob.actor, ref, "address")
    connections.take_back(ctx, bob.actor, ref, "address")
    (seen,) = others(ctx, bob.person.ref).connections
    assert (seen.ref, seen.ended) == (ref, None)
    assert [what for what, _, until in seen.shown if until is not None] == ["address"]
    assert alice.person.ref.hex() not in repr(asdict(seen))
    connections.end(ctx, alice.actor, ref)
    (seen,) = others(ctx, bob.person.ref).connections
    assert seen.ended is not None
