"""Members' accounts: the public door, choosing a password, signing in, one's own facts, and closing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from outreach.domain.actors import Actor
from outreach.domain.errors import NotAllowedError, NotFoundError
from outreach.services import outbox, sessions
from outreach.services.context import Context
from outreach.services.sessions import MEMBERS, Client
from outreach.store import members as store
from outreach.store.boxes import ContactKeys
from outreach.store.contacts import find_by_id


class SuspendedError(NotAllowedError):
    """This account may not invite or accept for now; its owner can appeal."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """A member's own account, address in full: it is theirs. `notify`: mail me when somebody answers."""

    name: str
    address: str
    locale: str
    timezone: str
    notify: bool
    created: int
    suspended: int | None
    suspended_for: str


def sign_in_member(ctx: Context, *, address: str, password: str, client: Client) -> str:
    """Start a member's session and return its id for the cookie. Raises InvalidInputError, the same for everybody."""
    return sessions.sign_in(ctx, address=address, password=password, client=client, accounts=MEMBERS)


def see_account(ctx: Context, actor: Actor) -> Account:
    """The actor's own account."""
    with ctx.db.reading() as conn:
        row = must_be_open(conn, actor)
        keys = ContactKeys(ctx.keyring, conn)
        return Account(
            name=store.name_of(keys, row),
            address=keys.text(row.contact, row.address_box) or "",
            locale=row.locale,
            timezone=row.timezone,
            notify=bool(row.notify),
            created=row.created,
            suspended=row.suspended,
            suspended_for=row.suspended_for or "",
        )


def must_be_open(conn: Connection, actor: Actor) -> store.MemberRow:
    """The actor's row, suspended or not. Raises NotAllowedError for who is no member, NotFoundError once closed."""
    row = store.by_id(conn, actor.must_be_member())
    if row is None or row.closed is not None:
        raise NotFoundError("This account no longer exists.")
    return row


def must_be_active(conn: Connection, actor: Actor) -> store.MemberRow:
    """The actor's row. Raises SuspendedError (a NotAllowedError) while suspended, else as `must_be_open`."""
    row = must_be_open(conn, actor)
    if row.suspended is not None:
        raise SuspendedError("Your account is paused, so this cannot be done. Nothing was changed. You can appeal.")
    return row


def tell_member(
    conn: Connection, ctx: Context, now: int, row: store.MemberRow, *, template: str, facts: Mapping[str, Any]
) -> None:
    """Queue one notice to this member, if they asked to be mailed when somebody answers and the account is open."""
    person = find_by_id(conn, row.contact)
    if row.notify and row.closed is None and person is not None:
        outbox.queue_notice(conn, ctx, now, person, template=template, facts=facts)
