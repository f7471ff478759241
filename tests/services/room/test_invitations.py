"""Invitations to and from the owner of a room: what reached them, and of their own only what an inviter may know."""

from typing import Any

from outreach.services.answers import view_invitation
from outreach.services.context import Context
from outreach.services.room.invitations import see_people
from outreach.store import invitations
from outreach.store.boxes import ContactKeys
from outreach.store.contacts import Person
from tests.factories import DAY, MadeMember, World
from tests.services.owning import fresh_link
from tests.services.people import letter


def invited(ctx: Context, world: World, inviter: MadeMember, person: Person, state: str = "sent", **more: Any) -> None:
    """An invitation by mail, and what became of its mail."""
    with ctx.db.transaction() as conn:
        row = invitations.add(
            conn,
            member=inviter.id,
            way="mail",
            mailbox=person.mailbox,
            contact=person.id,
            relationship="colleague",
            locale="en",
            asked=world.now,
            expires=world.now + 30 * DAY,
            label_box=ContactKeys(ctx.keyring, conn).seal(inviter.person.id, "b•••@e•••.org"),
            **more,
        )
    letter(ctx, world, person.id, None, origin="invitation", kind="promotional", invitation=row.id, state=state)


def test_what_reached_them_names_its_inviter_and_leads_to_every_way_to_refuse(ctx: Context, world: World) -> None:
    bob = world.person("bob@example.org")
    invited(ctx, world, world.member("alice@example.org", "Alice"), bob)
    invited(ctx, world, world.member("carol@example.org", "Carol"), bob, state="withheld")
    people = see_people(ctx, fresh_link(ctx, bob))
    (one,) = people.received
    assert (one.inviter, one.answer) == ("Alice", "")
    assert view_invitation(ctx, one.token).inviter == "Alice"
    assert (people.made, people.connected, people.is_member) == ((), 0, False)


def test_of_their_own_a_refusal_reads_as_no_answer(ctx: Context, world: World) -> None:
    alice = world.member("alice@example.org", "Alice")
    bob, carol = world.person("bob@example.org"), world.person("carol@example.org")
    invited(ctx, world, alice, bob, answered=world.now, answer="never")
    invited(ctx, world, alice, carol, answered=world.now, answer="accepted")
    people = see_people(ctx, fresh_link(ctx, alice.person))
    assert [(one.to, one.answer) for one in people.made] == [("b•••@e•••.org", "accepted"), ("b•••@e•••.org", "open")]
    assert people.is_member
