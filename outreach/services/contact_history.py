"""All that is held about one contact, for an officer: consents, their events with evidence, mails, bars, invitations.

`see_contact` opens no box. `contact_history` reads address and evidence, and is itself audited (`contact.read`): the
address stays masked, in evidence too.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.engine import Row

from outreach.domain import addresses
from outreach.domain.actors import Actor, Role
from outreach.domain.errors import NotFoundError
from outreach.services.bars import BarView, bars_on
from outreach.services.contact_invitations import PersonToPerson, person_to_person
from outreach.services.context import Context
from outreach.services.intake.reports import ReportView, reports_of
from outreach.store import told
from outreach.store.audit import Entry, record
from outreach.store.boxes import ContactKeys
from outreach.store.schema.campaigns import campaign, message
from outreach.store.schema.people import contact, contact_key, mailbox

MESSAGES = 100
_INSTANTS = frozenset({"at", "issued", "received", "requested", "given", "shown", "pressed"})
_LINK = re.compile(
    r"(/(?:confirm|stop|why|look|undo|set-up|password|choose|invitation|hand|connection|moving|keep)/)[A-Za-z0-9_.-]+"
)


@dataclass(frozen=True)
class Fact:
    """A piece of evidence: `instant` in UTC microseconds, or else `text`, addresses masked."""

    name: str
    text: str
    instant: int | None = None


@dataclass(frozen=True, kw_only=True)
class TextView:
    """The words somebody agreed to."""

    ref: bytes
    title: str
    locale: str
    version: int
    wording: str
    sender: str
    kinds: str
    cap: tuple[int, int]
    ratio_k: int
    sha256: str
    published: int


@dataclass(frozen=True, kw_only=True)
class ConsentView:
    """Where the person stands with a topic. `own`: their own cap (n, seconds); `soft_from`: of the
    purchase it stands on, where nobody agreed; instants in UTC microseconds.
    """

    topic: bytes
    topic_name: str
    state: str
    since: int
    expires: int | None
    paused_until: int | None
    own: tuple[int, int] | None
    text: TextView | None
    soft_from: int | None


@dataclass(frozen=True, kw_only=True)
class EventView:
    """One consent event with its evidence."""

    ref: bytes
    at: int
    topic: bytes
    topic_name: str
    event: str
    before: str
    after: str
    text: TextView | None
    message: bytes | None
    evidence: tuple[Fact, ...]


@dataclass(frozen=True, kw_only=True)
class MessageView:
    """One mail to the person, sent or not, and why not. `at`: settled, or planned while it is not."""

    ref: bytes
    origin: str
    kind: str
    campaign: bytes | None
    campaign_name: str
    state: str
    reason: str
    at: int
    attempts: int


@dataclass(frozen=True, kw_only=True)
class ContactHistory:
    """One contact. `code`: the reference as mails print it.

    `is_read`: boxes were opened, so `masked` and evidence are filled; neither opens for the erased.
    """

    ref: bytes
    code: str
    masked: str
    is_read: bool
    is_erased: bool
    locale: str
    timezone: str
    provider: str
    created: int
    consents: tuple[ConsentView, ...]
    events: tuple[EventView, ...]
    messages: tuple[MessageView, ...]
    bars: tuple[BarView, ...]
    others: PersonToPerson
    reports: tuple[ReportView, ...]


def see_contact(ctx: Context, actor: Actor, ref: bytes) -> ContactHistory:
    """What is held about the contact `ref` that names nobody. Raises NotFoundError. Writes nothing."""
    actor.must_be(Role.OFFICER)
    with ctx.db.reading() as conn:
        return _history(conn, _row(conn, ref), None)


def contact_history(ctx: Context, actor: Actor, ref: bytes) -> ContactHistory:
    """What is held about the contact `ref`. Raises NotFoundError. Writes the entry that it was read, nothing else."""
    actor.must_be(Role.OFFICER)
    with ctx.db.transaction() as conn:
        row = _row(conn, ref)
        record(conn, ctx.db.now(conn), Entry(kind="contact.read", actor=actor.name, contact=ref))
        return _history(conn, row, ContactKeys(ctx.keyring, conn))


def _row(conn: Connection, ref: bytes) -> Row[Any]:
    query = (
        select(contact, mailbox.c.mailbox_key, contact_key.c.contact.is_(None).label("is_erased"))
        .join(mailbox, mailbox.c.id == contact.c.mailbox)
        .outerjoin(contact_key, contact_key.c.contact == contact.c.id)
    )
    row = conn.execute(query.where(contact.c.ref == ref)).one_or_none()
    if row is None:
        raise NotFoundError("No such contact is held. If there was one, it was erased; the log still tells of it.")
    return row


def _history(conn: Connection, row: Row[Any], keys: ContactKeys | None) -> ContactHistory:
    exact = keys.text(row.id, row.address_box) if keys else None
    return ContactHistory(
        ref=row.ref,
        code="-".join(row.code[start : start + 4] for start in range(0, len(row.code), 4)),
        masked=addresses.mask(exact) if exact else "",
        is_read=keys is not None,
        is_erased=row.is_erased,
        locale=row.locale,
        timezone=row.timezone,
        provider=row.provider,
        created=row.created,
        consents=tuple(_consents(conn, row.id)),
        events=tuple(events_of(conn, keys, row.id)),
        messages=tuple(_messages(conn, row.id)),
        bars=tuple(bars_on(conn, (row.address_key, row.mailbox_key))),
        others=person_to_person(conn, row.id, row.mailbox),
        reports=reports_of(conn, row.id),
    )


def events_of(conn: Connection, keys: ContactKeys | None, contact_id: int) -> Iterator[EventView]:
    """A person's consent events, oldest first; with their evidence where `keys` may open it."""
    for row in conn.execute(told.events_of(contact_id)):
        yield EventView(
            ref=row.ref,
            at=row.at,
            topic=row.topic_ref,
            topic_name=row.name,
            event=row.event,
            before=row.from_state,
            after=row.to_state,
            text=_text(row),
            message=row.message_ref,
            evidence=tuple(facts_of(keys.facts(contact_id, row.evidence_box))) if keys else (),
        )


