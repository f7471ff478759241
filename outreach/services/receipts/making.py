"""Makes the receipt of a consent event from what the store keeps for good: event, text, and the log's entries.

Nothing is kept of a receipt. The same event gives the same words, signed anew; once its entry is in a published
checkpoint, the proof of that stands beside the signature.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.engine import Row

from outreach.domain import receipts as rules
from outreach.domain.consent import Event, State
from outreach.domain.errors import NotFoundError
from outreach.domain.receipt_document import document, inclusion_as_json
from outreach.domain.receipts import Controller, Inclusion, Receipt, Words
from outreach.services.context import Context
from outreach.services.receipts.keys import ReceiptKeys
from outreach.services.transparency import proofs, publish
from outreach.store import consents
from outreach.store import receipts as store
from outreach.store.audit_log import stored_bytes

GONE = "Nothing is held about this receipt any more. A copy you kept can still be checked."


@dataclass(frozen=True)
class Issued:
    """A receipt with its proofs. `size`: of the checkpoint its inclusion is proved in; None while it waits."""

    receipt: Receipt
    document: dict[str, Any]
    inclusion: Inclusion | None
    size: int | None


def issue(conn: Connection, ctx: Context, row: Row[Any]) -> Issued:
    """The receipt of an event, a row of `store.receipts`. Raises NotFoundError for one that has none."""
    receipt, entry_id = _receipt(conn, ctx, row)
    unsigned = document(receipt)
    signature = ReceiptKeys(ctx.keyring).sign(unsigned, receipt.site, receipt.at)
    inclusion, size = inclusion_of(conn, entry_id)
    beside = [inclusion_as_json(inclusion)] if inclusion else []
    return Issued(receipt, {**unsigned, "proof": [signature, *beside]}, inclusion, size)


def inclusion_of(conn: Connection, entry_id: int) -> tuple[Inclusion | None, int | None]:
    """Where an entry stands in the newest published checkpoint, and its size; (None, None) while it does not."""
    point = publish.newest(conn)
    index = proofs.position_of(conn, entry_id)
    if point is None or index is None or index >= point.size:
        return None, None
    return Inclusion(index, tuple(proofs.inclusion(conn, index, point.size)), point.note or ""), point.size


def _receipt(conn: Connection, ctx: Context, row: Row[Any]) -> tuple[Receipt, int]:
    event = Event(row.event)
    if event not in rules.EVENTS:
        raise NotFoundError("Nothing was agreed to, so there is no receipt.")
    entries = store.entries_about(conn, row.subject, row.topic_ref)
    place = _place(entries, row)
    told = [(Event(one.kind.removeprefix("consent.")), json.loads(one.body)) for one in entries[: place + 1]]
    standing = rules.standing(told)
    entry = entries[place]
    receipt = Receipt(
        site=ctx.settings.public_url,
        id=row.ref.hex(),
        subject=row.subject.hex(),
        at=row.at,
        event=event,
        before=State(row.from_state),
        state=State(row.to_state),
        how=rules.how(event, entry.actor),
        controller=_controller(conn, ctx, row.at),
        topic=row.topic_ref.hex(),
        topic_name=row.name,
        purpose=row.purpose,
        retention_days=row.retention_days,
        words=_words(conn, row.text) if row.text is not None else None,
        own=standing.own,
        expires=standing.expires,
        paused_until=standing.paused_until,
        log=ctx.keyring.audit_name,
        entry=stored_bytes(entry).decode(),
        is_soft=standing.is_soft,
    )
    return receipt, entry.id


def _place(entries: Sequence[Row[Any]], row: Row[Any]) -> int:
    """Which entry is about the event."""
    name = row.ref.hex()
    for place, entry in enumerate(entries):
        if entry.at == row.at and json.loads(entry.body).get("event") == name:
            return place
    raise NotFoundError(GONE)


def _controller(conn: Connection, ctx: Context, at: int) -> Controller:
    row = store.controller_at(conn, at)
    if row is None:
        raise NotFoundError("The installation has not been set up.")
    contact = row.privacy_contact or ctx.settings.public_url
    return Controller(name=row.name, address=row.postal_address, contact=contact, country=row.country)


def _words(conn: Connection, text_id: int) -> Words:
    text = consents.texts(conn, [text_id])[text_id]
    return Words(
        ref=text.ref.hex(),
        locale=text.locale,
        version=text.version,
        title=text.title,
        gets=text.gets,
        wording=text.wording,
        sha256=text.sha256.hex(),
        sender=text.sender_name,
        published=text.published,
        kinds=tuple(text.kinds.split(",")),
        cap_n=text.cap_n,
        cap_window=text.cap_window,
        ratio_k=text.ratio_k,
    )
