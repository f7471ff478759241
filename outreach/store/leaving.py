"""Erasing people of whom nothing is held but an unanswered question: their key goes, and with it every box."""

import secrets
from collections.abc import Collection

from sqlalchemy import Connection, bindparam, delete, exists, select, update

from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import confirmation, confirmation_topic, consent, consent_event
from outreach.store.schema.organisation import staff
from outreach.store.schema.people import contact, contact_key, mailbox

_STRANGERS_EVENTS = ("requested", "declined", "lapsed")


def only_asked(conn: Connection, contacts: Collection[int]) -> dict[int, bytes]:
    """Those of `contacts` (id → ref) who never agreed to anything, work for nobody and await no question."""
    stayed = (
        exists().where(consent.c.contact == contact.c.id, consent.c.state.not_in(["none", "pending"])),
        exists().where(consent_event.c.contact == contact.c.id, consent_event.c.event.not_in(_STRANGERS_EVENTS)),
        exists().where(staff.c.contact == contact.c.id),
        exists().where(message.c.contact == contact.c.id, message.c.origin != "confirmation"),
        exists().where(confirmation.c.contact == contact.c.id, confirmation.c.answered.is_(None)),
    )
    query = select(contact.c.id, contact.c.ref).where(
        contact.c.id.in_(list(contacts)),
        exists().where(contact_key.c.contact == contact.c.id),
        *(~reason for reason in stayed),
    )
    return {row.id: row.ref for row in conn.execute(query.order_by(contact.c.id))}


def erase(conn: Connection, contacts: Collection[int]) -> None:
    """Take everything by which these people could be known. Their message rows stay, naming nobody."""
    ids = sorted(contacts)
    if not ids:
        return
    conn.execute(delete(contact_key).where(contact_key.c.contact.in_(ids)))
    conn.execute(delete(consent).where(consent.c.contact.in_(ids)))
    asked = select(confirmation.c.id).where(confirmation.c.contact.in_(ids))
    conn.execute(delete(confirmation_topic).where(confirmation_topic.c.confirmation.in_(asked)))
    conn.execute(update(confirmation).where(confirmation.c.contact.in_(ids)).values(evidence_box=None))
    conn.execute(
        update(contact)
        .where(contact.c.id == bindparam("of"))
        .values(address_key=bindparam("noise"), address_box=None, fields_box=None),
        [{"of": one, "noise": secrets.token_bytes(32)} for one in ids],
    )
    _forget_mailboxes(conn, ids)


def _forget_mailboxes(conn: Connection, ids: Collection[int]) -> None:
    """Mailboxes no other address shares lose their key too: it stood for an address."""
    others = (
        select(contact.c.id)
        .join(contact_key, contact_key.c.contact == contact.c.id)
        .where(contact.c.mailbox == mailbox.c.id)
        .exists()
    )
    mine = select(contact.c.mailbox).where(contact.c.id.in_(ids))
    empty = conn.execute(select(mailbox.c.id).where(mailbox.c.id.in_(mine), ~others)).scalars().all()
    if empty:
        conn.execute(
            update(mailbox).where(mailbox.c.id == bindparam("of")).values(mailbox_key=bindparam("noise")),
            [{"of": one, "noise": secrets.token_bytes(32)} for one in empty],
        )
