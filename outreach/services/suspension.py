"""Stops a member from inviting, and lets them invite again: inside the transaction of whatever led to it.

What still works while suspended: signing in, answering what came in, connections and what they show. What stops:
making invitations, mails already asked for (they are withheld at the hand-off), and connect links, which read as
switched off.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, update

from outreach.domain.actors import Actor
from outreach.store import invitations
from outreach.store.audit import Entry, record
from outreach.store.members import MemberRow
from outreach.store.schema.members import member

WHYS = frozenset({"reports", "refusals", "officer"})


def suspend(
    conn: Connection,
    now: int,
    row: MemberRow,
    why: str,
    actor: Actor,
    *,
    said: Mapping[str, Any] | None = None,
) -> bool:
    """Suspend a member. `why`: "reports", "refusals" or "officer". False if they were suspended already.

    `said`: what else the entry tells, such as an officer's reason. `now`: UTC microseconds.
    """
    if why not in WHYS:
        raise ValueError(f"no such reason to suspend: {why}")
    stops = update(member).where(member.c.id == row.id, member.c.suspended.is_(None), member.c.closed.is_(None))
    if not conn.execute(stops.values(suspended=now, suspended_for=why)).rowcount:
        return False
    counted = invitations.record_of(conn, row.id, now)
    numbers = {"accepted": counted.accepted, "refused": counted.refused, "reported": counted.reported}
    _record(conn, now, "member.suspended", row, actor, {"why": why, **numbers, **(said or {})})
    return True


def restore(conn: Connection, now: int, row: MemberRow, actor: Actor, *, said: Mapping[str, Any]) -> bool:
    """Let a suspended member invite again, judged from now on by later answers alone. False if they were not."""
    lifts = update(member).where(member.c.id == row.id, member.c.suspended.is_not(None))
    if not conn.execute(lifts.values(suspended=None, suspended_for=None, judged_from=now)).rowcount:
        return False
    _record(conn, now, "member.restored", row, actor, said)
    return True


def _record(conn: Connection, now: int, kind: str, row: MemberRow, actor: Actor, said: Mapping[str, Any]) -> None:
    body = {"member": row.ref.hex(), "code": row.code, **said}
    record(conn, now, Entry(kind=kind, actor=actor.name, contact=row.contact_ref, body=body))
