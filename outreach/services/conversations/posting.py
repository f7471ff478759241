"""How words get into a conversation: boxed under the person's key, a row a post, and the state that follows from it."""

from base64 import b64encode
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection

from outreach.domain.conversations import MOST_FILE_OCTETS, MOST_FILES, MOST_OCTETS
from outreach.domain.errors import ConflictError
from outreach.mail.inbound.incoming import Attachment
from outreach.services.context import Context
from outreach.store import consents
from outreach.store import conversations as store
from outreach.store.audit import Entry, record
from outreach.store.boxes import ContactKeys
from outreach.store.connections import held

LONGEST_FILE_NAME = 120


def lock(conn: Connection, contact_id: int) -> None:
    """Take the person's turn, as erasing them does. Raises ConflictError when they were erased."""
    consents.lock_contacts(conn, [contact_id])
    if not held(conn, [contact_id]):
        raise ConflictError("This person was erased meanwhile, with all they wrote. Nothing was changed.")


def take(
    conn: Connection, ctx: Context, now: int, row: store.ConversationRow, words: dict[str, str], **more: Any
) -> store.PostRow:
    """Put words of the person's own into their conversation: it is open from then on, and waits. `more`: as a post's.

    The caller holds the person's row.
    """
    box = ContactKeys(ctx.keyring, conn).seal(row.contact, {name: text for name, text in words.items() if text})
    post = store.add_post(conn, now, row.id, "theirs", box, **more)
    store.change(conn, row.id, closed=None, waiting=now if row.waiting is None else row.waiting)
    return post


def keep_files(conn: Connection, ctx: Context, contact_id: int, post_id: int, files: Sequence[Attachment]) -> None:
    """Box what came with a post, as much of it as is kept; of the rest the name and the size."""
    keys, room = ContactKeys(ctx.keyring, conn), MOST_OCTETS
    for place, one in enumerate(files):
        size = len(one.octets)
        is_kept = place < MOST_FILES and size <= min(MOST_FILE_OCTETS, room)
        room -= size if is_kept else 0
        content = keys.seal(contact_id, b64encode(one.octets).decode()) if is_kept else None
        store.add_file(conn, post_id, size, keys.seal(contact_id, file_name(one.name)), content)


def file_name(given: str) -> str:
    """A name for the list and the download: one line, no path in it."""
    last = given.replace("\\", "/").rpartition("/")[2]
    return "".join(sign for sign in last if sign.isprintable()).strip(" .")[:LONGEST_FILE_NAME] or "file"


def note(conn: Connection, now: int, actor: str, row: store.ConversationRow, kind: str, **body: Any) -> None:
    """The entry of an act: refs, kinds and numbers, and no word of what was said."""
    told = {"conversation": row.ref.hex(), **body}
    entry = Entry(
        kind=kind,
        actor=actor,
        contact=row.contact_ref,
        topic=row.topic_ref,
        campaign=row.campaign_ref,
        message=body.get("message"),
        body={name: value for name, value in told.items() if name != "message"},
    )
    record(conn, now, entry)
