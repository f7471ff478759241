"""The answer to a request for access or portability: made when it is asked for, boxed, and gone after a month.

`access` is all that is held, with where it came from and whom it went to (GDPR 15(1)). `portability` is what the
person gave us themselves (GDPR 20(1)). Both are one document, that a page renders and a machine reads.
"""

import json
import zlib
from base64 import b64decode, b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, select

from outreach.domain.actors import Actor, Role
from outreach.domain.errors import NotFoundError
from outreach.services.context import Context
from outreach.services.public_text import read_house
from outreach.services.reasons import check_reason
from outreach.services.receipts.showing import all_of
from outreach.services.rights import held, held_with_others
from outreach.store import rights as store
from outreach.store.audit import Entry, record
from outreach.store.boxes import ContactKeys
from outreach.store.contacts import Person
from outreach.store.schema.organisation import sender

KEPT = 30 * 86_400_000_000
"""Microseconds a result is kept."""

FORMAT = "outreach/held/1"
# fmt: off
_GIVEN = (
    "you", "consents", "events", "accounts", "invitations_made", "connections", "connect_links", "appeals",
    "conversations",
)
# fmt: on

Document = dict[str, Any]


@dataclass(frozen=True)
class Result:
    """What is handed over. `document`: `format`, `made`, `controller`, then a mapping or list for each part."""

    kind: str
    made: int
    expires: int
    document: Document

    def to_json(self) -> str:
        """For machines: instants as ISO 8601 in UTC."""
        return json.dumps(_iso(self.document), ensure_ascii=False, indent=2) + "\n"

    @property
    def parts(self) -> list[tuple[str, Any]]:
        """(name, content) of each part, for a page: of receipts what they are about, as the file has them whole."""
        found = {name: part for name, part in self.document.items() if isinstance(part, dict | list)}
        told = [{name: one[name] for name in one if name != "document"} for one in found.pop("receipts", ())]
        return [*found.items(), *([("receipts", told)] if told else [])]


def make_result(conn: Connection, ctx: Context, now: int, person: Person, request: store.RequestRow) -> None:
    """Gather what is held now and keep it, boxed under the person's key, until it expires."""
    keys = ContactKeys(ctx.keyring, conn)
    document = gather(conn, keys, person, request.kind, now)
    if request.kind == "access":
        document["receipts"] = _receipts(conn, ctx, person.id)
    packed = b64encode(zlib.compress(json.dumps(document, ensure_ascii=False).encode())).decode()
    store.put_result(conn, request.id, keys.seal(person.id, packed), now, now + KEPT)


def gather(conn: Connection, keys: ContactKeys, person: Person, kind: str, now: int) -> Document:
    """All parts for "access", those given by the person for "portability"."""
    house = read_house(conn)
    us = {"name": house.name, "postal_address": house.postal_address, "write_to": house.privacy_contact}
    senders = list(conn.execute(select(sender.c.name).order_by(sender.c.id)).scalars())
    parts: Document = {
        "controller": {**us, "senders": senders},
        "you": held.you_of(conn, keys, person.id),
        "consents": held.consents_of(conn, person.id),
        "events": held.events_of(conn, keys, person.id),
        "questions": held.questions_of(conn, keys, person.id),
        "messages": held.messages_of(conn, person.id),
        "reports": held.reports_of(conn, person.id),
        "accounts": held_with_others.accounts_of(conn, keys, person.id),
        "invitations_made": held_with_others.made_of(conn, keys, person.id),
        "invitations_received": held_with_others.received_of(conn, person.id),
        "connections": held_with_others.connections_of(conn, keys, person.id),
        "connect_links": held_with_others.links_of(conn, keys, person.id),
        "appeals": held_with_others.appeals_of(conn, keys, person.id),
        "conversations": held_with_others.conversations_of(conn, keys, person.id, is_given=kind != "access"),
        "address_changes": held_with_others.moves_of(conn, keys, person.id),
        "bars": held.bars_of(conn, person.id),
        "requests": _requests(conn, keys, person.id),
        "read_by_staff": held.reads_of(conn, person.ref),
        "log": held.log_of(conn, person.ref),
    }
    chosen = parts if kind == "access" else {name: parts[name] for name in ("controller", *_GIVEN)}
    return {"format": FORMAT, "kind": kind, "made": now, **chosen}


def open_result(conn: Connection, ctx: Context, now: int, request: store.RequestRow) -> Result:
    """The kept answer to a request. Raises NotFoundError when there is none, or no longer."""
    row = store.result_of(conn, request.id, now)
    packed = ContactKeys(ctx.keyring, conn).text(request.contact, row.result_box) if row is not None else None
    if row is None or packed is None:
        raise NotFoundError("There is no such answer, or its time is over. Ask again; it is made anew.")
    document: Document = json.loads(zlib.decompress(b64decode(packed)))
    return Result(request.kind, row.made, row.expires, document)


def read_result(ctx: Context, actor: Actor, ref: bytes, reason: str) -> Result:
    """The same for an officer who hands it over otherwise, on paper say; audited with the reason.

    Raises InvalidInputError (field "reason"), NotFoundError.
    """
    actor.must_be(Role.OFFICER)
    said = check_reason(reason, "how it is handed over, and how you know that it is theirs", "Nothing was shown.")
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        request = store.by_ref(conn, ref)
        if request is None:
            raise NotFoundError("There is no such request.")
        result = open_result(conn, ctx, now, request)
        body = {"request": ref.hex(), "reason": said}
        record(conn, now, Entry(kind="rights.result-read", actor=actor.name, contact=request.contact_ref, body=body))
        return result


def _receipts(conn: Connection, ctx: Context, contact_id: int) -> list[Document]:
    """Every receipt, signed, with its proof where the log is published so far; no link to one: this may be printed."""
    return [
        {
            "at": issued.receipt.at,
            "topic": issued.receipt.title,
            "event": issued.receipt.event.value,
            "receipt": issued.receipt.id,
            "document": issued.document,
        }
        for _, issued in all_of(conn, ctx, contact_id)
    ]


def _requests(conn: Connection, keys: ContactKeys, contact_id: int) -> list[Document]:
    return [
        {
            "opened": row.opened,
            "kind": row.kind,
            "via": row.via,
            "state": row.state,
            "due": row.due,
            "extended": row.extended,
            "finished": row.finished,
            "words": held.plain(keys.facts(contact_id, row.words_box)),
        }
        for row in store.of_contact(conn, contact_id)
    ]


def _iso(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _iso(one, key) for key, one in value.items()}
    if isinstance(value, list):
        return [_iso(one) for one in value]
    if name in held.INSTANTS and isinstance(value, int) and not isinstance(value, bool):
        return datetime.fromtimestamp(value / 1_000_000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return value
