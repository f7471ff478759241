"""Links to receipts: a link shows the receipt of one event, for as long as anything is held about its owner.

Such a link is given on a page, to the browser that acted or beside the mail it explains; never in a mail.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.engine import Row

from outreach.domain.consent import Event
from outreach.domain.receipts import EVENTS
from outreach.domain.tokens import Purpose
from outreach.services.context import Context
from outreach.services.standing import find_mail
from outreach.store import consents, requests
from outreach.store import receipts as store

_BY_ITSELF = frozenset({Event.EXPIRED, Event.IMPORTED, Event.SOFT})


@dataclass(frozen=True)
class ReceiptLink:
    """`title`: what the person knows the topic as; `token`: names the event in a link."""

    title: str
    token: str


def token_of(ctx: Context, event_ref: bytes, at: int) -> str:
    """The token of the link to an event's receipt, the same whenever it is asked for. `at`: the event's instant."""
    return ctx.tokens.issue(Purpose.RECEIPT, event_ref, at)


def instant_before(ctx: Context) -> int:
    """The clock just before a press, for `made_since`."""
    with ctx.db.looking() as conn:
        return ctx.db.now(conn)


def made_since(ctx: Context, purpose: Purpose, token: str, since: int) -> tuple[ReceiptLink, ...]:
    """Receipts of what the owner of a link (CONFIRM, STOP or WHY) changed by pressing at or after `since`.

    For the page that answers the press; whoever was forwarded a mail presses too, so they are of that mail's topic
    alone: others stand in the owner's room. Raises TokenError for a link that is none.
    """
    with ctx.db.looking() as conn:
        read = ctx.tokens.read(purpose, token, ctx.db.now(conn))
        rows = _events(conn, purpose, read.ref, since)
        rows = [row for row in rows if row.event in EVENTS - _BY_ITSELF]
        texts = consents.texts(conn, (row.text for row in rows if row.text is not None))
        return tuple(
            ReceiptLink(texts[row.text].title if row.text in texts else row.name, token_of(ctx, row.ref, row.at))
            for row in rows
        )


def _events(conn: Connection, purpose: Purpose, ref: bytes, since: int) -> list[Row[Any]]:
    if purpose == Purpose.CONFIRM:
        question = requests.confirmation_by_ref(conn, ref)
        owner = None if question is None else int(question.contact)
        topics: set[int | None] = set() if question is None else set(requests.asked_topics(conn, question.id))
    else:
        mail = find_mail(conn, ref)
        owner, topics = (None, set()) if mail is None else (mail.contact, {mail.topic})
    return [] if owner is None else [row for row in store.events_since(conn, owner, since) if row.topic in topics]
