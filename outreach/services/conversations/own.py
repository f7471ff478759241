"""A person's own conversations, for the pages of their room: what was said in them, and writing to us there."""

from dataclasses import dataclass

from sqlalchemy import Connection

from outreach.domain import addresses
from outreach.domain.actors import RECIPIENT
from outreach.domain.conversations import check_words
from outreach.domain.errors import ConflictError, InvalidInputError, NotFoundError
from outreach.services.context import Context
from outreach.services.conversations import posting
from outreach.store import consents
from outreach.store import conversations as store
from outreach.store.boxes import ContactKeys
from outreach.store.contacts import Person

MOST_A_DAY = 10
"""Conversations one person may begin in their room within 24 hours."""

_DAY = 86_400_000_000


@dataclass(frozen=True)
class OwnPost:
    """One thing said. `is_ours`: an answer of ours; `at`: UTC microseconds; `files`: names of what came with it.

    `is_foreign`: it came by mail from another address than the one we hold.
    """

    is_ours: bool
    at: int
    text: str
    files: tuple[str, ...]
    is_foreign: bool


@dataclass(frozen=True, kw_only=True)
class OwnConversation:
    """A conversation as its person sees it; no note of staff's is in it. `topic`: its name, or ""."""

    ref: bytes
    topic: str
    opened: int
    is_open: bool
    waits: bool
    posts: tuple[OwnPost, ...]


def of_person(conn: Connection, ctx: Context, person: Person) -> tuple[OwnConversation, ...]:
    """All of this person's, the newest first. Addresses in them are masked."""
    rows = store.of_person(conn, person.id)
    keys = ContactKeys(ctx.keyring, conn)
    ids = [row.id for row in rows]
    named: dict[int, list[str]] = {}
    for one in store.files(conn, ids):
        named.setdefault(one.post, []).append(keys.text(person.id, one.name_box) or "")
    said: dict[int, list[OwnPost]] = {identity: [] for identity in ids}
    for post in store.posts(conn, ids):
        if post.kind == "note":
            continue
        text = addresses.scrub(str(keys.facts(person.id, post.words_box).get("text", "")))
        files = tuple(addresses.scrub(name) for name in named.get(post.id, []))
        said[post.conversation].append(OwnPost(post.kind == "answer", post.at, text, files, bool(post.is_foreign)))
    return tuple(
        OwnConversation(
            ref=row.ref,
            topic=row.topic_name or "",
            opened=row.opened,
            is_open=row.closed is None,
            waits=row.closed is None and row.waiting is not None,
            posts=tuple(said[row.id]),
        )
        for row in rows
    )


def write(
    conn: Connection,
    ctx: Context,
    now: int,
    person: Person,
    topic: bytes | None,
    words: str,
    *,
    conversation: bytes | None = None,
) -> bytes:
    """Keep what a person writes in their room: about a topic (its ref), or on in a conversation of theirs (its ref).

    Returns the conversation's ref. Raises InvalidInputError (field "words", "topic"), NotFoundError for another's
    conversation, ConflictError after MOST_A_DAY within 24 hours.
    """
    said = check_words(words)
    posting.lock(conn, person.id)
    is_new = conversation is None
    row = _begin(conn, now, person, topic) if conversation is None else _theirs(conn, person, conversation)
    posting.take(conn, ctx, now, row, {"text": said})
    kind = "conversation.opened" if is_new else "conversation.continued"
    posting.note(conn, now, RECIPIENT.name, row, kind, via="room")
    return bytes(row.ref)


def _begin(conn: Connection, now: int, person: Person, topic: bytes | None) -> store.ConversationRow:
    if store.begun_since(conn, person.id, now - _DAY) >= MOST_A_DAY:
        words = "You began many conversations today. Go on in one of them, or wait until tomorrow. Nothing was sent."
        raise ConflictError(words)
    about: dict[str, int] = {}
    if topic is not None:
        found = consents.open_topics(conn, [topic])
        if not found:
            raise InvalidInputError("Choose what it is about.", "topic")
        about["topic"] = found[0].id
    return store.add(conn, now, contact_id=person.id, via="room", **about)


def _theirs(conn: Connection, person: Person, ref: bytes) -> store.ConversationRow:
    row = store.by_ref(conn, ref, lock=True)
    if row is None or row.contact != person.id:
        raise NotFoundError("There is no such conversation.")
    return row
