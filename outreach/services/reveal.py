"""Shows an officer one address, for a reason that goes into the log with the act."""

from sqlalchemy import select

from outreach.domain.actors import Actor, Role
from outreach.domain.errors import NotFoundError
from outreach.services.context import Context
from outreach.services.reasons import check_reason
from outreach.store.audit import Entry, record
from outreach.store.boxes import ContactKeys
from outreach.store.schema.people import contact


def reveal_address(ctx: Context, actor: Actor, ref: bytes, reason: str) -> str:
    """The address of the contact `ref` in full. Raises InvalidInputError (field "reason"), NotFoundError.

    Any address typed into the reason is masked before it is kept.
    """
    actor.must_be(Role.OFFICER)
    said = check_reason(reason, "why you need the address", "Nothing was shown.")
    with ctx.db.transaction() as conn:
        row = conn.execute(select(contact.c.id, contact.c.address_box).where(contact.c.ref == ref)).one_or_none()
        exact = ContactKeys(ctx.keyring, conn).text(row.id, row.address_box) if row else None
        if exact is None:
            raise NotFoundError("No address is held for this contact.")
        entry = Entry(kind="contact.revealed", actor=actor.name, contact=ref, body={"reason": said})
        record(conn, ctx.db.now(conn), entry)
        return exact
