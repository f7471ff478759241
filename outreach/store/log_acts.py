"""Entries of a kind within a time, newest first, by the log's index of kinds: what rules about unusual acts read."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from outreach.store.schema.audit import audit_entry

MOST = 5_000


@dataclass(frozen=True)
class Act:
    """An entry as a rule reads it. `at`: UTC microseconds."""

    id: int
    at: int
    kind: str
    actor: str
    contact: bytes | None
    campaign: bytes | None
    body: dict[str, Any]


def acts(conn: Connection, kind: str, since: int, *, limit: int = MOST) -> Iterator[Act]:
    """The newest entries of `kind` since then, newest first."""
    columns = [audit_entry.c[name] for name in ("id", "at", "kind", "actor", "contact", "campaign", "body")]
    query = select(*columns).where(audit_entry.c.kind == kind, audit_entry.c.at >= since)
    for row in conn.execute(query.order_by(audit_entry.c.at.desc(), audit_entry.c.id.desc()).limit(limit)):
        yield Act(row.id, row.at, row.kind, row.actor, row.contact, row.campaign, json.loads(row.body))


def busiest(acts: Sequence[Act], window: int) -> list[Act]:
    """The most of these acts, given newest first, that fall within any `window` microseconds."""
    best: list[Act] = []
    start = 0
    for end, last in enumerate(acts):
        while acts[start].at - last.at >= window:
            start += 1
        if end + 1 - start > len(best):
            best = list(acts[start : end + 1])
    return best
