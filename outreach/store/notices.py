"""Whether members and staff want to be told of what happens: one switch in each account."""

import json
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, and_, or_, select, update
from sqlalchemy.engine import Row

from outreach.store.schema.audit import audit_entry
from outreach.store.schema.campaigns import message
from outreach.store.schema.members import member
from outreach.store.schema.organisation import staff
from outreach.store.schema.people import contact

_SWITCHES = {
    "member": (member, member.c.notify, member.c.closed),
    "staff": (staff, staff.c.told_of_dues, staff.c.disabled),
}
_CHOSEN = {"member": "member.account-edited", "staff": "staff.profile-edited"}
"""Kinds of entries that say, with "notify" among what changed, that somebody moved their switch themselves."""


class Switched(NamedTuple):
    """An account whose switch was moved: "member" or "staff", and the ref of whose it is."""

    account: str
    person: bytes


def switch(
    conn: Connection, contacts: Collection[int], *, is_on: bool, only: Collection[Switched] | None = None
) -> list[Switched]:
    """Move the switches of these people's open accounts that stand otherwise; of `only` these, if given."""
    moved = []
    for account, (table, column, ended) in sorted(_SWITCHES.items()):
        query = select(table.c.id, contact.c.ref).join(contact, contact.c.id == table.c.contact)
        for row in conn.execute(query.where(table.c.contact.in_(list(contacts))).order_by(table.c.id)).all():
            one = Switched(account, bytes(row.ref))
            if only is not None and one not in only:
                continue
            stands = (table.c.id == row.id, column == int(not is_on), ended.is_(None))  # asked as it is changed
            if conn.execute(update(table).where(*stands).values({column: int(is_on)})).rowcount:
                moved.append(one)
    return moved


def switched(conn: Connection, kinds: tuple[str, str], mail: bytes, at: int) -> set[Switched]:
    """Whose switches the log says were moved off by a press in this mail at exactly this instant, and by nobody since.
    `kinds`: of the entries about switches that went off, and on again.
    """
    off = select(audit_entry).where(audit_entry.c.kind == kinds[0], audit_entry.c.at == at)
    found = conn.execute(off.where(audit_entry.c.message == mail)).all()
    return {
        Switched(json.loads(row.body)["of"], bytes(row.contact))
        for row in found
        if not _was_chosen_since(conn, row, kinds)
    }


def _was_chosen_since(conn: Connection, row: Row[Any], kinds: tuple[str, str]) -> bool:
    moved = and_(audit_entry.c.kind.in_(kinds), audit_entry.c.body == row.body)
    chosen = and_(audit_entry.c.kind == _CHOSEN[json.loads(row.body)["of"]], audit_entry.c.body.contains('"notify"'))
    later = select(audit_entry.c.id).where(audit_entry.c.contact == row.contact, audit_entry.c.id > row.id)
    closed = audit_entry.c.kind == "member.closed"
    return conn.execute(later.where(or_(moved, chosen, closed)).limit(1)).first() is not None


def waiting(conn: Connection, contacts: Collection[int]) -> Sequence[Row[*tuple[Any, ...]]]:
    """Notices to these people that belong to nothing and were not handed over yet: id, contact, body_box."""
    mailboxes = select(contact.c.mailbox).where(contact.c.id.in_(list(contacts)))
    query = select(message.c.id, message.c.contact, message.c.body_box).where(
        message.c.mailbox.in_(mailboxes),  # the index is by mailbox
        message.c.contact.in_(list(contacts)),
        message.c.origin == "notice",
        message.c.state == "planned",
        message.c.topic.is_(None),
        message.c.invitation.is_(None),
    )
    return conn.execute(query.order_by(message.c.id)).all()
