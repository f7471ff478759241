"""All that one mail's why page says of it, of several mails at once, in one statement: of each one row.

Joins reach for the newest row that fits by the highest id, which holds on either database and goes by an index.
"""

from collections.abc import Collection
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    ScalarSelect,
    Select,
    and_,
    cast,
    func,
    select,
    text,
)
from sqlalchemy.engine import Row

from outreach.domain.audit import entry_bytes
from outreach.domain.consent import GIVING
from outreach.store.audit_log import ENTRY_COLUMNS
from outreach.store.bulk import prepared
from outreach.store.schema.audit import audit_entry, audit_leaf
from outreach.store.schema.campaigns import campaign, content, message
from outreach.store.schema.consents import confirmation, consent, consent_event, consent_text, topic
from outreach.store.schema.members import invitation
from outreach.store.schema.people import contact, contact_key
from outreach.store.schema.policies import approval
from outreach.store.schema.transparency import publication
from outreach.store.staging import among_keys, bound_keys

_SECOND = 1_000_000
_OUTCOMES = ("message.sent", "message.withheld", "message.failed", "message.unknown")
_ENTRY = "entry_"  # before the names of ENTRY_COLUMNS


def facts(conn: Connection, refs: Collection[bytes]) -> dict[bytes, Row[Any]]:
    """What is held about these mails, by ref; those of which nothing is held any more are left out."""
    return {bytes(row.ref): row for row in conn.execute(_query(conn), {"keys": bound_keys(set(refs))})}


def entry_of(row: Row[Any]) -> bytes | None:
    """The log's newest entry about what became of the mail, in its canonical bytes; None before there is one."""
    values = row._mapping
    if values[f"{_ENTRY}nonce"] is None:
        return None
    return entry_bytes(**{column.name: values[_ENTRY + column.name] for column in ENTRY_COLUMNS})


_tested = campaign.alias("tested")
_earlier = message.alias("earlier")
_event = consent_event.alias("agreed")
_topic = func.coalesce(message.c.topic, _tested.c.topic)
_sent = func.coalesce(message.c.counted, message.c.settled, message.c.planned)


def _newest(column: ColumnElement[int], *conditions: ColumnElement[bool]) -> ScalarSelect[int]:
    return select(func.max(column)).where(*conditions).correlate_except(column.table).scalar_subquery()


def _nth(window: ColumnElement[int]) -> ScalarSelect[int]:
    """Which mail of its topic to this mailbox it was in the `window` seconds that end with it."""
    query = select(func.count()).where(
        _earlier.c.mailbox == message.c.mailbox,
        _earlier.c.topic == message.c.topic,
        _earlier.c.origin.in_(["campaign", "confirmation"]),
        _earlier.c.counted > _sent - cast(window, BigInteger) * _SECOND,
        _earlier.c.counted <= _sent,
    )
    return query.correlate(message, consent, consent_text).scalar_subquery()


@prepared
def _query(conn: Connection) -> Select[Any]:
    agreed = _newest(
        _event.c.id,
        _event.c.contact == message.c.contact,
        _event.c.topic == _topic,
        _event.c.event.in_(GIVING),
        _event.c.at <= message.c.planned,
    )
    asked = _newest(approval.c.id, approval.c.act == "campaign", approval.c.about == campaign.c.ref)
    entry = _newest(
        audit_entry.c.id,
        audit_entry.c.contact == contact.c.ref,
        audit_entry.c.message == message.c.ref,
        audit_entry.c.kind.in_(_OUTCOMES),
    )
    return (
        select(
            *(message.c[name] for name in _OF_MESSAGE),
            message.c.topic.label("own_topic"),
            _topic.label("topic"),
            content.c.subject,
            content.c.frozen,
            *(contact.c[name] for name in _OF_CONTACT),
            contact.c.ref.label("person"),
            contact_key.c.kek,
            contact_key.c.wrapped,
            confirmation.c.about,
            confirmation.c.requested,
            confirmation.c.answered,
            invitation.c.way,
            invitation.c.asked,
            invitation.c.answer.label("invitation_answer"),
            topic.c.ref.label("topic_ref"),
            topic.c.slug,
            topic.c.name,
            consent.c.state.label("standing"),
            consent.c.text.label("standing_text"),
            consent.c.expires,
            consent.c.own_n,
            consent.c.own_window,
            _event.c.ref.label("event_ref"),
            _event.c.at.label("event_at"),
            _event.c.event,
            _event.c.text.label("event_text"),
            _event.c.evidence_box,
            _nth(consent_text.c.cap_window).label("nth"),
            _nth(consent.c.own_window).label("own_nth"),
            approval.c.state.label("approval"),
            approval.c.answered.label("approved"),
            approval.c.answerer,
            audit_leaf.c.position,
            *(column.label(_ENTRY + column.name) for column in ENTRY_COLUMNS),
            select(func.max(publication.c.size)).scalar_subquery().label("published"),
        )
        .select_from(message)
        .join(contact, contact.c.id == message.c.contact)
        .outerjoin(contact_key, contact_key.c.contact == contact.c.id)
        .outerjoin(content, content.c.id == message.c.content)
        .outerjoin(_tested, _tested.c.id == content.c.campaign)
        .outerjoin(campaign, campaign.c.id == message.c.campaign)
        .outerjoin(confirmation, confirmation.c.id == message.c.confirmation)
        .outerjoin(invitation, invitation.c.id == message.c.invitation)
        .outerjoin(topic, topic.c.id == _topic)
        .outerjoin(consent, and_(consent.c.contact == message.c.contact, consent.c.topic == _topic))
        .outerjoin(_event, _event.c.id == agreed)
        .outerjoin(consent_text, consent_text.c.id == _event.c.text)
        .outerjoin(approval, approval.c.id == asked)
        .outerjoin(audit_entry, audit_entry.c.id == entry)
        .outerjoin(audit_leaf, audit_leaf.c.entry == audit_entry.c.id)
        .where(text(among_keys(conn, "message.ref", length=16)))
    )


_OF_MESSAGE = (
    "ref", "origin", "kind", "contact", "invitation", "state", "reason", "planned", "counted", "settled", "body_box",
)  # fmt: skip
_OF_CONTACT = (
    "address_box", "code", "locale", "timezone", "own_total_n", "own_total_window", "ceiling_n", "ceiling_window",
)  # fmt: skip
