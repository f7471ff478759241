"""Explains one mail to its reader: why it came, what they agreed to, how many may come. It opens nothing else.

A mail may have been forwarded (promise 2): the address is masked, no other mail and no other topic is shown. Of the
limits over everything it says what they are, never how much of them is used, for that would tell of other mails.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, bindparam, func, select
from sqlalchemy.engine import Row

from outreach.domain import addresses
from outreach.domain.errors import NotFoundError
from outreach.domain.policies import Name, caps_of
from outreach.domain.tokens import Purpose
from outreach.services.context import Context
from outreach.services.policies.asking import Act
from outreach.services.public_text import Promise, promise_of
from outreach.services.receipts.links import token_of
from outreach.services.transparency import publish
from outreach.services.withdraw import LOWER_CAPS, Mail, Standing, find_mail, is_less, standing
from outreach.store import approvals, consents, policies
from outreach.store.audit_log import ENTRY_COLUMNS, stored_bytes
from outreach.store.boxes import ContactKeys
from outreach.store.schema.audit import audit_entry, audit_leaf
from outreach.store.schema.campaigns import campaign, message
from outreach.store.schema.campaigns import content as contents
from outreach.store.schema.consents import confirmation, consent
from outreach.store.schema.members import invitation
from outreach.store.schema.people import contact

_SECOND = 1_000_000
_OUTCOMES = ("message.sent", "message.withheld", "message.failed", "message.unknown")


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How its reader agreed. `how`: confirmed, imported, or soft: on a purchase, `wording` then says how objecting
    was offered; `source`, `given`: what an import brought as evidence;
    `receipt`: the token that links to its receipt; `ends`: when the consent ends by itself, None: it does not.
    """

    at: int
    how: str
    promise: Promise
    source: str = ""
    receipt: str = ""
    wording: str = ""
    ends: int | None = None


@dataclass(frozen=True)
class Limit:
    """At most `n` in any `window` seconds. `name`: promise, own, own-total or total; `nth`: which of them this mail
    was, None where that would tell of other mails.
    """

    name: str
    n: int
    window: int
    nth: int | None = None


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Who decided to send it, by role. `by`: marketer, typist, member, asker, reader, staff or system; `at`: when, None
    where it was at no one moment; `approved`: when a second person said yes, `is_by_delay`: time did instead.
    """

    by: str
    at: int | None = None
    approved: int | None = None
    is_by_delay: bool = False


@dataclass(frozen=True)
class Proof:
    """The log's entry about what became of it, as it stands there. `index`: its place, from 0, None while it waits for
    one; `size`: of the newest published checkpoint, None while that does not reach so far.
    """

    text: str
    index: int | None
    size: int | None


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """One mail, explained; `nth` of at most `promise.cap_n` in the promise's window; instants in UTC microseconds.

    `origin`: campaign, confirmation, invitation, notice, reply or test; `about`: of a question what it asks (topics,
    account, renewal), of an invitation its way, of what our system writes its template. `state` and `reason`: of the
    message, as stored. `lower`: the lower cap that can be chosen, a key of LOWER_CAPS, or "".
    """

    standing: Standing
    origin: str
    kind: str
    subject: str
    state: str
    decided: Decision
    sent: int | None
    masked: str
    about: str = ""
    reason: str = ""
    agreement: Agreement | None = None
    limits: tuple[Limit, ...] = ()
    proof: Proof | None = None
    lower: str = ""
    can_pause: bool = False
    code: str = field(default="", repr=False)

    @property
    def reference(self) -> str:
        """The contact's reference as mails print it: K7Q2-M9XR-T4."""
        return "-".join((self.code[:4], self.code[4:8], self.code[8:]))

    @property
    def nth(self) -> int:
        """Which of the promised mails it was; 0 where it stands under no promise."""
        return next((limit.nth or 0 for limit in self.limits if limit.name == "promise"), 0)


