"""The audience as marketers may know it: topics with their promise and how many agreed, and people by reference.

Only people who get mail are listed, addresses masked. Of everybody else there are numbers, small ones as "fewer than 5"
(promise 9), so that no page tells who stopped.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, select

from outreach.domain import addresses
from outreach.domain.actors import Actor, Role
from outreach.domain.campaign import Figure, for_marketers
from outreach.domain.consent import State
from outreach.domain.errors import NotFoundError
from outreach.services.campaign_pages import page_ref
from outreach.services.context import Context
from outreach.store.boxes import ContactKeys
from outreach.store.campaigns import Promise, current_texts
from outreach.store.schema.consents import consent, topic
from outreach.store.schema.people import contact

PAGE = 50
_LISTED = (contact.c.id, contact.c.ref, contact.c.code, contact.c.address_box, contact.c.locale, consent.c.since)
_ASKED = frozenset({State.WITHDRAWN.value})
_OWN_CHOICE = frozenset({State.PAUSED.value})


@dataclass(frozen=True, kw_only=True)
class TopicAudience:
    """A topic and its people. `ref`: hexadecimal; `granted`: how many get its mail; `others`: the rest, as shown."""

    ref: str
    slug: str
    name: str
    purpose: str
    is_closed: bool
    granted: int
    others: tuple[Figure, ...]
    promises: tuple[Promise, ...]


@dataclass(frozen=True)
class ContactLine:
    """A person who agreed. `code`: the contact reference; `address`: masked, for marketers alone; `since`: instant."""

    code: str
    address: str
    locale: str
    since: int


@dataclass(frozen=True)
class ContactList:
    """A page of a topic's people; `further`: where the next page begins, or ""."""

    topic: str
    lines: tuple[ContactLine, ...]
    further: str


def see_audience(ctx: Context, actor: Actor) -> tuple[TopicAudience, ...]:
    """Every topic, open ones first, with the numbers a marketer may know."""
    actor.must_be(Role.MARKETER, Role.OFFICER)
    with ctx.db.reading() as conn:
        found = conn.execute(select(topic).order_by(topic.c.closed.is_not(None), topic.c.name)).all()
        texts = current_texts(conn, [row.id for row in found])
        counted = select(consent.c.topic, consent.c.state, func.count().label("people"))
        counts: dict[int, dict[str, int]] = {row.id: {} for row in found}
        for row in conn.execute(counted.group_by(consent.c.topic, consent.c.state)):
            counts[row.topic][row.state] = row.people
    return tuple(
        TopicAudience(
            ref=row.ref.hex(),
            slug=row.slug,
            name=row.name,
            purpose=row.purpose,
            is_closed=row.closed is not None,
            granted=counts[row.id].get(State.GRANTED, 0),
            others=_others(counts[row.id]),
            promises=tuple(texts[row.id]),
        )
        for row in found
    )


def see_contacts(ctx: Context, actor: Actor, topic_ref: bytes, further: str = "") -> ContactList:
    """A page of those who agreed to a topic, oldest contact first. Raises NotFoundError."""
    actor.must_be(Role.MARKETER, Role.OFFICER)
    with ctx.db.reading() as conn:
        one = conn.execute(select(topic.c.id, topic.c.name).where(topic.c.ref == topic_ref)).one_or_none()
        if one is None:
            raise NotFoundError("There is no such topic.")
        query = (
            select(
                contact.c.id, contact.c.ref, contact.c.code, contact.c.address_box, contact.c.locale, consent.c.since
            )
            .join(consent, consent.c.contact == contact.c.id)
            .where(consent.c.topic == one.id, consent.c.state == State.GRANTED)
            .order_by(consent.c.contact)
            .limit(PAGE + 1)
        )
        if further:
            start = select(contact.c.id).where(contact.c.ref == page_ref(further)).scalar_subquery()
            query = query.where(consent.c.contact > start)
        found = conn.execute(query).all()
        masks = _masks(conn, ctx, found) if Role.MARKETER in actor.roles else {}
        lines = tuple(ContactLine(row.code, masks.get(row.id, ""), row.locale, row.since) for row in found[:PAGE])
    return ContactList(one.name, lines, found[PAGE - 1].ref.hex() if len(found) > PAGE else "")


def _masks(conn: Connection, ctx: Context, rows: Sequence[Any]) -> dict[int, str]:
    """Masked addresses, which a marketer is shown; an officer reads one contact at a time, by a press the log keeps."""
    keys = ContactKeys(ctx.keyring, conn)
    keys.load(row.id for row in rows)
    return {row.id: addresses.mask(keys.text(row.id, row.address_box) or "") for row in rows}


def _others(counts: dict[str, int]) -> tuple[Figure, ...]:
    beside = {state: count for state, count in counts.items() if state not in {State.GRANTED, State.NONE}}
    return for_marketers(beside, asked=_ASKED, own=_OWN_CHOICE).rows
