"""Writes audit entries beside the act they describe, in its transaction; the sealer gives them their place later."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, insert

from outreach.domain.errors import InvalidInputError
from outreach.store.schema.audit import audit_entry, audit_pending

_LONGEST_BODY = 15_000  # characters: at most four octets each stay below the 65,535 of an entry bundle


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One thing that happened. Refs are 16 bytes; `body` holds refs, numbers and reasons, never an address or name."""

    kind: str
    actor: str
    contact: bytes | None = None
    topic: bytes | None = None
    campaign: bytes | None = None
    message: bytes | None = None
    body: Mapping[str, Any] = field(default_factory=dict)


def record(connection: Connection, at: int, *entries: Entry) -> None:
    """Insert `entries` and queue them for sealing. `at`: UTC microseconds.

    Raises InvalidInputError for a body longer than an entry of the published log can be.
    """
    if not entries:
        return
    rows = [
        {
            "nonce": secrets.token_bytes(16),
            "at": at,
            "kind": entry.kind,
            "actor": entry.actor,
            "contact": entry.contact,
            "topic": entry.topic,
            "campaign": entry.campaign,
            "message": entry.message,
            "body": _body(entry),
        }
        for entry in entries
    ]
    ids = connection.execute(insert(audit_entry).returning(audit_entry.c.id), rows).scalars().all()
    connection.execute(insert(audit_pending), [{"entry": entry} for entry in ids])


def _body(entry: Entry) -> str:
    body = json.dumps(entry.body, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    if len(body) > _LONGEST_BODY:
        raise InvalidInputError("This is too long to keep in the log. Shorten the reason; nothing was changed.")
    return body
