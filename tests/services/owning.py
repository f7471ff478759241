"""Short cuts of the tests about people's own data: somebody who agreed, their fresh link, the officer, the engine."""

from sqlalchemy import select

from outreach.domain import addresses
from outreach.domain.actors import Actor, Role
from outreach.domain.tokens import Purpose
from outreach.services.confirm import Client, grant
from outreach.services.context import Context
from outreach.services.rights.ask import process_rights_requests, submit_ask
from outreach.store.boxes import ContactKeys
from outreach.store.contacts import Person, find_by_address
from outreach.store.rights import add_link
from outreach.store.schema.campaigns import message
from tests.services.people import ALICE, asked, move_clock, topic_ref

OFFICER = Actor(f"staff:{'0' * 32}", frozenset({Role.OFFICER}), staff_id=1)
WHY = "letter of 3 May, identity card shown"
HOUR = 3600


def agreed(ctx: Context, address: str = ALICE) -> Person:
    """Somebody who signed up for topic-1 and confirmed."""
    grant(ctx, asked(ctx, address), {topic_ref(ctx)}, Client(ip="192.0.2.7", browser="Firefox"), button="Yes")
    return held(ctx, address)


def held(ctx: Context, address: str = ALICE) -> Person:
    with ctx.db.reading() as conn:
        person = find_by_address(conn, ctx.keyring, addresses.parse(address))
    assert person is not None
    return person


def fresh_link(ctx: Context, person: Person) -> str:
    """The token of a link mailed to them just now."""
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        return ctx.tokens.issue(Purpose.RIGHTS, add_link(conn, now, person.id), now)


def asks_for_link(ctx: Context, address: str = ALICE, *, leads: str = "rights") -> None:
    """Type an address at the public door, and let the engine look."""
    submit_ask(ctx, address=address, network="192.0.2.0/24", leads=leads)
    process_rights_requests(ctx)


def told(ctx: Context, person: Person) -> list[tuple[str, str]]:
    """(template, stage) of every notice queued for them, oldest first."""
    query = select(message.c.body_box).where(message.c.contact == person.id, message.c.origin == "notice")
    with ctx.db.reading() as conn:
        keys = ContactKeys(ctx.keyring, conn)
        bodies = [keys.facts(person.id, box) for box in conn.execute(query.order_by(message.c.id)).scalars()]
    return [(body["template"], body["facts"].get("stage", "")) for body in bodies]


def later(ctx: Context, seconds: int) -> None:
    """Let so many seconds pass, beyond what passed before."""
    path = ctx.settings.clock_file
    assert path is not None
    move_clock(ctx, seconds + (int(path.read_text()) if path.exists() else 0))
