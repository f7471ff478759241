"""What a receipt is made of: the event, its text and topic, the log's entries about that consent, the controller."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, exists, insert, select
from sqlalchemy.engine import Row

from outreach.domain.audit import leaf_hash
from outreach.store.audit_log import ENTRY_COLUMNS, stored_bytes
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import consent_event, topic
from outreach.store.schema.organisation import controller
from outreach.store.schema.people import contact, contact_key
from outreach.store.schema.receipts import former_controller, receipt_mail

_EVENT: Select[Any] = (
    select(
        consent_event.c.id,
        consent_event.c.ref,
        consent_event.c.contact,
        consent_event.c.topic,
        consent_event.c.at,
        consent_event.c.event,
        consent_event.c.from_state,
        consent_event.c.to_state,
        consent_event.c.text,
        contact.c.ref.label("subject"),
        contact.c.locale,
        contact.c.timezone,
        topic.c.ref.label("topic_ref"),
        topic.c.name,
        topic.c.purpose,
        topic.c.retention_days,
    )
    .join(contact, contact.c.id == consent_event.c.contact)
    .join(topic, topic.c.id == consent_event.c.topic)
    .where(exists().where(contact_key.c.contact == contact.c.id))
)


def event_by_ref(conn: Connection, ref: bytes) -> Row[Any] | None:
    """A consent event with its topic, and its person as far as a receipt names them; None once they were erased."""
    return conn.execute(_EVENT.where(consent_event.c.ref == ref)).one_or_none()


def events_since(conn: Connection, contact_id: int, since: int) -> list[Row[Any]]:
    """A person's consent events at or after `since`, oldest first."""
    query = _EVENT.where(consent_event.c.contact == contact_id, consent_event.c.at >= since)
    return list(conn.execute(query.order_by(consent_event.c.id)))


def events_of(conn: Connection, contact_id: int, kinds: Sequence[str]) -> list[Row[Any]]:
    """All of a person's consent events of these kinds, oldest first."""
    query = _EVENT.where(consent_event.c.contact == contact_id, consent_event.c.event.in_(kinds))
    return list(conn.execute(query.order_by(consent_event.c.id)))


def entries_about(conn: Connection, subject: bytes, topic_ref: bytes) -> list[Row[Any]]:
    """The log's entries that changed one person's consent to one topic, in the order written: id and ENTRY_COLUMNS."""
    query = select(audit_entry.c.id, *ENTRY_COLUMNS).where(
        audit_entry.c.contact == subject, audit_entry.c.topic == topic_ref, audit_entry.c.kind.like("consent.%")
    )
    return list(conn.execute(query.order_by(audit_entry.c.id)))


def entry_like(conn: Connection, subject: bytes, at: int, leaf: bytes) -> int | None:
    """The id of the entry about a person at an instant whose leaf hash this is, sealed or not."""
    query = select(audit_entry.c.id, *ENTRY_COLUMNS).where(audit_entry.c.contact == subject, audit_entry.c.at == at)
    rows = conn.execute(query)
    return next((row.id for row in rows if leaf_hash(stored_bytes(row)) == leaf), None)


def controller_at(conn: Connection, at: int) -> Row[Any] | None:
    """Who answered for the data at that instant: name, postal_address, country, privacy_contact."""
    names = ("name", "postal_address", "country", "privacy_contact")
    former = (
        select(*(former_controller.c[name] for name in names))
        .where(former_controller.c.until > at)
        .order_by(former_controller.c.until, former_controller.c.id)
        .limit(1)
    )
    found: Row[Any] | None = conn.execute(former).one_or_none()
    return found or conn.execute(select(*(controller.c[name] for name in names))).one_or_none()


def keep_controller(conn: Connection, until: int) -> None:
    """Remember what `controller` says, before it changes at `until`."""
    names = ("name", "postal_address", "country", "privacy_contact")
    row = conn.execute(select(*(controller.c[name] for name in names))).one_or_none()
    if row is not None:
        conn.execute(insert(former_controller).values(until=until, **row._mapping))


def add_mailed(conn: Connection, event_id: int, message_ref: bytes, at: int) -> None:
    """Note that the mail of this ref is the receipt of an event: the basis it goes out on."""
    queued = conn.execute(select(message.c.id).where(message.c.ref == message_ref)).scalar_one()
    conn.execute(insert(receipt_mail).values(event=event_id, message=queued, at=at))


def is_on_its_way(conn: Connection, event_id: int) -> bool:
    """Whether a mail with this event's receipt waits to be handed off."""
    query = (
        select(receipt_mail.c.id)
        .join(message, message.c.id == receipt_mail.c.message)
        .where(receipt_mail.c.event == event_id, message.c.state.in_(["planned", "waiting", "attempted"]))
    )
    return conn.execute(query.limit(1)).first() is not None
