"""Stopping mails that stand under no consent, from a link in one of them: a connected person's, what we tell of a
connection, and our answers.

A press mutes the connection (`services/relaying`): the other side is not told, what they write is kept a while, and it
can be taken back, as a scanner's press must be; ending stays its own act. Of a conversation it says "no more by mail":
answers stand in the room alone, until its person writes again. The caller holds the reader's row.
"""

from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, bindparam, select

from outreach.domain.actors import RECIPIENT, Actor
from outreach.domain.consent import LIVE, State
from outreach.services.context import Context
from outreach.services.conversations.posting import note
from outreach.services.relaying import letting
from outreach.services.standing import Standing
from outreach.store import address_moves, connections
from outreach.store import conversations as talks
from outreach.store.audit import Entry, record
from outreach.store.boxes import ContactKeys
from outreach.store.contacts import find_by_id
from outreach.store.schema.campaigns import message
from outreach.store.schema.people import contact

CONNECTION, CONVERSATION = "connection", "conversation"


@dataclass(frozen=True)
class Stream:
    """What a mail goes on with: `kind` "connection" or "conversation"; `is_stopped`: none of it is mailed any more."""

    kind: str
    is_stopped: bool


@dataclass(frozen=True)
class _Found:
    kind: str
    row: Any
    contact: int
    person: bytes


def stream_of(conn: Connection, ctx: Context, ref: bytes) -> Stream | None:
    """The stream the mail `ref` belongs to; None for any other mail, and where nothing is held of it any more."""
    found = _find(conn, ctx, ref)
    return None if found is None else Stream(found.kind, _stopped(conn, found) is not None or _is_over(found))


def beside(conn: Connection, ctx: Context, ref: bytes, here: Standing) -> Standing:
    """`here`, with the stream of its mail: withdrawn once nothing of it comes any more, nor its topic."""
    found = stream_of(conn, ctx, ref)
    if found is None:
        return here
    if found.is_stopped:
        return replace(here, stream=found.kind, state=here.state if here.state in LIVE else State.WITHDRAWN)
    return replace(here, stream=found.kind, state=State.NONE)


def stop(conn: Connection, ctx: Context, now: int, ref: bytes) -> int:
    """No mail of this stream any more, from the next hand-off on. Returns 1, or 0 where nothing changed."""
    found = _find(conn, ctx, ref, lock=True)
    if found is None or _is_over(found) or _stopped(conn, found) is not None:
        return 0
    if found.kind == CONNECTION:
        connections.set_muted(conn, found.row.id, found.contact, now)
        _tell(conn, now, found, ref, "connection.muted", RECIPIENT)
    else:
        words = ContactKeys(ctx.keyring, conn).seal(found.contact, {})
        talks.add_post(conn, now, found.row.id, "note", words)
        note(conn, now, RECIPIENT.name, found.row, "conversation.stopped", message=ref)
    return 1


def resume(conn: Connection, ctx: Context, now: int, ref: bytes, stopped: int, *, actor: Actor = RECIPIENT) -> int:
    """Take back what `stop` did at this instant, and nothing else; mails that waited come. Returns 1, or 0."""
    found = _find(conn, ctx, ref, lock=True)
    if found is None or _is_over(found) or _stopped(conn, found) != stopped:
        return 0
    if found.kind == CONNECTION:
        connections.set_muted(conn, found.row.id, found.contact, None)
        _tell(conn, now, found, ref, "connection.unmuted", actor)
        letting.let_waiting_through(conn, ctx, now, found.row.id, found.contact)
    else:
        talks.remove_stop(conn, found.row.id, stopped)
        note(conn, now, actor.name, found.row, "conversation.resumed", message=ref)
    return 1


def _find(conn: Connection, ctx: Context, ref: bytes, *, lock: bool = False) -> _Found | None:
    """By what the mail's box says: the row that passed it on is forgotten one day, a link that stops never is."""
    row = conn.execute(_MAIL, {"of_ref": ref}).one_or_none()
    if row is None or row.origin not in {"reply", "notice"}:
        return None
    facts = ContactKeys(ctx.keyring, conn).facts(row.contact, row.body_box)
    if CONNECTION in facts:
        held = connections.by_ref(conn, bytes.fromhex(facts[CONNECTION]), lock=lock)
        return _side(conn, held, row.contact, row.person)
    talk = talks.of_answer(conn, row.id)
    return None if talk is None or not talk.is_held else _Found(CONVERSATION, talk, talk.contact, talk.contact_ref)


def _side(conn: Connection, held: Any, reader: int, person: bytes) -> _Found | None:
    """The reader's side of a connection, which may have gone along with them to another address since."""
    sides = set() if held is None else {held.low, held.high}
    if reader in sides:
        return _Found(CONNECTION, held, reader, person)
    now_at = (find_by_id(conn, one) for one in address_moves.trail(conn, reader) if one in sides)
    there = next(now_at, None)
    return None if there is None else _Found(CONNECTION, held, there.id, there.ref)


_MAIL = (
    select(message.c.id, message.c.origin, message.c.contact, message.c.body_box, contact.c.ref.label("person"))
    .join(contact, contact.c.id == message.c.contact)
    .where(message.c.ref == bindparam("of_ref"))
)


def _stopped(conn: Connection, found: _Found) -> int | None:
    """Since when, UTC microseconds."""
    if found.kind == CONNECTION:
        return connections.muted(conn, found.contact, [found.row.id]).get(found.row.id)
    return talks.stopped(conn, found.row.id)


def _is_over(found: _Found) -> bool:
    return found.kind == CONNECTION and found.row.ended is not None


def _tell(conn: Connection, now: int, found: _Found, ref: bytes, kind: str, actor: Actor) -> None:
    body = {"connection": found.row.ref.hex()}
    record(conn, now, Entry(kind=kind, actor=actor.name, contact=found.person, message=ref, body=body))
