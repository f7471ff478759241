"""SQL of a person's own room: where they stand with each topic, the ledger of their mailbox, and what they set."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, Row, and_, func, or_, select, update

from outreach.domain.consent import GIVING
from outreach.domain.message import COUNTED
from outreach.store.address_moves import has_left
from outreach.store.schema.campaigns import content as contents
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import consent, consent_event, consent_text, topic
from outreach.store.schema.members import invitation, member
from outreach.store.schema.people import contact

AnyRow = Row[*tuple[Any, ...]]

_COUNTED = sorted(COUNTED)
_GIVING = sorted(GIVING)
_LEFT = ("none", "pending")

_TEXT = (
    consent_text.c.locale,
    consent_text.c.version,
    consent_text.c.title,
    consent_text.c.gets,
    consent_text.c.wording,
    consent_text.c.sender_name,
)


def standings(conn: Connection, contact_id: int) -> Sequence[AnyRow]:
    """A person's consents that were ever given, with their topic and the text they agreed to, by name."""
    columns: tuple[Any, ...] = (*consent.c, topic.c.ref, topic.c.name, topic.c.slug, topic.c.closed, *_TEXT)
    query = (
        select(*columns)
        .join(topic, topic.c.id == consent.c.topic)
        .join(consent_text, consent_text.c.id == consent.c.text)
        .where(consent.c.contact == contact_id, consent.c.state.not_in(_LEFT), consent.c.cap_n.is_not(None))
    )
    return conn.execute(query.order_by(consent_text.c.title, topic.c.id)).all()


def agreements(conn: Connection, contact_id: int) -> dict[int, AnyRow]:
    """The event by which a person last agreed to each topic."""
    return _latest(conn, contact_id, consent_event.c.event.in_(_GIVING))


def last_events(conn: Connection, contact_id: int) -> dict[int, AnyRow]:
    """The latest event of each topic."""
    return _latest(conn, contact_id)


def _latest(conn: Connection, contact_id: int, *which: Any) -> dict[int, AnyRow]:
    newest = select(func.max(consent_event.c.id)).where(consent_event.c.contact == contact_id, *which)
    columns: tuple[Any, ...] = tuple(consent_event.c)
    query = select(*columns).where(consent_event.c.id.in_(newest.group_by(consent_event.c.topic)))
    return {row.topic: row for row in conn.execute(query)}


def counted(conn: Connection, mailbox: int, since: int) -> dict[int, list[int]]:
    """When campaigns' mails reached a mailbox after `since` (UTC microseconds), by topic: sent ones, and those of which
    nobody knows whether they arrived, for they count as well.
    """
    query = select(message.c.topic, message.c.counted).where(
        message.c.mailbox == mailbox, message.c.origin == "campaign", message.c.counted > since
    )
    found: dict[int, list[int]] = {}
    for row in conn.execute(query.order_by(message.c.counted)):
        found.setdefault(row.topic, []).append(row.counted)
    return found


def counted_in_all(conn: Connection, mailbox: int, since: int) -> int:
    """How many mails under the ceiling over everything reached a mailbox after `since`."""
    query = select(func.count()).where(message.c.mailbox == mailbox, _capped(None), message.c.counted > since)
    return int(conn.execute(query).scalar_one())


def places(conn: Connection, mailbox: int, topic_id: int | None, since: int) -> Sequence[AnyRow]:
    """(id, state, contact, origin) of what takes a place under a cap that counts from `since`, in the order of taking.

    `topic_id`: of one topic's mails; None: of everything that is capped.
    """
    reserves = message.c.counted.is_(None) | (message.c.counted > since)
    columns: tuple[Any, ...] = (message.c.id, message.c.state, message.c.contact, message.c.origin)
    query = select(*columns).where(
        message.c.mailbox == mailbox, _capped(topic_id), message.c.state.in_(_COUNTED), reserves
    )
    return conn.execute(query.order_by(message.c.planned, message.c.id)).all()