def facts_of(evidence: Mapping[str, Any], under: str = "") -> Iterator[Fact]:
    """Evidence as a flat list one can print: addresses masked, link tokens left out."""
    for name, value in evidence.items():
        label = f"{under} {name}".strip().replace("_", " ")
        if isinstance(value, Mapping):
            yield from facts_of(value, label)
        elif isinstance(value, list) and value and isinstance(value[0], Mapping):
            for number, item in enumerate(value, 1):
                one = label.removesuffix("s")
                yield from facts_of(item, one if len(value) == 1 else f"{one} {number}")
        elif isinstance(value, int) and name in _INSTANTS:
            yield Fact(label, "", value)
        elif value not in (None, "", []):
            said = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            yield Fact(label, presentable(said))


def presentable(said: str) -> str:
    """A kept text with every address masked and every token taken out of its links."""
    return addresses.scrub(_LINK.sub(r"\1…", said))


def _text(row: Row[Any]) -> TextView | None:
    if row.text_ref is None:
        return None
    return TextView(
        ref=row.text_ref,
        title=row.title,
        locale=row.text_locale,
        version=row.version,
        wording=row.wording,
        sender=row.sender_name,
        kinds=row.text_kinds,
        cap=(row.text_n, row.text_window),
        ratio_k=row.text_ratio,
        sha256=row.sha256.hex(),
        published=row.published,
    )


def _consents(conn: Connection, contact_id: int) -> Iterator[ConsentView]:
    for row in conn.execute(told.consents_of(contact_id)):
        yield ConsentView(
            topic=row.topic_ref,
            topic_name=row.name,
            state=row.state,
            since=row.since,
            expires=row.expires,
            paused_until=row.paused_until,
            own=None if row.own_n is None else (row.own_n, row.own_window),
            text=_text(row),
            soft_from=row.soft_from,
        )


def _messages(conn: Connection, contact_id: int) -> Iterator[MessageView]:
    own = select(contact.c.mailbox).where(contact.c.id == contact_id).scalar_subquery()
    query = (
        select(message, campaign.c.ref.label("campaign_ref"), campaign.c.name)
        .outerjoin(campaign, campaign.c.id == message.c.campaign)
        .where(message.c.contact == contact_id, message.c.mailbox == own)  # the index is by mailbox
        .order_by(message.c.id.desc())
        .limit(MESSAGES)
    )
    for row in conn.execute(query):
        yield MessageView(
            ref=row.ref,
            origin=row.origin,
            kind=row.kind,
            campaign=row.campaign_ref,
            campaign_name=row.name or "",
            state=row.state,
            reason=row.reason or "",
            at=row.settled or row.planned,
            attempts=row.attempts,
        )
