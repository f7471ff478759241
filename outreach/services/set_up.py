"""The first day: a one-time link, and what it makes in one transaction: controller, sender, administrator."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection

from outreach.domain import addresses
from outreach.domain.actors import Actor, Role
from outreach.domain.errors import ConflictError, InvalidInputError, TokenExpiredError
from outreach.domain.tokens import Purpose
from outreach.services import passwords
from outreach.services.context import Context
from outreach.services.controller import Controller, put_controller
from outreach.services.senders import SenderFacts, put_sender
from outreach.services.sessions import Client, begin_session
from outreach.services.staff import HOUR, LINK_HOURS, check_name
from outreach.store import staff as store
from outreach.store.audit import Entry, record
from outreach.store.boxes import ContactKeys


@dataclass(frozen=True, kw_only=True)
class SetUp:
    """What the set-up page asks. `roles`: what the administrator is besides."""

    controller: Controller
    sender: SenderFacts
    name: str
    address: str
    password: str
    roles: frozenset[Role]


def make_set_up_link(ctx: Context) -> str:
    """The address of a fresh set-up page, good for 24 hours; the earlier link stops working.

    Empty once there is staff: nobody becomes administrator by a link again.
    """
    with ctx.db.transaction() as conn:
        if store.has_any(conn):
            return ""
        now = ctx.db.now(conn)
        store.close_links(conn, now, purpose=Purpose.SET_UP, staff_id=None)
        ref = secrets.token_bytes(16)
        store.add_link(conn, now, ref=ref, purpose=Purpose.SET_UP, expires=now + LINK_HOURS * HOUR, staff_id=None)
        return f"{ctx.settings.public_url}/set-up/{ctx.tokens.issue(Purpose.SET_UP, ref, now)}"


def see_set_up(ctx: Context, token: str) -> None:
    """Whether this link may set the installation up. Raises TokenError or ConflictError."""
    with ctx.db.reading() as conn:
        _must_be_empty(conn)
        _link(ctx, conn, ctx.db.now(conn), token)


def set_up(ctx: Context, token: str, given: SetUp, client: Client) -> str:
    """Make everything and sign the administrator in. Returns the session's id.

    InvalidInputError names fields as `sender_…` for the sender's, as they are for the rest.
    """
    check_name(given.name, "your_name")
    address = addresses.parse(given.address)
    passwords.must_be_good(given.password, known=(address.exact, given.name))
    password_hash = passwords.hash_password(given.password)
    roles = given.roles | {Role.ADMINISTRATOR}
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        _must_be_empty(conn)
        _link(ctx, conn, now, token)
        row = store.add(
            conn,
            ctx.keyring,
            ContactKeys(ctx.keyring, conn),
            now,
            address=address,
            name=given.name,
            roles=",".join(sorted(roles)),
            timezone=given.controller.timezone,
            password_hash=password_hash,
        )
        if row is None:
            raise ConflictError("This installation has been set up already. Sign in instead.")
        actor = Actor(f"staff:{row.ref.hex()}", roles, row.id)
        put_controller(conn, now, given.controller)
        with _prefixed("sender_"):
            put_sender(conn, ctx, now, actor, given.sender)
        store.close_links(conn, now, purpose=Purpose.SET_UP, staff_id=None)
        record(conn, now, Entry(kind="staff.set-up", actor=actor.name, body={"roles": sorted(roles)}))
        return begin_session(ctx, conn, now, row.id, client)


def _must_be_empty(conn: Connection) -> None:
    if store.has_any(conn):
        raise ConflictError("This installation has been set up already. Sign in instead.")


def _link(ctx: Context, conn: Connection, now: int, token: str) -> None:
    read = ctx.tokens.read(Purpose.SET_UP, token, now)
    if store.open_link(conn, now, ref=read.ref, purpose=Purpose.SET_UP) is None:
        raise TokenExpiredError("A newer set-up link replaced this one. Look where the product was started.")


@contextmanager
def _prefixed(prefix: str) -> Iterator[None]:
    try:
        yield
    except InvalidInputError as error:
        raise InvalidInputError(str(error), prefix + error.field) from None
