"""A person's consents and their events with the texts they are about, as whoever tells of them needs the rows."""

from typing import Any

from sqlalchemy import Select, select

from outreach.store.schema.consents import consent, consent_event, consent_text, topic

_TOPIC = (topic.c.ref.label("topic_ref"), topic.c.name, topic.c.purpose, topic.c.retention_days)
_TEXT = (
    consent_text.c.ref.label("text_ref"),
    consent_text.c.title,
    consent_text.c.locale.label("text_locale"),
    consent_text.c.version,
    consent_text.c.gets,
    consent_text.c.wording,
    consent_text.c.sender_name,
    consent_text.c.kinds.label("text_kinds"),
    consent_text.c.cap_n.label("text_n"),
    consent_text.c.cap_window.label("text_window"),
    consent_text.c.ratio_k.label("text_ratio"),
    consent_text.c.sha256,
    consent_text.c.published,
)


def consents_of(contact_id: int) -> Select[Any]:
    """Where a person stands with each topic, by its name. Columns of no text are null."""
    query = select(consent, *_TOPIC, *_TEXT).join(topic, topic.c.id == consent.c.topic)
    query = query.outerjoin(consent_text, consent_text.c.id == consent.c.text)
    return query.where(consent.c.contact == contact_id).order_by(topic.c.name)


def events_of(contact_id: int) -> Select[Any]:
    """All that happened to a person's consents, oldest first. Columns of no text are null."""
    query = select(consent_event, *_TOPIC, *_TEXT).join(topic, topic.c.id == consent_event.c.topic)
    query = query.outerjoin(consent_text, consent_text.c.id == consent_event.c.text)
    return query.where(consent_event.c.contact == contact_id).order_by(consent_event.c.id)
