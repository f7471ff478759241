"""A person's conversations with us, behind a fresh link: `services/conversations/own.py` for the owner of a room."""

from dataclasses import dataclass

from outreach.domain.errors import NotFoundError
from outreach.services.context import Context
from outreach.services.conversations import own
from outreach.services.conversations.own import OwnConversation
from outreach.services.lowered import lock_mailbox
from outreach.services.public_text import Promise, offered, read_house
from outreach.services.rights.way_in import owner_of
from outreach.services.room.topics import RoomView, room_of


@dataclass(frozen=True)
class Talks:
    """`conversations`: the newest first; `topics`: what a new one may be about."""

    room: RoomView
    conversations: tuple[OwnConversation, ...]
    topics: tuple[Promise, ...]


def see_talks(ctx: Context, token: str) -> Talks:
    """Every conversation of the owner of a fresh link. Raises TokenError, TokenExpiredError."""
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        person = owner_of(conn, ctx, now, token)
        topics = tuple(offered(conn, read_house(conn), person.locale))
        return Talks(room_of(conn, ctx, now, person), own.of_person(conn, ctx, person), topics)


def see_talk(ctx: Context, token: str, ref: bytes) -> tuple[RoomView, OwnConversation]:
    """One of them. Raises as `see_talks`, and NotFoundError for anybody else's."""
    talks = see_talks(ctx, token)
    found = next((one for one in talks.conversations if one.ref == ref), None)
    if found is None:
        raise NotFoundError("There is no such conversation.")
    return talks.room, found


def write(ctx: Context, token: str, words: str, *, topic: bytes | None = None, talk: bytes | None = None) -> bytes:
    """Begin a conversation about a topic (its ref) or about nothing in particular, or go on in `talk` (a ref).

    Returns the conversation's ref. Raises TokenError, TokenExpiredError, InvalidInputError (field "words" or "topic"),
    NotFoundError, and ConflictError for too many in a day.
    """
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        person = owner_of(conn, ctx, now, token, lock=lock_mailbox)
        return own.write(conn, ctx, now, person, topic, words, conversation=talk)
