"""Mails a receipt to the mailbox it is about, when somebody with its link presses the button that asks for it.

The mail tells what the receipt says and carries it whole, as a code; there is no link to it inside, so a mail that is
forwarded opens nothing. It goes within the mailbox's budget of mails that typing and pressing can cause, never past a
bar, and the answer is the same whether it went.
"""

from typing import Any

from sqlalchemy import Connection
from sqlalchemy.engine import Row

from outreach.domain.actors import RECIPIENT
from outreach.domain.receipt_document import instant
from outreach.services.context import Context
from outreach.services.outbox import queue_notice
from outreach.services.receipts.making import Issued, issue
from outreach.services.receipts.showing import as_code, event_of
from outreach.store import consents, requests
from outreach.store import receipts as store
from outreach.store.audit import Entry, record
from outreach.store.contacts import find_by_id


def mail_receipt(ctx: Context, token: str) -> None:
    """Queue the receipt of a link for its owner. Raises TokenError, NotFoundError."""
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        row = event_of(conn, ctx, token)
        consents.lock_contacts(conn, [row.contact])
        if not _may_send(conn, ctx, now, row):
            return
        person = find_by_id(conn, row.contact)
        assert person is not None  # noqa: S101  locked by this transaction
        issued = issue(conn, ctx, row)
        notice = queue_notice(conn, ctx, now, person, template="receipt", facts=_facts(ctx, issued), topic=row.topic)
        store.add_mailed(conn, row.id, notice, now)
        record(
            conn,
            now,
            Entry(
                kind="receipt.mailed",
                actor=RECIPIENT.name,
                contact=person.ref,
                topic=row.topic_ref,
                message=notice,
                body={"event": row.ref.hex()},
            ),
        )


def _may_send(conn: Connection, ctx: Context, now: int, row: Row[Any]) -> bool:
    """Whether it is not on its way already, and the mailbox's budget has room; takes a place in it."""
    if store.is_on_its_way(conn, row.id):
        return False
    _, mailbox_key = consents.bar_keys(conn, row.contact)
    if requests.spent(conn, mailbox_key, now - requests.DAY) >= ctx.settings.confirmations_per_mailbox:
        return False
    requests.spend(conn, now, {mailbox_key})
    return True


def _facts(ctx: Context, issued: Issued) -> dict[str, Any]:
    """What the mail is written from. Instants as RFC 3339 writes them, UTC."""
    receipt, words = issued.receipt, issued.receipt.words
    return {
        "topic": receipt.title,
        "event": receipt.event.value,
        "at": instant(receipt.at)[:19] + "Z",
        "wording": words.wording if words else "",
        "version": words.version if words else 0,
        "cap": list(receipt.own or ((words.cap_n, words.cap_window) if words else ())),
        "id": receipt.id,
        "check_url": f"{ctx.settings.public_url}/receipts",
        "code": as_code(issued.document),
    }