def _capped(topic_id: int | None) -> Any:
    if topic_id is None:
        return or_(message.c.kind != "service", message.c.origin == "invitation")
    return and_(message.c.topic == topic_id, message.c.origin == "campaign")


def settings(conn: Connection, contact_id: int) -> AnyRow:
    """What a person set for themselves, and the ceiling they were shown: columns of `contact`."""
    names = ("own_total_n", "own_total_window", "ceiling_n", "ceiling_window", "quiet_from", "quiet_to", "address_box")
    columns: tuple[Any, ...] = tuple(contact.c[name] for name in names)
    return conn.execute(select(*columns).where(contact.c.id == contact_id)).one()


def change_settings(conn: Connection, contact_id: int, values: Mapping[str, int | None]) -> None:
    conn.execute(update(contact).where(contact.c.id == contact_id).values(**values))


def history(conn: Connection, contact_id: int, mailbox: int, *, before: int | None, limit: int) -> Sequence[AnyRow]:
    """A person's mails, sent and not, the newest first; `before`: the id from which on they were shown already."""
    columns: tuple[Any, ...] = (
        message.c.id,
        message.c.ref,
        message.c.origin,
        message.c.kind,
        message.c.state,
        message.c.reason,
        message.c.planned,
        message.c.due,
        message.c.counted,
        message.c.settled,
        message.c.topic,
        contents.c.subject,
        topic.c.name.label("topic_name"),
    )
    query = (
        select(*columns)
        .outerjoin(contents, contents.c.id == message.c.content)
        .outerjoin(topic, topic.c.id == message.c.topic)
        .where(message.c.mailbox == mailbox, message.c.contact == contact_id)
    )
    if before is not None:
        query = query.where(message.c.id < before)
    return conn.execute(query.order_by(message.c.id.desc()).limit(limit)).all()


def message_id(conn: Connection, contact_id: int, ref: bytes) -> int | None:
    """The inside id of one of a person's mails."""
    query = select(message.c.id).where(message.c.ref == ref, message.c.contact == contact_id)
    return conn.execute(query).scalar_one_or_none()


def topic_ids(conn: Connection, refs: Collection[bytes]) -> dict[bytes, int]:
    return {row.ref: row.id for row in conn.execute(select(topic.c.ref, topic.c.id).where(topic.c.ref.in_(list(refs))))}


def invitations_to(conn: Connection, contact_id: int, mailbox: int) -> Sequence[AnyRow]:
    """Invitations whose mail reached a mailbox, newest first; of whom changed their address, what is their own."""
    mails = select(message.c.invitation).where(
        message.c.mailbox == mailbox, message.c.origin == "invitation", message.c.state.in_(["sent", "unknown"])
    )
    reached = and_(invitation.c.contact.is_(None), invitation.c.id.in_(mails.where(message.c.contact == contact_id)))
    mine = or_(
        invitation.c.contact == contact_id, reached, and_(invitation.c.mailbox == mailbox, ~has_left(contact_id))
    )
    columns: tuple[Any, ...] = (
        *(invitation.c[name] for name in ("id", "ref", "way", "asked", "expires", "answer", "answered", "settlement")),
        member.c.contact.label("inviter"),
        member.c.name_box,
    )
    query = select(*columns).join(member, member.c.id == invitation.c.member).where(invitation.c.id.in_(mails), mine)
    return conn.execute(query.order_by(invitation.c.id.desc())).all()


def invitations_from(conn: Connection, contact_id: int) -> Sequence[AnyRow]:
    """Invitations a person made from their account, newest first; an answer that is nobody's business is left out."""
    columns: tuple[Any, ...] = (
        *(invitation.c[name] for name in ("way", "asked", "expires", "answer", "label_box", "settled")),
    )
    query = select(*columns).join(member, member.c.id == invitation.c.member)
    mine = query.where(member.c.contact == contact_id, invitation.c.way != "link")
    return conn.execute(mine.order_by(invitation.c.id.desc())).all()
