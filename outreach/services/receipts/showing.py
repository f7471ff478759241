"""Shows a receipt to whoever holds its link: one event of one person, no address, nothing else of theirs."""

import base64
import json
import textwrap
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.engine import Row

from outreach.domain.errors import NotFoundError
from outreach.domain.receipts import EVENTS, Receipt
from outreach.domain.signed_json import canonical
from outreach.domain.tokens import Purpose
from outreach.services.context import Context
from outreach.services.public_text import House, read_house
from outreach.services.receipts.links import token_of
from outreach.services.receipts.making import GONE, Issued, issue
from outreach.store import receipts as store

_CODE_LINE = 64


@dataclass(frozen=True, kw_only=True)
class ReceiptView:
    """A receipt as a page shows it. `index`: the place of its entry in the log (from 0), `size` that of the published
    checkpoint that proves it; None until then. `text`: the signed document.
    """

    house: House
    locale: str
    timezone: str
    receipt: Receipt
    index: int | None
    size: int | None
    text: str


def view_receipt(ctx: Context, token: str) -> ReceiptView:
    """The receipt of a link. Changes nothing. Raises TokenError; NotFoundError once its owner was erased."""
    with ctx.db.reading() as conn:
        row = event_of(conn, ctx, token)
        issued = issue(conn, ctx, row)
        return ReceiptView(
            house=read_house(conn),
            locale=row.locale,
            timezone=row.timezone,
            receipt=issued.receipt,
            index=issued.inclusion.index if issued.inclusion else None,
            size=issued.size,
            text=as_text(issued.document),
        )


def event_of(conn: Connection, ctx: Context, token: str) -> Row[Any]:
    """The event a receipt's link names. Raises TokenError, NotFoundError."""
    read = ctx.tokens.read(Purpose.RECEIPT, token, ctx.db.now(conn))
    row = store.event_by_ref(conn, read.ref)
    if row is None:
        raise NotFoundError(GONE)
    return row


def all_of(conn: Connection, ctx: Context, contact_id: int) -> list[tuple[str, Issued]]:
    """Every receipt of one person, oldest first, each with its link's token: for the answer to their request."""
    rows = store.events_of(conn, contact_id, sorted(EVENTS))
    return [(token_of(ctx, row.ref, row.at), issue(conn, ctx, row)) for row in rows]


def as_text(document: dict[str, Any]) -> str:
    """The document to be read and kept; a space more or less changes nothing that was signed."""
    return json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True) + "\n"


def as_code(document: dict[str, Any]) -> str:
    """The document in lines that survive a mail: base64 of its canonical form, 64 characters each."""
    return "\n".join(textwrap.wrap(base64.b64encode(canonical(document)).decode(), _CODE_LINE))
