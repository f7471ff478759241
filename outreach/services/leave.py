"""A member closes their account: what they had going ends, and they are erased unless something else holds them."""

from typing import Any

from sqlalchemy import Connection

from outreach.domain.actors import Actor
from outreach.domain.errors import InvalidInputError
from outreach.services import connections, passwords
from outreach.services.context import Context
from outreach.services.expiry import erase_strangers
from outreach.services.members import must_be_open
from outreach.services.sessions import MEMBERS, Session, end_sessions
from outreach.store import connect_links, invitations, invitees, requests
from outreach.store import members as store
from outreach.store.audit import Entry, record


def close_account(ctx: Context, session: Session, password: str) -> None:
    """Close the account for good. Raises InvalidInputError (field "password").

    Connections end, links close, open invitations are cancelled, name and password go. Who agreed to mail from us
    keeps getting it: that is another matter, with a stop in every mail.
    """
    actor = session.actor
    with ctx.db.reading() as conn:
        if not passwords.matches(must_be_open(conn, actor).password_hash, password):
            raise InvalidInputError("This is not your password. Nothing was changed.", "password")
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        row = _locked(conn, actor)
        _close(conn, ctx, now, row, actor)
        erase_strangers(conn, now, [row.contact], actor=actor, reason="account closed")


def end_account(conn: Connection, ctx: Context, now: int, contact_id: int, actor: Actor) -> bool:
    """The same for somebody who is being erased, inside the caller's transaction, who holds the locks it needs: the
    contact, whoever they are connected with, the members who invite them. False when they have no open account.
    """
    connections.end_all(conn, ctx, now, contact_id, actor)
    row = store.by_contact(conn, contact_id)
    if row is None or row.closed is not None:
        return False
    _close(conn, ctx, now, row, actor)
    return True


def _close(conn: Connection, ctx: Context, now: int, row: store.MemberRow, actor: Actor) -> None:
    """End everything the account had going, and the account."""
    ended = connections.end_all(conn, ctx, now, row.contact, actor)
    links = [link for link in connect_links.of_member(conn, row.id) if connect_links.close(conn, now, link.id)]
    cancelled, refused = invitations.end_all(conn, now, row.id)
    sessions = end_sessions(conn, now, row.id, MEMBERS)
    _answer_open_request(conn, now, row.contact)
    store.change(conn, row.id, closed=now, password_hash=None, name_box=None, notify=0)
    counts = {"connections": ended, "links": len(links), "sessions": sessions}
    counts |= {"invitations": len(cancelled), "requests": len(refused)}
    no = {"way": "link", "settlement": "refused"}
    bodies: list[tuple[str, dict[str, Any]]] = [
        *(("connect-link.closed", {"link": link.ref.hex()}) for link in links),
        *(("invitation.cancelled", {"invitation": ref.hex()}) for ref in cancelled),
        *(("invitation.answered", {"invitation": ref.hex(), **no}) for ref in refused),
        ("member.closed", counts),
    ]
    entries = (Entry(kind=kind, actor=actor.name, contact=row.contact_ref, body=body) for kind, body in bodies)
    record(conn, now, *entries)


def _locked(conn: Connection, actor: Actor) -> store.MemberRow:
    """Their account, once nothing can change around it: people, then whoever invites whom, before any invitation."""
    row = must_be_open(conn, actor)
    connections.lock_everybody(conn, row.contact)
    invitees.lock_members(conn, {row.id} | invitees.inviters_of(conn, row.contact))
    return must_be_open(conn, actor)


def _answer_open_request(conn: Connection, now: int, contact_id: int) -> None:
    """A link to choose a password that is still on its way must not make the account anew."""
    pending = requests.open_confirmation(conn, contact_id, now, about="account")
    if pending is not None:
        requests.change_confirmation(conn, pending.id, answered=now, answer="declined", evidence_box=None)
