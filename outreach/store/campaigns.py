"""SQL for campaigns: found and locked, listed by state, and their content frozen."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, func, insert, select, update

from outreach.domain.campaign import Segment, Stand, State
from outreach.store.schema.campaigns import campaign, content
from outreach.store.schema.consents import consent_text, topic
from outreach.store.schema.organisation import staff
from outreach.store.schema.people import contact


@dataclass(frozen=True, kw_only=True)
class Campaign:
    """A campaign as it stands in the store. Instants in UTC microseconds."""

    id: int
    ref: bytes
    name: str
    topic: int
    topic_ref: bytes
    topic_name: str
    topic_closed: bool
    author: int
    author_disabled: bool
    author_contact: int
    author_box: bytes | None
    kind: str
    stand: Stand
    pause_reason: str
    subject: str
    preheader: str
    body: str
    segment: Segment
    priority: int
    due: int | None
    zone: str
    later_until: int | None
    content: int | None
    created: int
    updated: int
    planned: int | None
    started: int | None
    finished: int | None


# fmt: off
_PLAIN = (
    "id", "ref", "name", "topic", "author", "kind", "pause_reason", "subject", "preheader", "body", "priority", "due",
    "zone", "later_until", "content", "created", "updated", "planned", "started", "finished",
)
# fmt: on


def _query() -> Select[Any]:
    return (
        select(
            *(campaign.c[name] for name in _PLAIN),
            campaign.c.state,
            campaign.c.resumes_to,
            campaign.c.segment,
            topic.c.ref.label("topic_ref"),
            topic.c.name.label("topic_name"),
            topic.c.closed.label("topic_closed"),
            staff.c.disabled.label("author_disabled"),
            contact.c.id.label("author_contact"),
            contact.c.fields_box.label("author_box"),
        )
        .join(topic, topic.c.id == campaign.c.topic)
        .join(staff, staff.c.id == campaign.c.author)
        .join(contact, contact.c.id == staff.c.contact)
    )


def _campaign(row: Row[Any]) -> Campaign:
    return Campaign(
        **{name: row._mapping[name] for name in _PLAIN},
        stand=Stand(State(row.state), State(row.resumes_to) if row.state == State.PAUSED else None),
        segment=Segment.from_json(row.segment),
        topic_ref=row.topic_ref,
        topic_name=row.topic_name,
        topic_closed=row.topic_closed is not None,
        author_disabled=row.author_disabled is not None,
        author_contact=row.author_contact,
        author_box=row.author_box,
    )


def find_campaign(connection: Connection, ref: bytes) -> Campaign | None:
    """The campaign of this ref."""
    row = connection.execute(_query().where(campaign.c.ref == ref)).one_or_none()
    return None if row is None else _campaign(row)


def lock_campaign(connection: Connection, ref: bytes) -> Campaign | None:
    """The same, its row locked until the transaction ends: whoever decides about its mails waits, or has decided."""
    connection.execute(select(campaign.c.id).where(campaign.c.ref == ref).with_for_update()).one_or_none()
    return find_campaign(connection, ref)


def list_campaigns(
    connection: Connection, states: Sequence[str], *, before: bytes | None = None, limit: int = 50
) -> list[Campaign]:
    """Newest first, older than the campaign `before` (its ref); all states when none are named."""
    query = _query().order_by(campaign.c.id.desc()).limit(limit)
    if states:
        query = query.where(campaign.c.state.in_(states))
    if before is not None:
        older = select(campaign.c.id).where(campaign.c.ref == before).scalar_subquery()
        query = query.where(campaign.c.id < older)
    return [_campaign(row) for row in connection.execute(query)]


def count_by_state(connection: Connection) -> dict[str, int]:
    """How many campaigns stand in each state."""
    query = select(campaign.c.state, func.count().label("n")).group_by(campaign.c.state)
    return {row.state: row.n for row in connection.execute(query)}


def insert_campaign(connection: Connection, now: int, values: Mapping[str, Any]) -> bytes:
    """A new draft. Returns its ref."""
    ref = secrets.token_bytes(16)
    connection.execute(insert(campaign).values(ref=ref, created=now, updated=now, **values))
    return ref


def update_campaign(connection: Connection, now: int, campaign_id: int, **values: Any) -> None:
    """Change a campaign whose row the caller holds."""
    connection.execute(update(campaign).where(campaign.c.id == campaign_id).values(updated=now, **values))


def move_campaign(connection: Connection, now: int, campaign_id: int, stand: Stand, **values: Any) -> None:
    """Put a campaign whose row the caller holds into another state."""
    update_campaign(connection, now, campaign_id, state=stand.state.value, resumes_to=stand.resumes_to, **values)


@dataclass(frozen=True)
class Promise:
    """A topic's current text in one locale: what its people were last promised. `cap_window` in seconds."""

    locale: str
    version: int
    title: str
    gets: str
    kinds: tuple[str, ...]
    cap_n: int
    cap_window: int
    ratio_k: int
    sender_name: str


def current_texts(connection: Connection, topics: Sequence[int]) -> dict[int, list[Promise]]:
    """The newest text of each topic in each locale, in one statement."""
    newest = (
        select(consent_text.c.topic, consent_text.c.locale, func.max(consent_text.c.version).label("version"))
        .where(consent_text.c.topic.in_(topics))
        .group_by(consent_text.c.topic, consent_text.c.locale)
        .subquery()
    )
    query = (
        select(consent_text)
        .join(
            newest,
            (consent_text.c.topic == newest.c.topic)
            & (consent_text.c.locale == newest.c.locale)
            & (consent_text.c.version == newest.c.version),
        )
        .order_by(consent_text.c.topic, consent_text.c.locale)
    )
    found: dict[int, list[Promise]] = {one: [] for one in topics}
    for row in connection.execute(query):
        found[row.topic].append(
            Promise(
                row.locale,
                row.version,
                row.title,
                row.gets,
                tuple(row.kinds.split(",")),
                row.cap_n,
                row.cap_window,
                row.ratio_k,
                row.sender_name,
            )
        )
    return found


def freeze_content(connection: Connection, now: int, one: Campaign, *, prepared: str, sha256: bytes) -> int:
    """Keep these words as a version of their own, unless the newest is exactly this already. Returns its id."""
    query = (
        select(content.c.id, content.c.version, content.c.sha256)
        .where(content.c.campaign == one.id)
        .order_by(content.c.version.desc())
        .limit(1)
    )
    newest = connection.execute(query).one_or_none()
    if newest is not None and newest.sha256 == sha256:
        return int(newest.id)
    values = {
        "ref": secrets.token_bytes(16),
        "campaign": one.id,
        "version": newest.version + 1 if newest else 1,
        "subject": one.subject,
        "preheader": one.preheader,
        "body": one.body,
        "prepared": prepared,
        "sha256": sha256,
        "frozen": now,
    }
    return int(connection.execute(insert(content).values(values).returning(content.c.id)).scalar_one())


def prepared_content(connection: Connection, content_id: int) -> str | None:
    """The JSON of a frozen version's `mail.content.Prepared`."""
    return connection.execute(select(content.c.prepared).where(content.c.id == content_id)).scalar_one_or_none()


def campaigns_to_sweep(connection: Connection) -> list[int]:
    """Cancelled campaigns that may still have mails on their way."""
    query = select(campaign.c.id).where(campaign.c.state == State.CANCELLED, campaign.c.finished.is_(None))
    return list(connection.execute(query.order_by(campaign.c.id)).scalars())
