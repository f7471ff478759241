"""Mails to staff that say what waits for them: counts and a link, no word about anybody. Called by the engine.

Dues once a day at most, and only when something is due; that a second yes is asked for, to whoever may give it, and
what came of it, to whoever asked, at once. Each may switch them off on their account page.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import Connection

from outreach.domain.actors import ENGINE, Role
from outreach.domain.campaign import State
from outreach.services.context import Context
from outreach.services.intake.lines import PAUSES
from outreach.services.officer.start import is_sealing_stuck
from outreach.services.outbox import queue_notice
from outreach.services.policies.approvals import waiting
from outreach.services.policies.asking import Act
from outreach.services.rights.requests import due
from outreach.services.transparency.witnesses import health
from outreach.store import approvals as approval_rows
from outreach.store import campaigns, staff_mails
from outreach.store.approvals import Asked
from outreach.store.audit import Entry, record
from outreach.store.contacts import find_by_ids
from outreach.store.staff_mails import Told

DAY = 86_400_000_000
_MOST_CAMPAIGNS = 1000


@dataclass(frozen=True, kw_only=True)
class Dues:
    """What waits. `requests`: people's that are due within a week or overdue; `witnesses`: late with a checkpoint;
    `campaigns`: that paused themselves; `is_stuck`: entries wait too long to be sealed.
    """

    requests: int = 0
    approvals: int = 0
    witnesses: int = 0
    campaigns: int = 0
    is_stuck: bool = False

    def __bool__(self) -> bool:
        return any(asdict(self).values())


def tell_dues(ctx: Context) -> int:
    """Mail everybody to whom something is due and who was not told within a day. Returns how many are told."""
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        people = staff_mails.not_told_since(conn, now - DAY)
        whole = _dues(ctx, conn, now) if people else Dues()
    if not whole:
        return 0
    with ctx.db.transaction() as conn:
        return sum(_tell_dues(ctx, conn, now, one, whole) for one in people)


def tell_of_approvals(ctx: Context) -> int:
    """Mail whoever may answer a request for a second yes, and whoever asked once it is answered. Returns how many."""
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        if not staff_mails.untold(conn, now, now - DAY):
            return 0
    with ctx.db.transaction() as conn:
        return sum(_tell_of(ctx, conn, now, one) for one in staff_mails.untold(conn, now, now - DAY))


def _dues(ctx: Context, conn: Connection, now: int) -> Dues:
    paused = campaigns.list_campaigns(conn, [State.PAUSED], limit=_MOST_CAMPAIGNS)
    return Dues(
        requests=sum(one.is_soon for one in due(conn, now)),
        approvals=len(waiting(conn, now)),
        witnesses=sum(one.is_late for one in health(ctx, conn, now)),
        campaigns=sum(one.pause_reason in PAUSES for one in paused),
        is_stuck=is_sealing_stuck(conn, now),
    )


def _tell_dues(ctx: Context, conn: Connection, now: int, one: Told, whole: Dues) -> bool:
    is_officer = Role.OFFICER in one.roles
    if not is_officer and Role.ADMINISTRATOR not in one.roles:
        return False
    mine = whole if is_officer else Dues(witnesses=whole.witnesses, is_stuck=whole.is_stuck)
    if not mine or not staff_mails.note_told(conn, one.id, now, now - DAY):
        return False
    path = "/compliance" if is_officer else "/home"
    _mail(ctx, conn, now, one, "staff-dues", {**asdict(mine), "url": f"{ctx.settings.public_url}{path}"})
    record(conn, now, Entry(kind="staff.told", actor=ENGINE.name, body={"staff": one.ref.hex(), **asdict(mine)}))
    return True


def _tell_of(ctx: Context, conn: Connection, now: int, asked: Asked) -> int:
    """One request as it stands. Returns how many are mailed: nobody, where nobody but the asker could answer."""
    if not staff_mails.note_told_of(conn, asked, now):
        return 0
    is_open = asked.state == "asked"
    people = staff_mails.among(conn, approval_rows.approvers(conn, but=asked.staff) if is_open else {asked.staff or 0})
    for one in people:
        facts = {"act": asked.act, "answer": "" if is_open else asked.state, "url": _page(ctx, asked, one)}
        _mail(ctx, conn, now, one, "approval", facts)
    body = {"approval": asked.ref.hex(), "of": asked.state, "staff": sorted(one.ref.hex() for one in people)}
    record(conn, now, Entry(kind="staff.told", actor=ENGINE.name, body=body))
    return len(people)


def _page(ctx: Context, asked: Asked, one: Told) -> str:
    """Where its reader may look at it."""
    if Role.OFFICER in one.roles:
        return f"{ctx.settings.public_url}/compliance/approvals/{asked.ref.hex()}"
    if asked.act == Act.CAMPAIGN and asked.about is not None:
        return f"{ctx.settings.public_url}/campaigns/{asked.about.hex()}"
    return f"{ctx.settings.public_url}/home"


def _mail(ctx: Context, conn: Connection, now: int, one: Told, template: str, facts: Mapping[str, Any]) -> None:
    reader = find_by_ids(conn, [one.contact])[one.contact]
    queue_notice(conn, ctx, now, reader, template=template, facts=facts)
