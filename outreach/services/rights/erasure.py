"""Erasing a person who asked for it: first they are told, then their key, rows and letters are destroyed.

From the decision on nothing but that one mail goes to them. An hour after it left, the key goes: boxes in append-only
rows are noise from then on. What stays is a keyed hash, so that no import brings them back, the sealed entries, which
name nobody, and, where they ever agreed to something, proof for claims under a key of its own (`claims.py`).
"""

import json
from collections.abc import Iterator

from sqlalchemy import Connection, select, update

from outreach.domain import addresses
from outreach.domain.actors import ENGINE, Actor
from outreach.domain.errors import ConflictError, InvalidInputError
from outreach.domain.message import FINAL
from outreach.domain.rights import State
from outreach.mail import maildir
from outreach.services.context import Context
from outreach.services.leave import end_account
from outreach.services.rights import claims, erasures_file
from outreach.services.rights.erasures_file import Erased
from outreach.services.rights.notices import tell
from outreach.store import consents, leaving, requests, suppressions
from outreach.store import rights as store
from outreach.store.address_moves import has_left
from outreach.store.audit import Entry, record
from outreach.store.boxes import ContactKeys, unseal
from outreach.store.contacts import Person
from outreach.store.planning import take_planners_turn
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import confirmation, request
from outreach.store.schema.members import appeal, connect_link, invitation, member, member_session
from outreach.store.schema.organisation import staff
from outreach.store.schema.people import contact
from outreach.store.schema.relaying import relayed

GRACE = 3_600_000_000
"""Microseconds between the mail that tells of an erasure and the erasure: what is under way then is settled."""


class WorksHereError(ConflictError):
    """Somebody on the staff cannot be erased while they are."""


def decide_erasure(
    conn: Connection, ctx: Context, now: int, person: Person, row: store.RequestRow, *, actor: Actor
) -> None:
    """Begin: bar the address, end what the person takes part in, queue the mail. Inside the caller's transaction.

    Raises WorksHereError for somebody on the staff.
    """
    if conn.execute(select(staff.c.id).where(staff.c.contact == person.id)).first() is not None:
        raise WorksHereError("This person is on the staff, whose acts the log must explain. Nothing was changed.")
    until = claims.kept_until(conn, person.id, now)
    notice = tell(conn, ctx, now, person, "erasing", row.kind, until=until)  # first: it holds them until it left
    end_account(conn, ctx, now, person.id, actor)
    address_key, _ = consents.bar_keys(conn, person.id)
    bar = suppressions.Bar(address_key, "address", "erased", "owner", "erased as they asked")
    suppressions.put(conn, now, [bar])
    _close_questions(conn, now, person.id)
    values = {"state": State.CARRYING_OUT, "decided": now, "notice": notice, "claims_until": until}
    store.change(conn, row.id, **values)
    body = {"request": row.ref.hex(), "kind": row.kind, "claims_until": until}
    record(conn, now, Entry(kind="rights.decided", actor=actor.name, contact=person.ref, message=notice, body=body))


def erase_due(ctx: Context) -> int:
    """For the engine: carry out erasures whose mail was settled an hour ago. Returns how many."""
    with ctx.db.reading() as conn:
        waiting = store.to_erase(conn, ctx.db.now(conn) - GRACE)
    for request_id in waiting:
        with ctx.db.transaction() as conn:
            take_planners_turn(conn)
            _carry_out(conn, ctx, request_id)
    return len(waiting)


def _carry_out(conn: Connection, ctx: Context, request_id: int) -> None:
    row = store.by_id(conn, request_id)
    consents.lock_contacts(conn, [row.contact])
    now = ctx.db.now(conn)
    row = store.by_id(conn, request_id)
    if row.finished is not None:
        return
    gone = Erased(row.decided, row.contact_ref, consents.bar_keys(conn, row.contact)[0], row.claims_until or 0)
    destroy(conn, ctx, now, row.contact, gone, reason="asked")
    store.change(conn, row.id, state=State.DONE, finished=now)
    body = {"request": row.ref.hex(), "kind": row.kind}
    record(conn, now, Entry(kind="rights.done", actor=ENGINE.name, contact=row.contact_ref, body=body))
    erasures_file.append(ctx, [gone])  # on disk before this commits: a restore then knows in any case


