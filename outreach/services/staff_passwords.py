"""Choosing, forgetting and changing a staff password. Every change ends the sessions that were open."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.engine import Row

from outreach.domain import addresses
from outreach.domain.errors import InvalidInputError, TokenExpiredError
from outreach.domain.tokens import Purpose
from outreach.services import passwords
from outreach.services.context import Context
from outreach.services.doors import leave_request, opened_request, take_due
from outreach.services.sessions import Client, Session, begin_session, end_sessions
from outreach.services.staff import FORGOTTEN, HOUR, send_password_link
from outreach.store import requests
from outreach.store import staff as store
from outreach.store.audit import Entry, record
from outreach.store.boxes import ContactKeys

DOOR = "staff-reset"
_LINKS_A_DAY = 3


def forgot_password(ctx: Context, *, address: str, network: str) -> None:
    """The public door: one request row, whoever's address it is; the engine looks and mails.

    Raises InvalidInputError for what is no address, which tells nothing about anybody.
    """
    parsed = addresses.parse(address)
    leave_request(ctx, door=DOOR, network=network, payload={"address": parsed.exact})


def process_staff_requests(ctx: Context) -> int:
    """For the engine: mail a link to staff who forgot, three a day each at most. Returns how many were looked at."""
    return take_due(ctx, [DOOR], lambda conn, now: _Batch(conn, ctx, now))


class _Batch:
    """What `doors.take_due` asks of a batch."""

    def __init__(self, conn: Connection, ctx: Context, now: int) -> None:
        self.conn, self.ctx, self.now = conn, ctx, now

    def open(self, row: Row[Any]) -> Row[Any]:
        return row

    def lock(self, opened: Sequence[Row[Any]]) -> None:
        """Nobody's state changes here."""

    def take(self, asked: Row[Any]) -> None:
        _answer(self.conn, self.ctx, self.now, asked)


def _answer(conn: Connection, ctx: Context, now: int, row: Row[Any]) -> None:
    address = addresses.parse(opened_request(ctx, row)["address"])
    member = store.by_address_key(conn, ctx.keyring.blind("address", address.exact))
    if member is not None and store.links_since(conn, member.id, now - 24 * HOUR) < _LINKS_A_DAY:
        send_password_link(conn, ctx, now, member, FORGOTTEN)
        body = {"staff": member.ref.hex(), "request": row.ref.hex()}
        record(conn, now, Entry(kind="staff.password-asked", actor="visitor", body=body))
    requests.settle_request(conn, row.id, now)


def see_password_link(ctx: Context, token: str) -> None:
    """Whether this link may still choose a password. Raises TokenError."""
    with ctx.db.reading() as conn:
        _owner(ctx, conn, ctx.db.now(conn), token)


def choose_password(ctx: Context, token: str, password: str) -> None:
    """Set the password the link's owner chose; every session and every other link of theirs ends.

    Raises TokenError, or InvalidInputError for a password that will not do; the link then still works.
    """
    with ctx.db.reading() as conn:
        _check(ctx, conn, _owner(ctx, conn, ctx.db.now(conn), token), password)
    password_hash = passwords.hash_password(password)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        member = _owner(ctx, conn, now, token)
        _replace(conn, now, member, password_hash)
        record(conn, now, Entry(kind="staff.password-chosen", actor=f"staff:{member.ref.hex()}"))


def change_password(ctx: Context, session: Session, *, present: str, new: str, client: Client) -> str:
    """Change one's own password. Ends every session, this one included, and returns the id of a new one."""
    with ctx.db.reading() as conn:
        member = _member(conn, session.owner_id)
        if not passwords.matches(member.password_hash, present):
            raise InvalidInputError("This is not your present password. Nothing was changed.", "present")
        _check(ctx, conn, member, new)
    password_hash = passwords.hash_password(new)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        _replace(conn, now, member, password_hash)
        record(conn, now, Entry(kind="staff.password-changed", actor=session.actor.name))
        return begin_session(ctx, conn, now, member.id, client)


def _replace(conn: Connection, now: int, member: store.StaffRow, password_hash: str) -> None:
    store.change(conn, member.id, password_hash=password_hash)
    end_sessions(conn, now, member.id)
    store.close_links(conn, now, purpose=Purpose.STAFF_PASSWORD, staff_id=member.id)


def _check(ctx: Context, conn: Connection, member: store.StaffRow, password: str) -> None:
    keys = ContactKeys(ctx.keyring, conn)
    name = str(keys.facts(member.contact, member.fields_box).get("name", ""))
    passwords.must_be_good(password, known=(keys.text(member.contact, member.address_box) or "", name))


def _owner(ctx: Context, conn: Connection, now: int, token: str) -> store.StaffRow:
    read = ctx.tokens.read(Purpose.STAFF_PASSWORD, token, now)
    link = store.open_link(conn, now, ref=read.ref, purpose=Purpose.STAFF_PASSWORD)
    member = store.by_id(conn, link.staff) if link is not None else None
    if member is None or member.disabled is not None:
        raise TokenExpiredError("This link was used, or replaced by a newer one. Ask for a fresh one.")
    return member


def _member(conn: Connection, staff_id: int) -> store.StaffRow:
    member = store.by_id(conn, staff_id)
    if member is None:
        raise InvalidInputError("This account no longer exists.", "present")
    return member
