"""Explains one mail to its reader: why it came, what they agreed to, how many may come. It opens nothing else.

A mail may have been forwarded (promise 2): the address is masked, no other mail and no other topic is shown.
"""

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, func, select
from sqlalchemy.engine import Row

from outreach.domain import addresses
from outreach.domain.errors import NotFoundError
from outreach.domain.tokens import Purpose
from outreach.services.context import Context
from outreach.services.public_text import Promise, promise_of
from outreach.services.receipts.links import token_of
from outreach.services.withdraw import LOWER_CAP, Mail, Standing, find_mail, standing
from outreach.store import consents
from outreach.store.boxes import ContactKeys
from outreach.store.schema.audit import audit_entry, audit_leaf
from outreach.store.schema.campaigns import content as contents
from outreach.store.schema.campaigns import message
from outreach.store.schema.people import contact

_SECOND = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How its reader agreed. `how`: confirmed or imported; `source`, `given`: what an import brought as evidence;
    `receipt`: the token that links to its receipt.
    """

    at: int
    how: str
    promise: Promise
    source: str = ""
    receipt: str = ""
    wording: str = ""


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """One mail, explained. `nth` of at most `promise.cap_n` in the promise's window; instants in UTC microseconds.

    `origin`: campaign, confirmation, notice or test; `entry`, `sealed`: its place in the log, once it has one.
    """

    standing: Standing
    origin: str
    kind: str
    subject: str
    sent: int | None
    masked: str
    agreement: Agreement | None = None
    nth: int = 0
    entry: int | None = None
    can_lower: bool = False
    can_pause: bool = False
    code: str = field(default="", repr=False)

    @property
    def reference(self) -> str:
        """The contact's reference as mails print it: K7Q2-M9XR-T4."""
        return "-".join((self.code[:4], self.code[4:8], self.code[8:]))


def explain(ctx: Context, token: str) -> Explanation:
    """Why the mail of this link came. Changes nothing. Raises TokenError, NotFoundError when it is no longer held."""
    with ctx.db.reading() as conn:
        read = ctx.tokens.read(Purpose.WHY, token, ctx.db.now(conn))
        mail = find_mail(conn, read.ref)
        if mail is None:
            raise NotFoundError("Nothing is held about this mail any more.")
        row = conn.execute(
            select(message, contents.c.subject, contact.c.address_box, contact.c.code, contact.c.ref.label("person"))
            .join(contact, contact.c.id == message.c.contact)
            .outerjoin(contents, contents.c.id == message.c.content)
            .where(message.c.ref == read.ref)
        ).one()
        exact = ContactKeys(ctx.keyring, conn).text(row.contact, row.address_box)
        here = standing(conn, mail)
        agreement = _agreement(conn, ctx, mail, row) if mail.topic is not None else None
        held = next((one for one in consents.held(conn, [mail.contact], [mail.topic or 0])), None)
        is_live = here.state in {"granted", "paused"}
        return Explanation(
            standing=here,
            origin=row.origin,
            kind=row.kind,
            subject=row.subject or "",
            sent=row.counted or row.settled,
            masked=addresses.mask(exact) if exact else "",
            agreement=agreement,
            nth=_nth(conn, row, agreement.promise) if agreement else 0,
            entry=_entry(conn, row.person, read.ref),
            can_lower=is_live and _is_lower(held, agreement),
            can_pause=here.state == "granted",
            code=row.code,
        )


def _agreement(conn: Connection, ctx: Context, mail: Mail, row: Row[Any]) -> Agreement | None:
    event = consents.agreement(conn, mail.contact, mail.topic or 0, before=row.planned)
    if event is None or event.text is None:
        return None
    text = consents.texts(conn, [event.text])[event.text]
    evidence = ContactKeys(ctx.keyring, conn).facts(mail.contact, event.evidence_box)
    return Agreement(
        at=int(evidence.get("given", event.at)),
        how=event.event,
        promise=promise_of(consents.topics(conn, [event.topic])[event.topic], text),
        source=str(evidence.get("source", "")),
        wording=str(evidence.get("wording", text.wording)),
        receipt=token_of(ctx, event.ref, event.at),
    )


def _nth(conn: Connection, row: Row[Any], promise: Promise) -> int:
    """Which of the promised mails this was: those of its topic to this mailbox in the window that ends with it."""
    sent = row.counted or row.settled or row.planned
    query = select(func.count()).where(
        message.c.mailbox == row.mailbox,
        message.c.topic == row.topic,
        message.c.origin == "campaign",
        message.c.counted > sent - promise.cap_window * _SECOND,
        message.c.counted <= sent,
    )
    return int(conn.execute(query).scalar_one())


def _entry(conn: Connection, person: bytes, ref: bytes) -> int | None:
    """The place in the log of the entry that says this mail was sent."""
    query = (
        select(audit_leaf.c.position)
        .join(audit_entry, audit_entry.c.id == audit_leaf.c.entry)
        .where(audit_entry.c.contact == person, audit_entry.c.message == ref, audit_entry.c.kind == "message.sent")
    )
    return conn.execute(query.order_by(audit_leaf.c.position.desc()).limit(1)).scalar_one_or_none()


def _is_lower(held: consents.Held | None, agreement: Agreement | None) -> bool:
    """Whether one a week would be less than what now holds."""
    if held is None or agreement is None:
        return False
    now = held.own or (agreement.promise.cap_n, agreement.promise.cap_window)
    return now[0] * LOWER_CAP[1] > LOWER_CAP[0] * now[1]
