"""Links to receipts: a link shows the receipt of one event, for as long as anything is held about its owner.

Such a link is given on a page, to the browser that acted or beside the mail it explains; never in a mail.
"""

from dataclasses import dataclass

from sqlalchemy import Connection

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

    For the page that answers the press. Raises TokenError for a link that is none.
    """
    with ctx.db.looking() as conn:
        read = ctx.tokens.read(purpose, token, ctx.db.now(conn))
        owner = _owner(conn, purpose, read.ref)
        rows = store.events_since(conn, owner, since) if owner is not None else []
        rows = [row for row in rows if row.event in EVENTS - _BY_ITSELF]
        texts = consents.texts(conn, (row.text for row in rows if row.text is not None))
        return tuple(
            ReceiptLink(texts[row.text].title if row.text in texts else row.name, token_of(ctx, row.ref, row.at))
            for row in rows
        )


def _owner(conn: Connection, purpose: Purpose, ref: bytes) -> int | None:
    if purpose == Purpose.CONFIRM:
        question = requests.confirmation_by_ref(conn, ref)
        return None if question is None else int(question.contact)
    mail = find_mail(conn, ref)
    return None if mail is None else mail.contact
