"""Plans: gives each due campaign's audience its rows, slice by slice, and looks again at messages that wait.

Only here is a place under a cap reserved, and planners take turns, so what one reserves the next one sees.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select, text, update

from outreach.domain.eligibility import GATES
from outreach.services.context import Context
from outreach.store.audit import Entry, record
from outreach.store.decide import load_rule
from outreach.store.messages import Settled, settle
from outreach.store.planning import (
    RECHECK,
    judge_messages,
    last_message,
    next_slice,
    plan_slice,
    record_withheld,
    take_planners_turn,
)
from outreach.store.schema.campaigns import campaign, message

SLICE = 5000
"""Mailboxes a transaction, so that the web never waits long for SQLite."""


def begin_due(ctx: Context) -> int:
    """Move scheduled campaigns whose time has come to sending. Returns how many."""
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        due = conn.execute(
            update(campaign)
            .where(campaign.c.state == "scheduled", campaign.c.due <= now)
            .values(state="sending", started=now, updated=now)
            .returning(campaign.c.ref)
        ).scalars()
        refs = list(due)
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
        _plan_slice_of(conn, ctx.db.now(conn), dict(plan))
        return True


def _plan_slice_of(conn: Connection, now: int, plan: Mapping[str, Any]) -> None:
    part = next_slice(conn, plan, SLICE)
    if part is None:
        conn.execute(update(campaign).where(campaign.c.id == plan["id"]).values(planned=now))
        record(conn, now, Entry(kind="campaign.planned", actor="engine", campaign=plan["ref"]))
        return
    before = last_message(conn)
    plan_slice(conn, load_rule(conn), plan, part, now)
    counts = record_withheld(conn, now, plan, before)
    conn.execute(update(campaign).where(campaign.c.id == plan["id"]).values(cursor=part.upto))
    record(conn, now, Entry(kind="campaign.slice-planned", actor="engine", campaign=plan["ref"], body=counts))


def release_waiting(ctx: Context) -> int:
    """Look again at messages that wait for a limit to open; plan, keep waiting, or withhold past the deadline.

    One campaign a transaction: what it reserves, the next campaign's look must see. Returns how many were looked at.
    """
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        waiting = select(message.c.campaign).where(message.c.queue == 2, message.c.due <= now).distinct()
        chosen = conn.execute(
            select(campaign.c.id)
            .where(campaign.c.id.in_(waiting), campaign.c.state == "sending")
            .order_by(campaign.c.priority, campaign.c.due)
        ).scalars()
        campaigns = list(chosen)
    return sum(_release(ctx, campaign_id) for campaign_id in campaigns)


def _release(ctx: Context, campaign_id: int) -> int:
    with ctx.db.transaction() as conn:
        take_planners_turn(conn)
        now = ctx.db.now(conn)
        rows = conn.execute(
            select(message.c.id, message.c.later_until)
            .where(message.c.queue == 2, message.c.due <= now, message.c.campaign == campaign_id)
            .order_by(message.c.id)
            .limit(SLICE)
        ).all()
        deadlines = {row.id: row.later_until or 0 for row in rows}
        ended = []
        for judged in judge_messages(conn, load_rule(conn), list(deadlines), now):
            if judged.reason is None:
                _set_waiting(conn, judged.id, state="planned", reason=None, planned=now, due=judged.due)
            elif judged.reason in GATES and deadlines[judged.id] > now:
                due = min(now + RECHECK, deadlines[judged.id])
                _set_waiting(conn, judged.id, state="waiting", reason=judged.reason, due=due)
            else:
                ended.append(Settled(judged.id, "withheld", judged.reason))
        settle(conn, now, ended, "waiting")
        return len(deadlines)


def _set_waiting(conn: Connection, message_id: int, **values: object) -> None:
    conn.execute(update(message).where(message.c.id == message_id, message.c.state == "waiting").values(**values))


def finish_campaigns(ctx: Context) -> int:
    """Campaigns whose every message is settled are sent. Returns how many."""
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        ready = text(
            "UPDATE campaign SET state = 'sent', finished = :now WHERE state = 'sending' AND planned IS NOT NULL "
            "AND NOT EXISTS (SELECT 1 FROM message m WHERE m.campaign = campaign.id "
            "AND m.state IN ('waiting', 'planned', 'attempted')) RETURNING ref"
        )
        refs = list(conn.execute(ready, {"now": now}).scalars())
        record(conn, now, *(Entry(kind="campaign.finished", actor="engine", campaign=ref) for ref in refs))
        return len(refs)
