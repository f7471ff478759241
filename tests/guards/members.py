"""Members of the lived house, with something in each of their rooms, one of whom comes to look at everything."""

from outreach.domain import addresses
from outreach.domain.actors import Actor
from outreach.services.appeals import write_appeal
from outreach.services.context import Context
from outreach.store import members
from outreach.store.boxes import ContactKeys
from outreach.store.contacts import Person, ensure_contact
from tests.factories import MadeMember
from tests.services.connecting import connected, handed, mailed, requested


def enrol(ctx: Context, address: str) -> None:
    """The member of this address and a friend: what was sent and came in, a link, a connection, the friend's appeal."""
    own = _member(ctx, address, "Guarding Member")
    friend = _member(ctx, "guarding.friend@members.example", "Guarding Friend")
    handed(ctx, own)
    mailed(ctx, own, _person(ctx, "guarding.invited@members.example"))
    mailed(ctx, friend, own.person)
    requested(ctx, own, _person(ctx, "guarding.asking@members.example"))
    connected(ctx, own, friend.person)
    with ctx.db.transaction() as conn:
        members.change(conn, friend.id, suspended=ctx.db.now(conn), suspended_for="officer")
    write_appeal(ctx, friend.actor, "I only invited people from our garden.")


def _member(ctx: Context, address: str, name: str) -> MadeMember:
    person = _person(ctx, address)
    with ctx.db.transaction() as conn:
        keys = ContactKeys(ctx.keyring, conn)
        row = members.add(conn, keys, ctx.db.now(conn), person.id, name=name, password_hash="")
    return MadeMember(row.id, row.ref, person, Actor(f"member:{row.ref.hex()}", member_id=row.id))


def _person(ctx: Context, address: str) -> Person:
    with ctx.db.transaction() as conn:
        keys = ContactKeys(ctx.keyring, conn)
        now = ctx.db.now(conn)
        return ensure_contact(conn, ctx.keyring, keys, addresses.parse(address), now=now, locale="en", timezone="UTC")
