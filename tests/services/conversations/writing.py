"""Short cuts of the tests about conversations: a campaign, who got it, what they write back, and who answers."""

import secrets
from typing import Any

from sqlalchemy import select

from outreach.domain.actors import Actor, Role
from outreach.mail.inbound.incoming import Attachment, Incoming, Kind
from outreach.services.context import Context
from outreach.services.conversations import own
from outreach.services.conversations.inbox import ConversationView, open_conversation, see_conversation
from outreach.services.conversations.incoming import take_reply
from outreach.store.contacts import Person
from outreach.store.schema.campaigns import message
from outreach.store.schema.organisation import staff
from tests.factories import World

ALICE = "alice@example.org"


def worker(world: World, roles: str = "marketer", name: str = "Robin") -> Actor:
    """A member of staff of this name."""
    person = world.person(name=name)
    ref = secrets.token_bytes(16)
    made = world._insert(staff, ref=ref, contact=person.id, roles=roles, created=world.now)
    return Actor(f"staff:{ref.hex()}", frozenset(map(Role, roles.split(","))), made)


def mailed(world: World, person: Person, topic: int, campaign: int | None = None, **more: Any) -> bytes:
    """A mail that went out to them. Returns its ref."""
    ref = secrets.token_bytes(16)
    values = {"origin": "campaign", "kind": "promotional", "lane": "5-campaign-1-other", "state": "sent", **more}
    at = {"planned": world.now, "due": world.now, "settled": world.now}
    who = {"contact": person.id, "mailbox": person.mailbox, "topic": topic, "campaign": campaign}
    world._insert(message, ref=ref, **who, **at, **values)
    return ref


def said(text: str, **more: Any) -> Incoming:
    """A reply as it was read."""
    return Incoming(**{"kind": Kind.REPLY, "subject": "Re: Roses", "text": text, "from_address": ALICE, **more})


def replies(ctx: Context, person: Person, mail: bytes, incoming: Incoming | str) -> bytes:
    """They reply to a mail of ours. Returns the conversation's ref."""
    read = said(incoming) if isinstance(incoming, str) else incoming
    with ctx.db.transaction() as conn:
        return take_reply(conn, ctx, ctx.db.now(conn), message=mail, person=person, incoming=read, mail=1)


def writes(ctx: Context, person: Person, words: str, topic: bytes | None = None, **more: Any) -> bytes:
    """They write in their room. Returns the conversation's ref."""
    with ctx.db.transaction() as conn:
        return own.write(conn, ctx, ctx.db.now(conn), person, topic, words, **more)


def opened(ctx: Context, actor: Actor, ref: bytes) -> ConversationView:
    """The conversation, opened by this member of staff."""
    open_conversation(ctx, actor, ref)
    return see_conversation(ctx, actor, ref)


def a_file(name: str, octets: bytes) -> Attachment:
    return Attachment(name, "text/html", octets)


def rows(ctx: Context, *columns: Any, **where: Any) -> list[Any]:
    """What a table holds, in order."""
    table = columns[0].table
    query = select(*columns).where(*(table.c[name] == value for name, value in where.items()))
    with ctx.db.reading() as conn:
        return list(conn.execute(query.order_by(table.c.id)).all())