def explain(ctx: Context, token: str) -> Explanation:
    """Why the mail of this link came, or was withheld. Changes nothing. Raises TokenError, NotFoundError when it is no
    longer held.
    """
    with ctx.db.looking() as conn:
        now = ctx.db.now(conn)
        read = ctx.tokens.read(Purpose.WHY, token, now)
        mail = find_mail(conn, read.ref)
        if mail is None:
            raise NotFoundError("Nothing is held about this mail any more.")
        row = conn.execute(_ROW, {"of_ref": read.ref}).one()
        keys = ContactKeys(ctx.keyring, conn)
        exact = keys.text(row.contact, row.address_box)
        here = standing(conn, mail)
        held = _held(conn, mail)
        agreement = _agreement(conn, ctx, keys, mail, row, held) if mail.topic is not None else None
        is_live = here.state in {"granted", "paused"}
        return Explanation(
            standing=here,
            origin=row.origin,
            kind=row.kind,
            about=_about(row, keys),
            subject=row.subject or "",
            state=row.state,
            reason=row.reason or "",
            decided=_decision(conn, row, keys),
            sent=row.counted or row.settled,
            masked=addresses.mask(exact) if exact else "",
            agreement=agreement,
            limits=tuple(_limits(conn, now, row, agreement, held)) if agreement else (),
            proof=_proof(conn, row.person, read.ref),
            lower=_lower(held, agreement) if is_live else "",
            can_pause=here.state == "granted",
            code=row.code,
        )


_ROW = (
    select(
        message,
        contents.c.subject,
        contents.c.frozen,
        contact.c.address_box,
        contact.c.code,
        contact.c.ref.label("person"),
        contact.c.own_total_n,
        contact.c.own_total_window,
        contact.c.ceiling_n,
        contact.c.ceiling_window,
        campaign.c.ref.label("campaign_ref"),
        confirmation.c.about,
        confirmation.c.requested,
        invitation.c.way,
        invitation.c.asked,
    )
    .join(contact, contact.c.id == message.c.contact)
    .outerjoin(contents, contents.c.id == message.c.content)
    .outerjoin(campaign, campaign.c.id == message.c.campaign)
    .outerjoin(confirmation, confirmation.c.id == message.c.confirmation)
    .outerjoin(invitation, invitation.c.id == message.c.invitation)
    .where(message.c.ref == bindparam("of_ref"))
)


def _about(row: Row[Any], keys: ContactKeys) -> str:
    """What the origin alone does not tell."""
    if row.origin == "confirmation":
        return str(row.about)
    if row.origin == "invitation":
        return str(row.way or "")
    if row.origin in {"notice", "reply"} and row.body_box is not None:
        return str(keys.facts(row.contact, row.body_box).get("template", ""))
    return ""


_STAFF_ACTS = frozenset({"staff-password", "policy-change", "rights"})
"""Notices of our own that an act of staff brings; all others come of what their reader did or asked for."""


def _decision(conn: Connection, row: Row[Any], keys: ContactKeys) -> Decision:
    if row.origin == "campaign":
        asked = approvals.newest_about(conn, str(Act.CAMPAIGN), row.campaign_ref) if row.campaign_ref else None
        if asked is None or asked.state != "approved":
            return Decision(by="marketer", at=row.frozen)
        return Decision(by="marketer", at=row.frozen, approved=asked.answered, is_by_delay=asked.answerer == "engine")
    if row.origin == "confirmation" and row.about == "renewal":
        return Decision(by="system", at=row.planned)
    if row.origin == "confirmation":
        return Decision(by="typist", at=row.requested)
    if row.origin == "invitation":
        return Decision(by="asker" if row.way == "link" else "member", at=row.asked)
    if row.origin in {"test", "reply"}:
        return Decision(by="marketer" if row.origin == "test" else "staff", at=row.planned)
    return Decision(by="staff" if _about(row, keys) in _STAFF_ACTS else "reader", at=row.planned)


def _held(conn: Connection, mail: Mail) -> Row[Any] | None:
    """Where its reader stands with the topic of the mail, with the caps that hold."""
    return conn.execute(_HELD, {"of_contact": mail.contact, "of_topic": mail.topic or 0}).one_or_none()


