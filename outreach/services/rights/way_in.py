"""Whose mailbox a fresh link was sent to: the one way into a person's own room and to the pages about their data."""

from collections.abc import Callable

from sqlalchemy import Connection

from outreach.domain.errors import TokenExpiredError
from outreach.domain.tokens import Purpose
from outreach.services.context import Context
from outreach.store import connections
from outreach.store import rights as store
from outreach.store.contacts import Person, find_by_id


def owner_of(
    conn: Connection,
    ctx: Context,
    now: int,
    token: str,
    *,
    lock: Callable[[Connection, int], object] | None = None,
) -> Person:
    """The person a fresh link was mailed to, while it works and they are held.

    `lock`: takes the locks a change needs, given their id, before they are read. Raises TokenError, and
    TokenExpiredError for a link past its half hour.
    """
    read = ctx.tokens.read(Purpose.RIGHTS, token, now)
    owner = store.link_owner(conn, read.ref)
    if owner is not None and lock is not None:
        lock(conn, owner)
    person = find_by_id(conn, owner) if owner is not None else None
    if person is None or not connections.held(conn, [person.id]):
        raise TokenExpiredError("This link is past its time. Nothing was changed; ask for a fresh one.")
    return person
