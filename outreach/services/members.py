"""Members' accounts: signing in, one's own name, language and password, and what other services ask of a member.

Accounts are made in services/join.py and closed in services/leave.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from outreach import translations
from outreach.domain.actors import Actor
from outreach.domain.campaign import zone
from outreach.domain.errors import InvalidInputError, NotAllowedError, NotFoundError
from outreach.services import outbox, passwords, sessions
from outreach.services.context import Context
from outreach.services.join import check_own_name
from outreach.services.sessions import MEMBERS, Client, Session, begin_session, end_sessions
from outreach.store import consents, invitees
from outreach.store import members as store
from outreach.store.audit import Entry, record
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


def edit_account(ctx: Context, actor: Actor, *, name: str, locale: str, timezone: str, notify: bool) -> None:
    """Change one's own name, language, zone, and whether to be mailed when somebody answers.

    Raises InvalidInputError (field "name", "locale" or "timezone").
    """
    if translations.closest(locale) != locale:
        raise InvalidInputError("Choose one of the languages offered.", "locale")
    try:
        zone(timezone)
    except InvalidInputError as error:
        raise InvalidInputError(str(error), "timezone") from None
    with ctx.db.transaction() as conn:
        row = _locked(conn, actor)
        keys = ContactKeys(ctx.keyring, conn)
        before = (store.name_of(keys, row), row.locale, row.timezone, bool(row.notify))
        name = before[0] if name.strip() == before[0] else check_own_name(conn, name)
        fields = zip(("name", "locale", "timezone", "notify"), before, (name, locale, timezone, notify), strict=True)
        changed = [field for field, old, new in fields if old != new]
        if not changed:
            return
        store.change(conn, row.id, name_box=keys.seal(row.contact, name), notify=int(notify))
        store.change_contact(conn, row.contact, locale=locale, timezone=timezone)
        body = {"changed": changed}
        entry = Entry(kind="member.account-edited", actor=actor.name, contact=row.contact_ref, body=body)
        record(conn, ctx.db.now(conn), entry)


def change_member_password(ctx: Context, session: Session, *, present: str, new: str, client: Client) -> str:
    """Change one's own password. Ends every session, this one included, and returns the id of a new one.

    Raises InvalidInputError (field "present" or "password").
    """
    with ctx.db.reading() as conn:
        row = must_be_open(conn, session.actor)
        if not passwords.matches(row.password_hash, present):
            raise InvalidInputError("This is not your present password. Nothing was changed.", "present")
        keys = ContactKeys(ctx.keyring, conn)
        known = (keys.text(row.contact, row.address_box) or "", store.name_of(keys, row))
        passwords.must_be_good(new, known=known)
    password_hash = passwords.hash_password(new)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        row = must_be_open(conn, session.actor)
        store.change(conn, row.id, password_hash=password_hash)
        end_sessions(conn, now, row.id, MEMBERS)
        kind = "member.password-chosen"
        record(conn, now, Entry(kind=kind, actor=session.actor.name, contact=row.contact_ref))
        return begin_session(ctx, conn, now, row.id, client, MEMBERS)


def must_be_open(conn: Connection, actor: Actor) -> store.MemberRow:
    """The actor's row, suspended or not. Raises NotAllowedError for who is no member, NotFoundError once closed."""
    row = store.by_id(conn, actor.must_be_member())
    if row is None or row.closed is not None:
        raise NotFoundError("This account no longer exists.")
    return row


def _locked(conn: Connection, actor: Actor) -> store.MemberRow:
    """As `must_be_open`, once nobody else changes the account: its address may, and with it the key of its boxes."""
    consents.lock_contacts(conn, [must_be_open(conn, actor).contact])
    invitees.lock_members(conn, [actor.must_be_member()])
    return must_be_open(conn, actor)


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
