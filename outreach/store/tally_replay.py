"""Three counts of each campaign's messages that must agree: of the rows themselves, of the tally, and of the log."""

import json
from collections import Counter
from collections.abc import Mapping

from sqlalchemy import Connection, case, func, select

from outreach.domain.message import FINAL
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.campaigns import campaign, message
from outreach.store.schema.tally import tally
from outreach.store.tally import Count

_FINAL = sorted(FINAL)
_ENDS = {"message.sent": "sent", "message.withheld": "withheld", "message.failed": "failed"}
"""Ends that are written of a message once; what is unknown may still come to another."""


def campaigns(conn: Connection) -> Mapping[int, bytes]:
    """Every campaign: id → ref."""
    return {row.id: row.ref for row in conn.execute(select(campaign.c.id, campaign.c.ref))}


def of_rows(conn: Connection) -> Mapping[int, Counter[Count]]:
    """By campaign id, how many messages stand how, as the tally counts them."""
    state = case((message.c.state == "attempted", "planned"), else_=message.c.state).label("stands")
    reason = case((message.c.state.in_(_FINAL), message.c.reason)).label("because")
    query = select(message.c.campaign, state, reason, func.count()).where(message.c.campaign.is_not(None))
    counts: dict[int, Counter[Count]] = {}
    for owner, stands, because, n in conn.execute(query.group_by(message.c.campaign, "stands", "because")):
        counts.setdefault(owner, Counter())[stands, because] += int(n)
    return counts


def of_tally(conn: Connection) -> Mapping[int, Counter[Count]]:
    """By campaign id, what the tally adds up to."""
    query = select(tally.c.campaign, tally.c.state, tally.c.reason, func.sum(tally.c.n))
    counts: dict[int, Counter[Count]] = {}
    for owner, stands, because, n in conn.execute(query.group_by(tally.c.campaign, tally.c.state, tally.c.reason)):
        counts.setdefault(owner, Counter())[stands, because] += int(n)
    return counts


def of_log(conn: Connection) -> tuple[Mapping[bytes, int], Mapping[bytes, Counter[str]]]:
    """By campaign ref: how many messages its slices planned, and how many ended in which way."""
    planned: Counter[bytes] = Counter()
    slices = select(audit_entry.c.campaign, audit_entry.c.body).where(audit_entry.c.kind == "campaign.slice-planned")
    for ref, body in conn.execute(slices):
        planned[ref] += _sum(body)
    ended: dict[bytes, Counter[str]] = {}
    query = select(audit_entry.c.campaign, audit_entry.c.kind, func.count()).where(
        audit_entry.c.kind.in_(sorted(_ENDS)), audit_entry.c.campaign.is_not(None)
    )
    for ref, kind, n in conn.execute(query.group_by(audit_entry.c.campaign, audit_entry.c.kind)):
        ended.setdefault(ref, Counter())[_ENDS[kind]] += int(n)
    return planned, ended


def _sum(body: str) -> int:
    try:
        return sum(json.loads(body).values())
    except (ValueError, TypeError, AttributeError, RecursionError):  # an entry that cannot be read is told elsewhere
        return 0
