"""Shows an officer one address, for a reason that the log keeps with the act; after a second yes where one is due.

An approval is of one address, for one officer, once.
"""

from sqlalchemy import Connection, select

from outreach.domain.actors import Actor, Role
from outreach.domain.errors import NotFoundError
from outreach.domain.policies import Name
from outreach.services.context import Context
from outreach.services.policies.asking import Act, Subject, WaitsError, ask_in
from outreach.services.policies.versions import current
from outreach.services.reasons import check_reason
from outreach.store import approvals
from outreach.store.approvals import Asked
from outreach.store.audit import Entry, record
from outreach.store.boxes import ContactKeys
from outreach.store.schema.people import contact


def see_request(ctx: Context, actor: Actor, ref: bytes) -> Asked | None:
    """What this officer asked about the contact `ref` and can still be answered or used."""
    actor.must_be(Role.OFFICER)
    with ctx.db.reading() as conn:
        now, digest = ctx.db.now(conn), _subject(actor, ref).digest(Act.REVEAL)
        act = str(Act.REVEAL)
        return approvals.granted(conn, act, digest, now) or approvals.open_like(conn, act, digest, now)


def reveal_address(ctx: Context, actor: Actor, ref: bytes, reason: str) -> str:
    """The address of the contact `ref` in full. Raises InvalidInputError (field "reason"), NotFoundError.

    Where a second person has to approve, raises WaitsError until they have; the log then keeps the reason they read.
    Any address typed into the reason is masked before it is kept.
    """
    actor.must_be(Role.OFFICER)
    said = check_reason(reason, "why you need the address", "Nothing was shown.")
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        row = conn.execute(select(contact.c.id, contact.c.address_box).where(contact.c.ref == ref)).one_or_none()
        exact = ContactKeys(ctx.keyring, conn).text(row.id, row.address_box) if row else None
        if exact is None:
            raise NotFoundError("No address is held for this contact.")
        asked = _asked(conn, now, actor, ref, said)
        if asked is None or approvals.use(conn, asked, now):
            body = {"reason": asked.reason, "approval": asked.ref.hex()} if asked else {"reason": said}
            record(conn, now, Entry(kind="contact.revealed", actor=actor.name, contact=ref, body=body))
            return exact
    raise WaitsError(asked, "Nothing was shown.")


def _asked(conn: Connection, now: int, actor: Actor, ref: bytes, reason: str) -> Asked | None:
    """The request this reveal stands or waits on; None where one officer's word is enough."""
    if not current(conn, Name.APPROVALS, now)["reveals"]:
        return None
    subject = _subject(actor, ref)
    held = approvals.granted(conn, str(Act.REVEAL), subject.digest(Act.REVEAL), now)
    return held or ask_in(conn, now, actor, Act.REVEAL, subject, reason)


def _subject(actor: Actor, ref: bytes) -> Subject:
    return Subject(ref, {"by": actor.name})
