"""The store at the end, read at once: every message with its owner's address, and what the log says of it."""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, text

from outreach.services.context import Context
from outreach.store.boxes import ContactKeys

_MESSAGES = "SELECT ref, origin, kind, state, reason, contact, campaign, topic FROM message ORDER BY id"
_CAMPAIGNS = """
SELECT p.id, p.name, p.state, p.planned, t.slug FROM campaign p JOIN topic t ON t.id = p.topic
"""
_ENTRIES = "SELECT message, kind, body FROM audit_entry WHERE kind LIKE 'message.%' ORDER BY id"
FINAL = frozenset({"sent", "withheld", "failed", "unknown"})


@dataclass(frozen=True)
class Line:
    """A message as the table has it. `ref`: hexadecimal; `to`: its owner's address."""

    ref: str
    origin: str
    kind: str
    state: str
    reason: str | None
    contact: int
    campaign: int | None
    topic: int | None
    to: str

    @property
    def is_final(self) -> bool:
        return self.state in FINAL


@dataclass(frozen=True)
class Told:
    """An entry of the log about a message: what became of it, why, and the relay's code."""

    state: str
    reason: str | None
    code: int | None


@dataclass(frozen=True)
class Sent:
    """A campaign. `topic`: its slug; `is_planned`: its whole audience had been planned."""

    name: str
    state: str
    topic: str
    is_planned: bool


@dataclass
class Tables:
    """`told`: entries by message ref, in order of writing."""

    lines: list[Line] = field(default_factory=list)
    campaigns: dict[int, Sent] = field(default_factory=dict)
    told: dict[str, list[Told]] = field(default_factory=lambda: defaultdict(list))
    requests_open: int = 0
    pending: int = 0


def read_tables(ctx: Context, addresses: Mapping[int, str]) -> Tables:
    """Everything, in one transaction. `addresses`: by contact, as `learn_addresses` collected them."""
    with ctx.db.reading() as conn:
        rows = conn.execute(text(_MESSAGES)).all()
        tables = Tables(lines=[_line(row, addresses[row.contact]) for row in rows])
        for row in conn.execute(text(_CAMPAIGNS)):
            tables.campaigns[row.id] = Sent(row.name, row.state, row.slug, row.planned is not None)
        for row in conn.execute(text(_ENTRIES)):
            body = json.loads(row.body)
            entry = Told(row.kind.partition(".")[2], body.get("reason"), body.get("code"))
            tables.told[bytes(row.message).hex()].append(entry)
        tables.requests_open = _count(conn, "request WHERE settled IS NULL")
        tables.pending = _count(conn, "audit_pending")
        return tables


def learn_addresses(ctx: Context, known: dict[int, str]) -> None:
    """Add everybody's address by contact, decrypted, before those who never answer are erased."""
    with ctx.db.reading() as conn:
        rows = conn.execute(text("SELECT id, address_box FROM contact WHERE address_box IS NOT NULL")).all()
        keys = ContactKeys(ctx.keyring, conn)
        keys.load({row.id for row in rows} - known.keys())
        for row in rows:
            if row.id not in known:
                known[row.id] = keys.text(row.id, row.address_box) or ""


def _line(row: Row[Any], to: str) -> Line:
    return Line(
        ref=bytes(row.ref).hex(),
        origin=row.origin,
        kind=row.kind,
        state=row.state,
        reason=row.reason,
        contact=row.contact,
        campaign=row.campaign,
        topic=row.topic,
        to=to,
    )


def _count(conn: Connection, rest: str) -> int:
    return int(conn.execute(text(f"SELECT COUNT(*) FROM {rest}")).scalar_one())