_HELD = select(consent).where(consent.c.contact == bindparam("of_contact"), consent.c.topic == bindparam("of_topic"))


def _agreement(
    conn: Connection, ctx: Context, keys: ContactKeys, mail: Mail, row: Row[Any], held: Row[Any] | None
) -> Agreement | None:
    event = consents.agreement(conn, mail.contact, mail.topic or 0, before=row.planned)
    if event is None or event.text is None:
        return None
    text = consents.texts(conn, [event.text])[event.text]
    evidence = keys.facts(mail.contact, event.evidence_box)
    return Agreement(
        at=int(evidence.get("given", event.at)),
        how=event.event,
        promise=promise_of(consents.topics(conn, [event.topic])[event.topic], text),
        source=str(evidence.get("source", "")),
        wording=str(evidence.get("wording", evidence.get("objecting", text.wording))),
        receipt=token_of(ctx, event.ref, event.at),
        ends=held.expires if held is not None and held.state in {"granted", "paused"} else None,
    )


def _limits(conn: Connection, now: int, row: Row[Any], agreement: Agreement, held: Row[Any] | None) -> Iterator[Limit]:
    """The promise, the person's own lower caps, and the ceiling over everything that is the tightest."""
    promise = agreement.promise
    yield Limit("promise", promise.cap_n, promise.cap_window, _nth(conn, row, promise.cap_window))
    if held is not None and held.own_n is not None:
        yield Limit("own", held.own_n, held.own_window, _nth(conn, row, held.own_window))
    if row.own_total_n is not None:
        yield Limit("own-total", row.own_total_n, row.own_total_window)
    ceilings = [(cap.n, cap.window) for cap in caps_of(policies.value_at(conn, Name.CAP_TOTAL, now))]
    if row.ceiling_n is not None:
        ceilings.append((row.ceiling_n, row.ceiling_window))
    if ceilings:
        yield Limit("total", *min(ceilings, key=lambda one: one[0] / one[1]))


def _nth(conn: Connection, row: Row[Any], window: int) -> int | None:
    """Which mail of its topic to this mailbox it was in the `window` seconds that end with it; None if not sent."""
    if row.topic is None or row.state in {"withheld", "failed"}:
        return None
    sent = row.counted or row.settled or row.planned
    query = select(func.count()).where(
        message.c.mailbox == row.mailbox,
        message.c.topic == row.topic,
        message.c.origin.in_(["campaign", "confirmation"]),
        message.c.counted > sent - window * _SECOND,
        message.c.counted <= sent,
    )
    return int(conn.execute(query).scalar_one())


def _proof(conn: Connection, person: bytes, ref: bytes) -> Proof | None:
    """The newest entry that says what became of the mail; None before there is one."""
    entry = conn.execute(_ENTRY, {"of_person": person, "of_message": ref}).one_or_none()
    if entry is None:
        return None
    point = publish.newest(conn) if entry.position is not None else None
    is_shown = point is not None and entry.position < point.size
    return Proof(stored_bytes(entry).decode(), entry.position, point.size if point is not None and is_shown else None)


_ENTRY = (
    select(audit_leaf.c.position, *ENTRY_COLUMNS)
    .select_from(audit_entry)
    .outerjoin(audit_leaf, audit_leaf.c.entry == audit_entry.c.id)
    .where(
        audit_entry.c.contact == bindparam("of_person"),
        audit_entry.c.message == bindparam("of_message"),
        audit_entry.c.kind.in_(_OUTCOMES),
    )
    .order_by(audit_entry.c.id.desc())
    .limit(1)
)


def _lower(held: Row[Any] | None, agreement: Agreement | None) -> str:
    """The first of the lower caps that would be less than all that holds now."""
    if held is None or agreement is None:
        return ""
    now = [(agreement.promise.cap_n, agreement.promise.cap_window)]
    if held.own_n is not None:
        now.append((held.own_n, held.own_window))
    return next((how for how, cap in LOWER_CAPS.items() if all(is_less(cap, one) for one in now)), "")
