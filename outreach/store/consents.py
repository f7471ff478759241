"""Consent rows, their append-only events and the texts people agreed to: set-wise SQL, no rule of its own."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Connection, Pool, Select, Update, bindparam, func, select, text, update
from sqlalchemy.engine import Row

from outreach.domain.consent import GIVING
from outreach.domain.policies import Name, Value, caps_of
from outreach.store import policies
from outreach.store.bulk import among, bound, insert_rows, prepared
from outreach.store.database import is_looking
from outreach.store.schema.consents import consent, consent_event, consent_text, topic
from outreach.store.schema.people import contact, mailbox


@dataclass(frozen=True)
class Held:
    """A consent row as it stands. Instants in UTC microseconds. `soft_from`: of a purchase it stands on."""

    contact: int
    topic: int
    state: str
    since: int
    text: int | None
    paused_until: int | None
    own: tuple[int, int] | None
    soft_from: int | None = None


def lock_contacts(conn: Connection, contacts: Iterable[int]) -> dict[int, bytes]:
    """Lock the contacts' rows in id order, as the pipeline does, and return their refs by id.

    Whoever changes a consent and whoever decides about a mail to the same person thus take turns.
    """
    return {row.id: row.ref for row in conn.execute(_locked(conn), {"ids": bound(conn, set(contacts))})}


@prepared
def _locked(conn: Connection) -> Select[tuple[int, bytes]]:
    query = select(contact.c.id, contact.c.ref).where(text(among(conn, "contact.id")))
    return query.order_by(contact.c.id).with_for_update(key_share=True)


def spellings(conn: Connection, contacts: Collection[int]) -> list[int]:
    """All who share a mailbox with any of these, themselves among them."""
    return list(conn.execute(_spellings(conn), {"ids": bound(conn, contacts)}).scalars())


@prepared
def _spellings(conn: Connection) -> Select[Any]:
    named = contact.alias("named")
    of_them = select(named.c.mailbox).where(text(among(conn, "named.id")))
    return select(contact.c.id).where(contact.c.mailbox.in_(of_them))


def held(conn: Connection, contacts: Collection[int], topics: Collection[int] | None = None) -> list[Held]:
    """The consent rows of these contacts, of all topics or of the given ones."""
    values = {"ids": bound(conn, contacts)}
    query = _held(conn) if topics is None else _held_of(conn)
    if topics is not None:
        values["topics"] = bound(conn, topics)
    return [
        Held(
            contact=row.contact,
            topic=row.topic,
            state=row.state,
            since=row.since,
            text=row.text,
            paused_until=row.paused_until,
            own=None if row.own_n is None else (row.own_n, row.own_window),
            soft_from=row.soft_from,
        )
        for row in conn.execute(query, values)
    ]


@prepared
def _held(conn: Connection) -> Select[Any]:
    columns = (
        consent.c.contact,
        consent.c.topic,
        consent.c.state,
        consent.c.since,
        consent.c.text,
        consent.c.paused_until,
        consent.c.own_n,
        consent.c.own_window,
        consent.c.soft_from,
    )
    query = select(*columns).where(text(among(conn, "consent.contact")))
    return query.order_by(consent.c.contact, consent.c.topic)


@prepared
def _held_of(conn: Connection) -> Select[Any]:
    return _held(conn).where(text(among(conn, "consent.topic", "topics")))


def write(conn: Connection, fresh: Sequence[Mapping[str, Any]], changed: Sequence[Mapping[str, Any]]) -> None:
    """Insert new rows, update known ones. Each mapping has `contact`, `topic` and the same further columns."""
    for rows in _by_shape(fresh):
        insert_rows(conn, consent, list(rows[0]), [tuple(row.values()) for row in rows])
    for (topic_id, values), contacts in _by_values(changed).items():
        query = _changed(tuple(name for name, _ in values), among(conn, "consent.contact"))
        conn.execute(query, {**dict(values), "ids": bound(conn, contacts), "of_topic": topic_id})


@lru_cache(maxsize=64)
def _changed(names: tuple[str, ...], of_them: str) -> Update:
    query = update(consent).where(text(of_them), consent.c.topic == bindparam("of_topic"))
    return query.values({name: bindparam(name) for name in names})


def _by_shape(rows: Iterable[Mapping[str, Any]]) -> list[list[dict[str, Any]]]:
    """Rows with the same columns in the same order together: one statement each."""
    shapes: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        shapes.setdefault(tuple(row), []).append(dict(row))
    return list(shapes.values())


def _by_values(rows: Iterable[Mapping[str, Any]]) -> dict[tuple[int, tuple[tuple[str, Any], ...]], list[int]]:
    """The contacts of whom the same becomes the same, by topic and what it becomes: one statement each."""
    alike: dict[tuple[int, tuple[tuple[str, Any], ...]], list[int]] = {}
    for row in rows:
        values = tuple((name, value) for name, value in row.items() if name not in {"contact", "topic"})
        alike.setdefault((row["topic"], values), []).append(row["contact"])
    return alike


def add_events(conn: Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    """Append consent events; each has the same columns in the same order."""
    if rows:
        insert_rows(conn, consent_event, list(rows[0]), [tuple(row.values()) for row in rows])


def last_event(conn: Connection, contact_id: int, topic_id: int) -> Row[Any] | None:
    """The latest consent event of one person and topic."""
    return conn.execute(
        select(consent_event)
        .where(consent_event.c.contact == contact_id, consent_event.c.topic == topic_id)
        .order_by(consent_event.c.id.desc())
        .limit(1)
    ).one_or_none()


def agreement(conn: Connection, contact_id: int, topic_id: int, *, before: int) -> Row[Any] | None:
    """The event by which this person had agreed to this topic at `before`."""
    values = {"of_contact": contact_id, "of_topic": topic_id, "upto": before}
    return conn.execute(_AGREEMENT, values).one_or_none()


_AGREEMENT = (
    select(consent_event)
    .where(
        consent_event.c.contact == bindparam("of_contact"),
        consent_event.c.topic == bindparam("of_topic"),
        consent_event.c.event.in_(GIVING),
        consent_event.c.at <= bindparam("upto"),
    )
    .order_by(consent_event.c.id.desc())
    .limit(1)
)


def events_of_act(conn: Connection, contacts: Collection[int], message_ref: bytes, at: int) -> list[Row[Any]]:
    """The events of these contacts that one press of a link in one mail made, at exactly `at`."""
    return list(
        conn.execute(
            select(consent_event)
            .where(
                consent_event.c.contact.in_(list(contacts)),
                consent_event.c.message_ref == message_ref,
                consent_event.c.at == at,
            )
            .order_by(consent_event.c.id)
        )
    )


_TEXTS: WeakKeyDictionary[Pool, dict[int, Row[Any]]] = WeakKeyDictionary()
"""Those already read, by the pool of connections to the store they are in: a text never changes."""


def texts(conn: Connection, ids: Iterable[int]) -> dict[int, Row[Any]]:
    """Consent texts by id. What was committed is asked for once."""
    known, wanted = _TEXTS.setdefault(conn.engine.pool, {}), set(ids)
    if missing := sorted(wanted - known.keys()):
        rows = conn.execute(select(consent_text).where(consent_text.c.id.in_(missing)))
        read = {row.id: row for row in rows}
        if not is_looking(conn):  # a text written by this very transaction may yet be taken back
            return {one: known[one] for one in wanted & known.keys()} | read
        known.update(read)
    return {one: known[one] for one in sorted(wanted) if one in known}


def topics(conn: Connection, ids: Iterable[int]) -> dict[int, Row[Any]]:
    """Topics by id."""
    return {row.id: row for row in conn.execute(_TOPICS, {"ids": sorted(set(ids))})}


_TOPICS = select(topic).where(topic.c.id.in_(bindparam("ids", expanding=True)))


def open_topics(conn: Connection, refs: Collection[bytes] | None = None) -> list[Row[Any]]:
    """Topics people may sign up for: open, with at least one published text. By name."""
    query = select(topic).where(topic.c.closed.is_(None), topic.c.id.in_(select(consent_text.c.topic).distinct()))
    if refs is not None:
        query = query.where(topic.c.ref.in_(list(refs)))
    return list(conn.execute(query.order_by(topic.c.name, topic.c.id)))


def topic_by_slug(conn: Connection, slug: str) -> Row[Any] | None:
    """A topic, open or closed."""
    return conn.execute(select(topic).where(topic.c.slug == slug)).one_or_none()


def all_texts(conn: Connection, topic_ids: Collection[int]) -> dict[int, list[Row[Any]]]:
    """Every text ever published of these topics, by topic, newest first."""
    found: dict[int, list[Row[Any]]] = {topic_id: [] for topic_id in topic_ids}
    query = select(consent_text).where(consent_text.c.topic.in_(list(topic_ids)))
    for row in conn.execute(query.order_by(consent_text.c.id.desc())):
        found[row.topic].append(row)
    return found


def current_texts(conn: Connection, topic_ids: Collection[int], locales: Sequence[str]) -> dict[int, Row[Any]]:
    """The newest text of each topic in the first of `locales` that has one; failing all, in any."""
    newest = (
        select(consent_text.c.topic, consent_text.c.locale, func.max(consent_text.c.version).label("version"))
        .where(consent_text.c.topic.in_(list(topic_ids)))
        .group_by(consent_text.c.topic, consent_text.c.locale)
        .subquery()
    )
    rows = conn.execute(
        select(consent_text)
        .join(
            newest,
            (consent_text.c.topic == newest.c.topic)
            & (consent_text.c.locale == newest.c.locale)
            & (consent_text.c.version == newest.c.version),
        )
        .order_by(consent_text.c.topic, consent_text.c.locale)
    )
    rank = {locale: place for place, locale in reversed(list(enumerate(locales)))}
    best: dict[int, Row[Any]] = {}
    for row in rows:
        known = best.get(row.topic)
        if known is None or rank.get(row.locale, len(rank)) < rank.get(known.locale, len(rank)):
            best[row.topic] = row
    return best


def total_ceiling(conn: Connection, now: int) -> tuple[int, int]:
    """(n, seconds): the total ceiling now printed at sign-up, the tightest where there are several."""
    return tightest(policies.value_at(conn, Name.CAP_TOTAL, now))


def tightest(ceiling: Value) -> tuple[int, int]:
    """(n, seconds) of the tightest cap that a policy over everything sets."""
    cap = min(caps_of(ceiling), key=lambda one: one.n / one.window)
    return cap.n, cap.window


def set_ceiling(conn: Connection, contacts: Collection[int], ceiling: tuple[int, int]) -> None:
    """Hold these people to the ceiling they were shown."""
    conn.execute(_ceiling(conn), {"ids": bound(conn, contacts), "most": ceiling[0], "window": ceiling[1]})


@prepared
def _ceiling(conn: Connection) -> Update:
    query = update(contact).where(text(among(conn, "contact.id")))
    return query.values(ceiling_n=bindparam("most"), ceiling_window=bindparam("window"))


def bar_keys(conn: Connection, contact_id: int) -> tuple[bytes, bytes]:
    """(address key, mailbox key): under which a person may be barred."""
    row = conn.execute(
        select(contact.c.address_key, mailbox.c.mailbox_key)
        .join(mailbox, mailbox.c.id == contact.c.mailbox)
        .where(contact.c.id == contact_id)
    ).one()
    return row.address_key, row.mailbox_key
