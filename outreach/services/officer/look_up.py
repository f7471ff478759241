"""Finds whom an officer types: an address in full, or the reference printed in a mail. Kept nowhere, and audited."""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from outreach.domain import addresses
from outreach.domain.actors import Actor, Role
from outreach.domain.errors import InvalidInputError
from outreach.services.bars import BarView, bars_on
from outreach.services.context import Context
from outreach.store.audit import Entry, record
from outreach.store.contacts import find_by_address, find_by_code
from outreach.store.schema.people import contact, mailbox


@dataclass(frozen=True)
class Found:
    """Whom a typed address or reference names: contacts' refs, exact first; and the bars that stand on it."""

    contacts: tuple[bytes, ...]
    bars: tuple[BarView, ...]


def look_up(ctx: Context, actor: Actor, typed: str) -> Found:
    """Find whom an address typed in full, or the reference printed in a mail, names. The look-up is itself audited.

    Also finds other spellings of the same mailbox. Raises InvalidInputError; what was typed is kept nowhere.
    """
    actor.must_be(Role.OFFICER)
    if not typed.strip():
        raise InvalidInputError("Type an address in full, or the reference printed in a mail.", field="who")
    try:
        address = addresses.parse(typed) if "@" in typed else None
    except addresses.AddressError as error:
        raise InvalidInputError(str(error), field="who") from None
    with ctx.db.transaction() as conn:
        found = _by_address(conn, ctx, address) if address else _by_code(conn, typed)
        refs = found.contacts or (None,)
        body = {"by": "address" if address else "reference", "found": len(found.contacts)}
        entries = [Entry(kind="contact.looked-up", actor=actor.name, contact=ref, body=body) for ref in refs]
        record(conn, ctx.db.now(conn), *entries)
        return found


def _by_address(conn: Connection, ctx: Context, address: addresses.Address) -> Found:
    exact = find_by_address(conn, ctx.keyring, address)
    mailbox_key = ctx.keyring.blind("mailbox", address.mailbox)
    same = select(contact.c.ref).join(mailbox, mailbox.c.id == contact.c.mailbox)
    refs = conn.execute(same.where(mailbox.c.mailbox_key == mailbox_key).order_by(contact.c.id)).scalars().all()
    first = (exact.ref,) if exact else ()
    bars = bars_on(conn, (ctx.keyring.blind("address", address.exact), mailbox_key))
    standing = tuple(bar for bar in bars if bar.lifted is None)
    return Found((*first, *(ref for ref in refs if ref not in first)), standing)


def _by_code(conn: Connection, typed: str) -> Found:
    person = find_by_code(conn, typed)
    return Found((person.ref,) if person else (), ())
