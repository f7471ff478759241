"""Staff for tests of services: accounts with passwords, and sessions of them."""

import secrets
from functools import cache

from sqlalchemy import select, update

from outreach.domain.actors import Actor, Role
from outreach.services import passwords, sessions
from outreach.services.context import Context
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.organisation import staff
from tests.factories import World

CLIENT = sessions.Client("Firefox on a test bench", "192.0.2.0/24")
PASSWORD = "seven quiet herons"

__all__ = ["CLIENT", "PASSWORD", "actor", "hire", "kinds", "session_of"]


def hire(world: World, roles: str = "administrator", address: str = "", password: str = PASSWORD) -> int:
    """The id of a new member of staff who has chosen a password."""
    person = world.person(address or f"staff{secrets.token_hex(4)}@northfield.example", name="Robin")
    row = {"ref": secrets.token_bytes(16), "contact": person.id, "roles": roles, "created": world.now}
    hired = world._insert(staff, **row)
    with world.ctx.db.transaction() as conn:
        conn.execute(update(staff).where(staff.c.id == hired).values(password_hash=_hashed(password)))
    return hired


@cache
def _hashed(password: str) -> str:
    return passwords.hash_password(password)


def session_of(ctx: Context, staff_id: int) -> sessions.Session:
    """A fresh session of this person."""
    with ctx.db.transaction() as conn:
        token = sessions.begin_session(ctx, conn, ctx.db.now(conn), staff_id, CLIENT)
    opened = sessions.open_session(ctx, token)
    assert opened is not None
    return opened


def actor(*roles: Role) -> Actor:
    return Actor("staff:" + "00" * 16, frozenset(roles))


def kinds(ctx: Context) -> list[str]:
    """The kinds of all audit entries, in order."""
    with ctx.db.reading() as conn:
        return list(conn.execute(select(audit_entry.c.kind).order_by(audit_entry.c.id)).scalars())
