"""Proof of one consent, to be printed: who asked, what was shown, what was pressed, and where the log holds it.

What it must contain is BGH I ZR 164/09's list (proof of double opt-in): verbatim text and version, locale, form, boxes,
times and networks of request and confirmation, the mail as sent, the token's id, the act, and every later change.
"""

import json
from dataclasses import dataclass

from sqlalchemy import Connection, select

from outreach.domain.actors import Actor, Role
from outreach.domain.consent import GIVING
from outreach.domain.errors import NotFoundError
from outreach.services.contact_history import (
    ConsentView,
    ContactHistory,
    EventView,
    TextView,
    contact_history,
    presentable,
)
from outreach.services.context import Context
from outreach.services.transparency import proofs
from outreach.store import audit_log
from outreach.store.boxes import ContactKeys
from outreach.store.schema.audit import audit_entry, audit_leaf
from outreach.store.schema.campaigns import message
from outreach.store.schema.organisation import controller
from outreach.store.schema.people import contact

_ACTS = frozenset(map(str, GIVING))


@dataclass(frozen=True, kw_only=True)
class Sealing:
    """Where an entry stands in the log: `path` proves it to be under `root` of the signed `note` (RFC 9162 §2.1.3)."""

    place: int
    leaf: str
    path: tuple[str, ...]
    size: int
    note: str


@dataclass(frozen=True, kw_only=True)
class MailAsSent:
    """The mail that asked for confirmation, as it left, its own link taken out."""

    at: int | None
    subject: str
    text: str


@dataclass(frozen=True)
class ProvedEvent:
    """A consent event and its place in the log; None while it waits to be sealed."""

    event: EventView
    sealing: Sealing | None


@dataclass(frozen=True, kw_only=True)
class ConsentProof:
    """One person and topic. `events`: all that happened, oldest first; `mails`: the confirmation mails they rest on."""

    controller: str
    made: int
    history: ContactHistory
    consent: ConsentView | None
    topic_name: str
    events: tuple[ProvedEvent, ...]
    mails: tuple[MailAsSent, ...]

    @property
    def act(self) -> ProvedEvent | None:
        """The act by which they agreed last."""
        return next((one for one in reversed(self.events) if one.event.event in _ACTS), None)

    @property
    def request(self) -> ProvedEvent | None:
        """The request that act answered, where it was one of a stranger; else the act's own evidence tells of it."""
        before = self.events[: self.events.index(self.act)] if self.act else self.events
        asked = before[-1] if before else None
        return asked if asked is not None and asked.event.event == "requested" else None

    @property
    def text(self) -> TextView | None:
        """The words agreed to last."""
        return self.act.event.text if self.act else None

    @property
    def note(self) -> str:
        """The signed checkpoint the events are proved under; empty while none is sealed."""
        return next((one.sealing.note for one in self.events if one.sealing), "")


def consent_proof(ctx: Context, actor: Actor, contact_ref: bytes, topic_ref: bytes) -> ConsentProof:
    """Everything that proves what `contact_ref` agreed to for `topic_ref`. Raises NotFoundError; audited as read."""
    actor.must_be(Role.OFFICER)
    history = contact_history(ctx, actor, contact_ref)
    events = [event for event in history.events if event.topic == topic_ref]
    if not events:
        raise NotFoundError("This person never answered about this topic.")
    with ctx.db.reading() as conn:
        name = conn.execute(select(controller.c.name)).scalar_one_or_none()
        mails = {event.message for event in events if event.message and event.event == "confirmed"}
        return ConsentProof(
            controller=name or "",
            made=ctx.db.now(conn),
            history=history,
            consent=next((one for one in history.consents if one.topic == topic_ref), None),
            topic_name=events[0].topic_name,
            events=tuple(_proved(conn, contact_ref, events)),
            mails=tuple(_mail(conn, ctx, ref) for ref in sorted(mails)),
        )


def sealing_of(conn: Connection, entry_id: int) -> Sealing | None:
    """The place of an entry with the path that proves it under the newest signed checkpoint; None until then."""
    point = audit_log.newest_point(conn, signed=True)
    query = select(audit_leaf.c.position, audit_leaf.c.hash).where(audit_leaf.c.entry == entry_id)
    leaf = conn.execute(query).one_or_none()
    if point is None or leaf is None or leaf.position >= point.size:
        return None
    path = proofs.inclusion(conn, leaf.position, point.size)
    return Sealing(
        place=leaf.position,
        leaf=leaf.hash.hex(),
        path=tuple(step.hex() for step in path),
        size=point.size,
        note=point.note or "",
    )


def _proved(conn: Connection, contact_ref: bytes, events: list[EventView]) -> list[ProvedEvent]:
    query = select(audit_entry.c.id, audit_entry.c.body).where(
        audit_entry.c.contact == contact_ref, audit_entry.c.kind.like("consent.%")
    )
    entries = {json.loads(row.body).get("event"): row.id for row in conn.execute(query)}
    found = []
    for event in events:
        entry = entries.get(event.ref.hex())
        found.append(ProvedEvent(event, sealing_of(conn, entry) if entry is not None else None))
    return found


def _mail(conn: Connection, ctx: Context, ref: bytes) -> MailAsSent:
    row = conn.execute(
        select(message.c.contact, message.c.body_box, message.c.settled)
        .join(contact, contact.c.id == message.c.contact)
        .where(message.c.ref == ref)
    ).one_or_none()
    if row is None:
        return MailAsSent(at=None, subject="", text="")
    shown = ContactKeys(ctx.keyring, conn).facts(row.contact, row.body_box)
    return MailAsSent(
        at=row.settled, subject=presentable(shown.get("subject", "")), text=presentable(shown.get("text", ""))
    )
