"""Everything held about one person, as plain data: what access and portability (GDPR 15, 20) hand over.

Each part is a mapping or a list of mappings with the same keys throughout; instants are UTC microseconds under the
names of `INSTANTS`. Other people are masked: no part names anybody but the person. `about.py` puts the parts together.
"""

import re
from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, select
from sqlalchemy.engine import Row

from outreach.domain import addresses
from outreach.store import inbound, told
from outreach.store.boxes import ContactKeys
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.campaigns import attempt, campaign, message
from outreach.store.schema.campaigns import content as contents
from outreach.store.schema.consents import confirmation, confirmation_topic, topic
from outreach.store.schema.observations import observation
from outreach.store.schema.people import contact, mailbox, suppression

INSTANTS = frozenset(
    {
        "answered",
        "appealed",
        "asked",
        "at",
        "closed",
        "created",
        "due",
        "ended",
        "expires",
        "extended",
        "finished",
        "given",
        "held_since",
        "issued",
        "lifted",
        "made",
        "muted",
        "opened",
        "opened_by_a_program",
        "paused_until",
        "planned",
        "pressed",
        "published",
        "received",
        "requested",
        "seen",
        "sent",
        "settled",
        "shown",
        "since",
        "stands_on_purchase_of",
        "suspended",
        "until",
    }
)
"""Keys whose integers are UTC microseconds."""

_LINK = re.compile(r"(/[a-z-]+/(?:[a-z]+/)?)[A-Za-z0-9_-]{1,32}\.[A-Za-z0-9_-]{32}\.[A-Za-z0-9_-]{32}")
_IN_A_CONVERSATION = "conversation.read"
_READS = (
    "contact.read",
    "contact.revealed",
    "consent.proved",
    "rights.read",
    "rights.result-read",
    "claims.revealed",
    _IN_A_CONVERSATION,
)

Facts = dict[str, Any]


def plain(value: Any) -> Any:
    """Kept evidence, fit to hand over: addresses masked, and no link in it works any more."""
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items() if one not in (None, "", [])}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, str):
        return addresses.scrub(_LINK.sub(r"\1…", value))
    return value


def you_of(conn: Connection, keys: ContactKeys, contact_id: int) -> Facts:
    """The person: address, fields, language, limits."""
    row = conn.execute(select(contact).where(contact.c.id == contact_id)).one()
    return {
        "address": keys.text(contact_id, row.address_box) or "",
        "reference": "-".join((row.code[:4], row.code[4:8], row.code[8:])),
        "fields": keys.facts(contact_id, row.fields_box),
        "language": row.locale,
        "time_zone": row.timezone,
        "mail_provider": row.provider,
        "held_since": row.created,
        "quiet_from_minute": row.quiet_from,
        "quiet_to_minute": row.quiet_to,
        "own_limit": _cap(row.own_total_n, row.own_total_window),
        "limit_when_agreed": _cap(row.ceiling_n, row.ceiling_window),
    }


def consents_of(conn: Connection, contact_id: int) -> list[Facts]:
    """Where the person stands with each topic, and the words they agreed to."""
    return [
        {
            "topic": row.name,
            "purpose": row.purpose,
            "state": row.state,
            "since": row.since,
            "expires": row.expires,
            "paused_until": row.paused_until,
            "stands_on_purchase_of": row.soft_from,
            "own_limit": _cap(row.own_n, row.own_window),
            "kept_days_after_it_ends": row.retention_days,
            "text": _text(row),
        }
        for row in conn.execute(told.consents_of(contact_id))
    ]


def events_of(conn: Connection, keys: ContactKeys, contact_id: int) -> list[Facts]:
    """What happened to the consents, with the evidence that is kept of it, oldest first."""
    return [
        {
            "at": row.at,
            "topic": row.name,
            "event": row.event,
            "before": row.from_state,
            "after": row.to_state,
            "text": _text(row),
            "evidence": plain(keys.facts(contact_id, row.evidence_box)),
        }
        for row in conn.execute(told.events_of(contact_id))
    ]


def questions_of(conn: Connection, keys: ContactKeys, contact_id: int) -> list[Facts]:
    """Requests for a press of theirs: to get mail, or for an account."""
    named = (
        select(confirmation_topic.c.confirmation, topic.c.name)
        .join(topic, topic.c.id == confirmation_topic.c.topic)
        .join(confirmation, confirmation.c.id == confirmation_topic.c.confirmation)
        .where(confirmation.c.contact == contact_id)
    )
    topics: dict[int, list[str]] = {}
    for one in conn.execute(named.order_by(topic.c.name)):
        topics.setdefault(one.confirmation, []).append(one.name)
    query = (
        select(confirmation, observation.c.at.label("touched"))
        .outerjoin(observation, observation.c.about == confirmation.c.ref)
        .where(confirmation.c.contact == contact_id)
    )
    return [
        {
            "requested": row.requested,
            "about": row.about,
            "topics": topics.get(row.id, []),
            "language": row.locale,
            "expires": row.expires,
            "answered": row.answered,
            "answer": row.answer,
            "opened_by_a_program": row.touched,
            "evidence": plain(keys.facts(contact_id, row.evidence_box)),
        }
        for row in conn.execute(query.order_by(confirmation.c.id))
    ]


