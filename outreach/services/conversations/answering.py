"""Answering somebody: one mail in the lane of replies, from the topic's sender, to an address staff never see.

It goes whatever the person agreed to since, for they wrote to us; a bar on their address holds it back all the same
(`pipeline/bases.py`), and then it stands in their room alone.
"""

from sqlalchemy import Connection

from outreach.domain.actors import Actor
from outreach.domain.conversations import check_answer
from outreach.domain.errors import ConflictError
from outreach.services.context import Context
from outreach.services.conversations.colleagues import colleagues, must_answer
from outreach.services.conversations.handling import hold
from outreach.services.conversations.posting import note
from outreach.services.outbox import queue_reply
from outreach.services.public_text import read_house
from outreach.store import conversations as store
from outreach.store.boxes import ContactKeys
from outreach.store.contacts import find_by_id

TEMPLATE = "conversation"


class OvertakenError(ConflictError):
    """Something was said in the conversation since its reader last looked."""


def answer(ctx: Context, actor: Actor, ref: bytes, words: str, *, seen: str, closes: bool = False) -> bytes:
    """Mail the person an answer, and close the conversation with `closes`. Returns the mail's ref.

    `seen`: what was said last when the writer looked (`ConversationView.seen`). Raises InvalidInputError (field
    "words"), NotFoundError, OvertakenError when a colleague answered or the person wrote meanwhile.
    """
    staff_id = must_answer(actor)
    with ctx.db.transaction() as conn:
        said = check_answer(words, _printed(conn))
        now = ctx.db.now(conn)
        row = hold(conn, ref)
        _must_be_up_to_date(conn, ctx, row, seen, staff_id)
        person = find_by_id(conn, row.contact)
        assert person is not None  # noqa: S101  its conversation is held
        facts = {"said": _lines(said), "can_reply": bool(ctx.settings.mail_in)}
        body = {"template": TEMPLATE, "facts": facts}
        mail_id, mail_ref = queue_reply(conn, ctx, now, person, body, topic=row.topic)
        box = ContactKeys(ctx.keyring, conn).seal(row.contact, {"text": said})
        store.add_post(conn, now, row.id, "answer", box, staff=staff_id, message=mail_id)
        taken = {} if row.staff is not None else {"staff": staff_id}
        store.change(conn, row.id, waiting=None, answered=now, closed=now if closes else None, **taken)
        waited = now - row.waiting if row.waiting is not None else 0
        note(conn, now, actor.name, row, "conversation.answered", closes=closes, waited=waited, message=mail_ref)
        return mail_ref


def _must_be_up_to_date(conn: Connection, ctx: Context, row: store.ConversationRow, seen: str, staff_id: int) -> None:
    last = store.last_spoken(conn, row.id)
    if last is None or last.ref.hex() == seen:
        return
    if last.kind == "theirs":
        raise OvertakenError("They wrote again meanwhile. Nothing was sent; read it, then send your answer.")
    who = "You" if last.staff == staff_id else colleagues(conn, ctx)[last.staff].name
    raise OvertakenError(f"{who} answered meanwhile. Nothing was sent; read that answer before you send yours.")


def _printed(conn: Connection) -> str:
    """The address we print for everybody, which an answer may name."""
    return read_house(conn).privacy_contact


def _lines(said: str) -> list[list[str]]:
    """Paragraphs, each its lines."""
    return [part.splitlines() for part in said.split("\n\n") if part.strip()]
