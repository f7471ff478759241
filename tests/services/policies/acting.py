"""Short cuts of the policy tests: officers, changes, the clock, and the engine's looks."""

import json
from typing import Any

from sqlalchemy import select

from outreach.domain.actors import Actor, Role
from outreach.domain.policies import Name, Value
from outreach.services.context import Context
from outreach.services.policies.changes import Changed, change_policy
from outreach.store import policies
from outreach.store.policies import Version
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.organisation import staff
from tests.factories import World
from tests.services.staffing import hire

REASON = "decided by the board on 12 November"
DAY = 86_400
DAY_US = 86_400_000_000
WEEK = 7 * DAY


def officer(world: World, roles: str = "officer", address: str = "") -> Actor:
    """A member of staff who has chosen a password, with these roles."""
    hired = hire(world, roles, address)
    with world.ctx.db.reading() as conn:
        ref = conn.execute(select(staff.c.ref).where(staff.c.id == hired)).scalar_one()
    return Actor(f"staff:{ref.hex()}", frozenset(Role(role) for role in roles.split(",")), hired)


def change(ctx: Context, actor: Actor, name: Name, value: Value, start: int | None = None) -> Changed:
    return change_policy(ctx, actor, name, value, REASON, start=start)


def holds(ctx: Context, name: Name) -> Value:
    """What holds now."""
    with ctx.db.reading() as conn:
        return policies.value_at(conn, name, ctx.db.now(conn))


def newest(ctx: Context, name: Name) -> Version:
    with ctx.db.reading() as conn:
        return policies.versions(conn, name)[-1]


def clock(ctx: Context) -> int:
    with ctx.db.reading() as conn:
        return ctx.db.now(conn)


def entries(ctx: Context, kind: str) -> list[dict[str, Any]]:
    with ctx.db.reading() as conn:
        found = conn.execute(select(audit_entry).where(audit_entry.c.kind == kind).order_by(audit_entry.c.id))
        return [{**row._mapping, "body": json.loads(row.body)} for row in found]


def somebody(world: World, **more: Any) -> int:
    """A person whose consent lives; the topic's id."""
    topic, text = world.topic(cap_n=9)
    world.grant(world.person(), topic, text, cap_n=9, **more)
    return topic
