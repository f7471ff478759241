"""A person's reply to a mail of ours, as the intake hands it over: it opens a conversation, or goes on with one."""

from sqlalchemy import Connection

from outreach.domain import addresses
from outreach.domain.actors import RECIPIENT
from outreach.domain.conversations import LONGEST_KEPT, as_read
from outreach.domain.errors import ConflictError, InvalidInputError
from outreach.mail.inbound.incoming import Incoming, Kind
from outreach.services.context import Context
from outreach.services.conversations import posting
from outreach.store import consents
from outreach.store import conversations as store
from outreach.store.contacts import Person

LONGEST_SUBJECT = 300


def take_reply(
    conn: Connection,
    ctx: Context,
    now: int,
    *,
    message: bytes,
    person: Person,
    incoming: Incoming,
    mail: int,
    is_vouched: bool = False,
) -> bytes:
    """Keep what somebody wrote in reply to the mail `message` (ref); `mail`: the row that came in; `is_vouched`:
    whether anybody vouches for its From.

    Returns the conversation's ref; b"" when nothing was kept: an automatic answer opens and reopens nothing (RFC 3834),
    and of an erased person nothing is held. A reply to our answer goes on with its conversation, and a second one to
    the same mail with the first's while that is open.
    """
    if incoming.is_automatic or incoming.kind is not Kind.REPLY:
        return b""
    answered = store.mail(conn, message)
    row = None if answered is None else _going_on(conn, person, answered.id)
    try:
        posting.lock(conn, person.id if row is None else row.contact)
    except ConflictError:
        return b""
    is_new = row is None
    if row is None:
        about = {} if answered is None else {"message": answered.id, "topic": answered.topic}
        if answered is not None and answered.campaign is not None:
            about["campaign"] = answered.campaign
        row = store.add(conn, now, contact_id=person.id, via="reply", **about)
    words = {
        "subject": as_read(incoming.subject[:LONGEST_SUBJECT]),
        "text": as_read(incoming.text[:LONGEST_KEPT]),
        "quoted": as_read(incoming.quoted[:LONGEST_KEPT]),
        "cut": "yes" if len(incoming.text) > LONGEST_KEPT else "",
    }
    is_foreign = _is_foreign(conn, ctx, row.contact, incoming.from_address)
    words["unproved"] = "" if is_foreign or is_vouched else "yes"
    post = posting.take(conn, ctx, now, row, words, inbound=mail, is_foreign=int(is_foreign))
    posting.keep_files(conn, ctx, row.contact, post.id, incoming.attachments)
    kind = "conversation.opened" if is_new else "conversation.continued"
    posting.note(conn, now, RECIPIENT.name, row, kind, via="reply", files=len(incoming.attachments), message=message)
    return bytes(row.ref)


def _going_on(conn: Connection, person: Person, mail: int) -> store.ConversationRow | None:
    """The conversation the mail belongs to, once nobody changes it. It may have gone along to another address of the
    same person; then both are locked, in the one order.
    """
    found = store.of_mail(conn, mail)
    consents.lock_contacts(conn, {person.id} if found is None else {person.id, found.contact})
    fresh = store.of_mail(conn, mail)
    if fresh is not None and fresh.contact not in {person.id, None if found is None else found.contact}:
        raise ConflictError("The conversation went to another address just now.")
    return fresh


def _is_foreign(conn: Connection, ctx: Context, contact_id: int, wrote_from: str) -> bool:
    """Whether it came from another mailbox than the mail went to: theirs too, or of somebody it was passed on to.

    A +tag or another spelling of the same mailbox is theirs.
    """
    try:
        address = addresses.parse(wrote_from)
    except InvalidInputError:
        return True
    _address_key, mailbox_key = consents.bar_keys(conn, contact_id)
    return ctx.keyring.blind("mailbox", address.mailbox) != mailbox_key
