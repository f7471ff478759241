"""Plans: gives each due campaign's audience its rows, slice by slice, and looks again at messages that wait.

Only here is a place under a cap reserved, and planners take turns, so what one reserves the next one sees.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select, update

from outreach.services.context import Context
from outreach.services.policies import holds
from outreach.store.audit import Entry, record
from outreach.store.decide import load_rule
from outreach.store.messages import Settled, settle
from outreach.store.planning import (
    campaigns_that_wait,
    last_message,
    look_again,
    next_slice,
    plan_slice,
    record_slice,
    take_planners_turn,
)
from outreach.store.schema.campaigns import campaign
from outreach.store.unfinished import finish

SLICE = 5000
"""People a transaction."""

SLICE_ON_SQLITE = 2500
"""There nobody else can write meanwhile, so the web must not wait long."""


FIRST_SLICE = 1000
"""The first of a campaign, so that sending begins while the rest is planned."""


def begin_due(ctx: Context) -> int:
    """Move scheduled campaigns whose time has come to sending, but for those that wait for a second yes.

    Returns how many.
    """
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        is_due = (campaign.c.state == "scheduled", campaign.c.due <= now)
        due = conn.execute(select(campaign.c.ref).where(*is_due).order_by(campaign.c.id).with_for_update()).scalars()
        refs = [ref for ref in due.all() if holds.may_begin(conn, ref, now)]
        begun = {"state": "sending", "started": now, "updated": now}
        conn.execute(update(campaign).where(campaign.c.ref.in_(refs)).values(begun))
        record(conn, now, *(Entry(kind="campaign.begun", actor="engine", campaign=ref) for ref in refs))
        return len(refs)


def plan_next(ctx: Context) -> bool:
    """Plan one slice of the campaign that goes first: by priority, then schedule. False when all are planned."""
    with ctx.db.transaction() as conn:
        take_planners_turn(conn)
        plan = (
            conn.execute(
                select(campaign)
                .where(campaign.c.state == "sending", campaign.c.planned.is_(None))
                .order_by(campaign.c.priority, campaign.c.due, campaign.c.id)
                .limit(1)
                .with_for_update()
            )
            .mappings()
            .one_or_none()
        )
        if plan is None:
            return False
        most = min(SLICE, SLICE_ON_SQLITE) if ctx.db.is_sqlite else SLICE
        size = most if plan["cursor"] else min(most, FIRST_SLICE)
        _plan_within_number(conn, ctx.db.now(conn), dict(plan), size)
        return True


def _plan_within_number(conn: Connection, now: int, plan: Mapping[str, Any], size: int) -> None:
    """Plan a slice, and take it back where the campaign would reach more people than was approved."""
    if holds.limit(conn, now) is None:
        return _plan_slice_of(conn, now, plan, size)
    with conn.begin_nested() as slice_:
        _plan_slice_of(conn, now, plan, size)
        is_too_many = holds.is_too_many(conn, now, plan["id"])
        if is_too_many:
            slice_.rollback()
    if is_too_many:
        holds.pause(conn, now, plan["id"], plan["ref"])
    return None


def _plan_slice_of(conn: Connection, now: int, plan: Mapping[str, Any], size: int) -> None:
    part = next_slice(conn, plan, size)
    if part is None:
        conn.execute(update(campaign).where(campaign.c.id == plan["id"]).values(planned=now))
        record(conn, now, Entry(kind="campaign.planned", actor="engine", campaign=plan["ref"]))
        return
    before = last_message(conn)
    plan_slice(conn, load_rule(conn, now), plan, part, now)
    counts = record_slice(conn, now, plan, before)
    conn.execute(update(campaign).where(campaign.c.id == plan["id"]).values(cursor=part.upto))
    record(conn, now, Entry(kind="campaign.slice-planned", actor="engine", campaign=plan["ref"], body=counts))


def release_waiting(ctx: Context) -> int:
    """Look again at messages that wait for a limit to open; plan, keep waiting, or withhold past the deadline.

    One slice of one campaign a transaction: what it reserves, the next look must see. Returns how many were looked at.
    """
    with ctx.db.reading() as conn:
        campaigns = campaigns_that_wait(conn, ctx.db.now(conn))
    return sum(_release(ctx, campaign_id) for campaign_id in campaigns)


def _release(ctx: Context, campaign_id: int) -> int:
    with ctx.db.transaction() as conn:
        take_planners_turn(conn)
        now = ctx.db.now(conn)
        looked_at, ended = look_again(conn, load_rule(conn, now), campaign_id, now, SLICE)
        settle(conn, now, [Settled(one, "withheld", reason) for one, reason in ended], "waiting")
        return looked_at


def finish_campaigns(ctx: Context) -> int:
    """Campaigns whose every message is settled are sent. Returns how many."""
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        refs = finish(conn, now)
        record(conn, now, *(Entry(kind="campaign.finished", actor="engine", campaign=ref) for ref in refs))
        return len(refs)
