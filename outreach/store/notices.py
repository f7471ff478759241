"""Whether members and staff want to be told of what happens: one switch in each account."""

import json
from collections.abc import Collection
from typing import NamedTuple

from sqlalchemy import Connection, select, update

from outreach.store.schema.audit import audit_entry
from outreach.store.schema.members import member
from outreach.store.schema.organisation import staff
from outreach.store.schema.people import contact

_SWITCHES = {
    "member": (member, member.c.notify, member.c.closed),
    "staff": (staff, staff.c.told_of_dues, staff.c.disabled),
}
ACCOUNTS = frozenset(_SWITCHES)
"""The kinds of account that have one."""


class Switched(NamedTuple):
    """An account whose switch was moved: which of `ACCOUNTS`, and the ref of whose it is."""

    account: str
    person: bytes


def switch(conn: Connection, contacts: Collection[int], accounts: Collection[str], *, is_on: bool) -> list[Switched]:
    """Move the switches of these people's open accounts that stand otherwise."""
    moved = []
    for account in sorted(accounts):
        table, column, ended = _SWITCHES[account]
        query = select(table.c.id, contact.c.ref).join(contact, contact.c.id == table.c.contact)
        stands = (table.c.contact.in_(list(contacts)), column == int(not is_on), ended.is_(None))
        rows = conn.execute(query.where(*stands).order_by(table.c.id)).all()
        if rows:
            conn.execute(update(table).where(table.c.id.in_([row.id for row in rows])).values({column: int(is_on)}))
        moved += [Switched(account, row.ref) for row in rows]
    return moved


def switched(conn: Connection, kind: str, message: bytes, at: int) -> set[str]:
    """Which accounts' switches entries of this kind say were moved by a press in this mail at exactly this instant."""
    query = select(audit_entry.c.body).where(audit_entry.c.kind == kind, audit_entry.c.at == at)
    return {json.loads(body)["of"] for body in conn.execute(query.where(audit_entry.c.message == message)).scalars()}
