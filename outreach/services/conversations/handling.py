"""What staff do with a conversation besides answering: who takes care of it, notes, tags, marks, closing, reopening."""

from sqlalchemy import Connection

from outreach.domain.actors import Actor
from outreach.domain.conversations import Mark, check_tags, check_words
from outreach.domain.errors import ConflictError, InvalidInputError
from outreach.services.context import Context
from outreach.services.conversations.colleagues import colleagues, must_answer
from outreach.services.conversations.inbox import found
from outreach.services.conversations.posting import lock, note
from outreach.services.reasons import check_reason
from outreach.store import conversations as store
from outreach.store.boxes import ContactKeys


def hold(conn: Connection, ref: bytes) -> store.ConversationRow:
    """The conversation, with its person's turn taken first, as erasing them does. Raises NotFoundError, ConflictError
    when the person was erased.
    """
    lock(conn, found(store.by_ref(conn, ref)).contact)
    return found(store.by_ref(conn, ref, lock=True))


def assign(ctx: Context, actor: Actor, ref: bytes, to: bytes | None) -> None:
    """Give it to a member of staff (their ref), or to nobody. Raises InvalidInputError (field "to")."""
    must_answer(actor)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        row = hold(conn, ref)
        chosen = next((one for one in colleagues(conn, ctx).values() if one.ref == to and one.answers), None)
        if to is not None and chosen is None:
            raise InvalidInputError("Choose somebody who works here and answers. Nothing was changed.", "to")
        store.change(conn, row.id, staff=chosen.id if chosen else None)
        note(conn, now, actor.name, row, "conversation.assigned", to=to.hex() if to else "")


def take(ctx: Context, actor: Actor, ref: bytes) -> None:
    """Take care of it oneself. Raises ConflictError naming the colleague who does."""
    staff_id = must_answer(actor)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        row = hold(conn, ref)
        if row.staff not in (None, staff_id):
            name = colleagues(conn, ctx)[row.staff].name
            raise ConflictError(f"{name} takes care of this already. Assign it to yourself if they agree.")
        store.change(conn, row.id, staff=staff_id)
        note(conn, now, actor.name, row, "conversation.assigned", to=actor.name.partition(":")[2])


def add_note(ctx: Context, actor: Actor, ref: bytes, words: str) -> None:
    """Note something for colleagues. It is about a person, so it is boxed as theirs, and they may ask to read it.

    Raises InvalidInputError (field "note").
    """
    staff_id = must_answer(actor)
    said = check_words(words, "note")
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        row = hold(conn, ref)
        box = ContactKeys(ctx.keyring, conn).seal(row.contact, {"text": said})
        store.add_post(conn, now, row.id, "note", box, staff=staff_id)
        note(conn, now, actor.name, row, "conversation.noted")


def set_tags(ctx: Context, actor: Actor, ref: bytes, typed: str) -> None:
    """The tags it has from now on, as typed with commas. Raises InvalidInputError (field "tags")."""
    must_answer(actor)
    chosen = check_tags(typed)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        row = hold(conn, ref)
        store.set_tags(conn, row.id, chosen)
        note(conn, now, actor.name, row, "conversation.tagged", tags=len(chosen))


def set_mark(ctx: Context, actor: Actor, ref: bytes, mark: str) -> None:
    """Say what it is: critical, praise, question, or "" for none of these. Public answers count the critical ones."""
    must_answer(actor)
    if mark and mark not in set(Mark):
        raise InvalidInputError("Choose what it is.", "mark")
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        row = hold(conn, ref)
        store.change(conn, row.id, mark=mark or None)
        note(conn, now, actor.name, row, "conversation.marked", mark=mark)


def close(ctx: Context, actor: Actor, ref: bytes, reason: str = "") -> None:
    """End it until its person writes again. One that waits for an answer needs a reason, which the log keeps.

    Raises InvalidInputError (field "reason"), ConflictError when it is closed.
    """
    must_answer(actor)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        row = hold(conn, ref)
        if row.closed is not None:
            raise ConflictError("This conversation is closed already. Nothing was changed.")
        body = {}
        if row.waiting is not None:
            body["reason"] = check_reason(reason, "why it needs no answer", "It is not closed.")
        store.change(conn, row.id, closed=now, waiting=None)
        note(conn, now, actor.name, row, "conversation.closed", **body)


def reopen(ctx: Context, actor: Actor, ref: bytes) -> None:
    """Open it again; it waits once more where what was said last was never answered. Raises ConflictError."""
    must_answer(actor)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        row = hold(conn, ref)
        if row.closed is None:
            raise ConflictError("This conversation is open already. Nothing was changed.")
        last = store.last_spoken(conn, row.id)
        waits = last.at if last is not None and last.kind == "theirs" else None
        store.change(conn, row.id, closed=None, waiting=waits)
        note(conn, now, actor.name, row, "conversation.reopened")