def messages_of(conn: Connection, contact_id: int) -> list[Facts]:
    """Every mail to the person, sent or not, and why not; oldest first."""
    tries: dict[int, list[Facts]] = {}
    query = select(attempt).join(message, message.c.id == attempt.c.message).where(*_mine(contact_id))
    for one in conn.execute(query.order_by(attempt.c.id)):
        tried = {"at": one.at, "outcome": one.outcome, "answer": addresses.scrub(one.reply or "")}
        tries.setdefault(one.message, []).append(tried)
    mails = (
        select(message, campaign.c.name, contents.c.subject)
        .outerjoin(campaign, campaign.c.id == message.c.campaign)
        .outerjoin(contents, contents.c.id == message.c.content)
        .where(*_mine(contact_id))
    )
    return [
        {
            "planned": row.planned,
            "origin": row.origin,
            "kind": row.kind,
            "campaign": row.name,
            "subject": row.subject,
            "state": row.state,
            "reason": row.reason,
            "settled": row.settled,
            "attempts": tries.get(row.id, []),
        }
        for row in conn.execute(mails.order_by(message.c.id))
    ]


def reports_of(conn: Connection, contact_id: int) -> list[Facts]:
    """What mail servers and readers reported about mails to the person, and what followed; oldest first."""
    return [
        {
            "at": row.at,
            "what": row.kind,
            "campaign": row.campaign_name,
            "answer": addresses.scrub(" ".join(part for part in (row.status, row.words) if part)),
            "outcome": row.did,
            "lifted": row.undone,
        }
        for row in inbound.of_contact(conn, contact_id)
    ]


def bars_of(conn: Connection, contact_id: int) -> list[Facts]:
    """What bars mail to the address or its mailbox, or did."""
    row = conn.execute(
        select(contact.c.address_key, mailbox.c.mailbox_key)
        .join(mailbox, mailbox.c.id == contact.c.mailbox)
        .where(contact.c.id == contact_id)
    ).one()
    query = select(suppression).where(suppression.c.key.in_([row.address_key, row.mailbox_key]))
    return [
        {
            "kind": one.kind,
            "on": one.scope,
            "since": one.since,
            "lifted": one.lifted,
            "may_be_lifted_by": one.lift,
            "reason": addresses.scrub(one.reason),
        }
        for one in conn.execute(query.order_by(suppression.c.id))
    ]


def reads_of(conn: Connection, contact_ref: bytes) -> list[Facts]:
    """When staff read what is held about the person, and why; who it was stays in the log."""
    query = select(audit_entry.c.at, audit_entry.c.kind, audit_entry.c.body).where(
        audit_entry.c.contact == contact_ref, audit_entry.c.kind.in_(_READS)
    )
    return [
        {"at": row.at, "what": row.kind, "by": _reader(row.kind), "reason": _reason(row.body)}
        for row in conn.execute(query.order_by(audit_entry.c.id))
    ]


def log_of(conn: Connection, contact_ref: bytes) -> list[Facts]:
    """What the log tells of the person, by its own names, oldest first."""
    query = select(audit_entry.c.at, audit_entry.c.kind, audit_entry.c.actor).where(
        audit_entry.c.contact == contact_ref
    )
    return [
        {"at": row.at, "what": row.kind, "by": row.actor.partition(":")[0]}
        for row in conn.execute(query.order_by(audit_entry.c.id))
    ]


def _mine(contact_id: int) -> tuple[ColumnElement[bool], ...]:
    """A person's mails, found by the index of their mailbox."""
    own = select(contact.c.mailbox).where(contact.c.id == contact_id).scalar_subquery()
    return message.c.mailbox == own, message.c.contact == contact_id


def _reader(kind: str) -> str:
    return "a member of staff" if kind == _IN_A_CONVERSATION else "a compliance officer"


def _reason(body: str) -> str:
    found = re.search(r'"reason":"((?:[^"\\]|\\.)*)"', body)
    return addresses.scrub(found[1]) if found else ""


def _cap(n: int | None, window: int | None) -> Facts | None:
    return None if n is None else {"mails": n, "in_seconds": window}


def _text(row: Row[Any]) -> Facts | None:
    if row.wording is None:
        return None
    return {
        "title": row.title,
        "language": row.text_locale,
        "version": row.version,
        "you_get": row.gets,
        "wording": row.wording,
        "sender": row.sender_name,
        "kinds": row.text_kinds,
        "limit": _cap(row.text_n, row.text_window),
        "informational_for_each_promotional": row.text_ratio,
        "sha256": row.sha256.hex(),
        "published": row.published,
    }