def destroy(conn: Connection, ctx: Context, now: int, contact_id: int, gone: Erased, *, reason: str) -> None:
    """Keep the proof that is to be kept, then take everything by which this person could be known."""
    if gone.until > now:
        claims.hold(conn, ctx, now, contact_id, gone.contact, gone.until)
    box = conn.execute(select(contact.c.address_box).where(contact.c.id == contact_id)).scalar_one()
    exact = ContactKeys(ctx.keyring, conn).text(contact_id, box)
    if exact is not None:
        _forget_what_was_typed(conn, ctx, now, exact)
        _burn_letters(ctx, exact)
    _empty(conn, contact_id)
    store.forget_results(conn, contact_id)
    _close_questions(conn, now, contact_id)
    leaving.erase(conn, [contact_id])
    body = {"reason": reason}
    record(conn, now, Entry(kind="contact.erased", actor=ENGINE.name, contact=gone.contact, body=body))


def _close_questions(conn: Connection, now: int, contact_id: int) -> None:
    """A link to confirm that is still about must not bring anything back."""
    still_open = (confirmation.c.contact == contact_id, confirmation.c.answered.is_(None))
    conn.execute(update(confirmation).where(*still_open).values(answered=now, answer="expired", evidence_box=None))


def _empty(conn: Connection, contact_id: int) -> None:
    """Boxes nobody can open any more need not be kept; what others wrote about the person goes as well."""
    own = select(contact.c.mailbox).where(contact.c.id == contact_id).scalar_subquery()
    mine = select(member.c.id).where(member.c.contact == contact_id).scalar_subquery()
    to_them = (invitation.c.contact == contact_id) | ((invitation.c.mailbox == own) & ~has_left(contact_id))
    theirs = to_them | (invitation.c.member == mine)
    conn.execute(update(invitation).where(theirs).values(note_box=None, label_box=None))
    conn.execute(update(connect_link).where(connect_link.c.member == mine).values(label_box=None))
    conn.execute(update(appeal).where(appeal.c.member == mine).values(words_box=None))
    own_mails = {"words_box": None, "origin_box": None, "origin_key": None}
    conn.execute(update(relayed).where(relayed.c.writer == contact_id).values(own_mails))
    conn.execute(update(member_session).where(member_session.c.member == mine).values(client_box=None))
    conn.execute(update(member).where(member.c.contact == contact_id).values(name_box=None, password_hash=None))
    invited = select(contact.c.mailbox).join(invitation, invitation.c.contact == contact.c.id)
    told = (
        message.c.mailbox.in_(invited.where(invitation.c.member == mine)),
        message.c.invitation.in_(select(invitation.c.id).where(invitation.c.member == mine)),
        message.c.state.in_(sorted(FINAL)),
    )
    conn.execute(update(message).where(*told).values(body_box=None))  # whoever was told that they said yes
    for row in store.of_contact(conn, contact_id):
        store.change(conn, row.id, words_box=None)


def _forget_what_was_typed(conn: Connection, ctx: Context, now: int, exact: str) -> None:
    """Requests at the doors that name the address and wait to be looked at: a stranger's typing, or their own."""
    waiting = conn.execute(select(request.c.id, request.c.payload_box).where(request.c.settled.is_(None))).all()
    for row in waiting:
        if row.payload_box is not None and exact in _typed(unseal(ctx.keyring.doors, row.payload_box)):
            requests.settle_request(conn, row.id, now)


def _typed(payload: bytes) -> Iterator[str]:
    """The addresses a door's payload names, as we write them."""
    for value in json.loads(payload).values():
        if isinstance(value, str) and "@" in value:
            try:
                yield addresses.parse(value).exact
            except InvalidInputError:
                continue


def _burn_letters(ctx: Context, exact: str) -> None:
    """The demo mailbox is everybody's inbox; theirs goes too."""
    folder = ctx.settings.demo_mailbox
    if folder is not None:
        maildir.burn(folder, exact)
