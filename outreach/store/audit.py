"""Writes audit entries beside the act they describe, in its transaction; the sealer gives them their place later."""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, text

from outreach.domain.errors import InvalidInputError
from outreach.store.bulk import MANY, columnwise, insert_rows, next_ids, unnested
from outreach.store.schema import random_ref
from outreach.store.schema.audit import audit_entry, audit_pending

_COLUMNS = ("id", "nonce", "at", "kind", "actor", "contact", "topic", "campaign", "message", "body")
_canonical = json.JSONEncoder(sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode
_LONGEST_BODY = 15_000  # characters: at most four octets each stay below the 65,535 of an entry bundle


@dataclass(kw_only=True, slots=True)
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
    nonces = secrets.token_bytes(16 * len(entries))
    bodies = {id(entry.body): entry.body for entry in entries}  # those that share one share what is written of it
    written = {which: _body(body) for which, body in bodies.items()}
    rows = [
        (
            nonces[16 * place : 16 * place + 16],
            at,
            entry.kind,
            entry.actor,
            entry.contact,
            entry.topic,
            entry.campaign,
            entry.message,
            written[id(entry.body)],
        )
        for place, entry in enumerate(entries)
    ]
    if connection.dialect.name == "postgresql" and len(rows) < MANY:
        connection.execute(_TOGETHER, columnwise(_COLUMNS[1:], rows))
        return
    ids = next_ids(connection, audit_entry, len(entries))
    insert_rows(connection, audit_entry, _COLUMNS, [(one, *row) for one, row in zip(ids, rows, strict=True)])
    insert_rows(connection, audit_pending, ("entry",), [(one,) for one in ids])


_TOGETHER = text(
    f"WITH made AS (INSERT INTO audit_entry ({', '.join(_COLUMNS[1:])}) "
    f"SELECT * FROM {unnested(audit_entry, _COLUMNS[1:])} RETURNING id) "
    "INSERT INTO audit_pending (entry) SELECT id FROM made"
)


def record_selected(connection: Connection, at: int, entries: str, params: Mapping[str, Any]) -> None:
    """Insert an entry for each row of the query `entries`, within the database: for slices of thousands.

    The query yields kind, actor, contact, topic, campaign, message, body; the body is canonical JSON already.
    """
    nonce = random_ref().compile(dialect=connection.dialect)
    insert = (
        "INSERT INTO audit_entry (nonce, at, kind, actor, contact, topic, campaign, message, body) "
        f"SELECT {nonce}, :at, kind, actor, contact, topic, campaign, message, body FROM ({entries}) AS chosen"
    )
    if connection.dialect.name == "postgresql":
        queue = f"WITH made AS ({insert} RETURNING id) INSERT INTO audit_pending (entry) SELECT id FROM made"
        connection.execute(text(queue), {**params, "at": at})
        return
    last = connection.execute(text("SELECT COALESCE(MAX(id), 0) FROM audit_entry")).scalar_one()
    connection.execute(text(insert), {**params, "at": at})
    connection.execute(
        text("INSERT INTO audit_pending (entry) SELECT id FROM audit_entry WHERE id > :last"), {"last": last}
    )


def _body(body: Mapping[str, Any]) -> str:
    written = _canonical(dict(body))
    if len(written) > _LONGEST_BODY:
        raise InvalidInputError("This is too long to keep in the log. Shorten the reason; nothing was changed.")
    return written
