"""Topics and their consent texts: what people can agree to. An officer publishes; a published text never changes."""

import hashlib
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, Integer, case, cast, func, insert, select, update
from sqlalchemy.engine import Row
from sqlalchemy.exc import IntegrityError

from outreach.domain.actors import Actor, Role
from outreach.domain.campaign import Kind
from outreach.domain.consent import LIVE
from outreach.domain.errors import ConflictError, InvalidInputError, NotFoundError
from outreach.services.context import Context
from outreach.services.public_text import Promise
from outreach.store.audit import Entry, record
from outreach.store.schema.consents import consent, consent_text, topic
from outreach.store.schema.organisation import sender
from outreach.translations import LOCALES

DAY = 86_400
_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class NewTopic:
    """What an officer decides about a topic. `retention_days`: how long evidence is kept after consent ends;
    `expires_days`: consent lapses after so many, None: it does not; `not_for_children`: the officer's statement.
    """

    slug: str
    sender: bytes
    name: str
    purpose: str
    retention_days: int
    expires_days: int | None
    not_for_children: bool


@dataclass(frozen=True, kw_only=True)
class NewText:
    """A consent text with its promise: at most `cap_n` mails in any `cap_window` seconds, of `kinds`, with `ratio_k`
    informational ones for each promotional (0: no promise).
    """

    locale: str
    title: str
    gets: str
    wording: str
    kinds: tuple[str, ...]
    cap_n: int
    cap_window: int
    ratio_k: int


@dataclass(frozen=True, kw_only=True)
class TopicLine:
    """A topic in the list. `texts`: the newest version by locale; `agreed`: people whose consent lives."""

    id: int
    ref: bytes
    slug: str
    name: str
    purpose: str
    sender_name: str
    retention_days: int
    expires_days: int | None
    created: int
    closed: int | None
    texts: dict[str, int]
    agreed: int


@dataclass(frozen=True, kw_only=True)
class TextVersion(NewText):
    """A published version, and how many people's living consent is to exactly this one."""

    ref: bytes
    version: int
    sender_name: str
    published: int
    agreed: int
    is_current: bool


@dataclass(frozen=True, kw_only=True)
class TopicPage:
    """A topic with every version of its texts, newest first."""

    topic: TopicLine
    texts: tuple[TextVersion, ...]


def list_topics(ctx: Context, actor: Actor) -> list[TopicLine]:
    """Every topic by name, closed ones last. For any member of staff."""
    actor.must_be(*Role)
    with ctx.db.reading() as conn:
        return _lines(conn)


def see_topic(ctx: Context, actor: Actor, ref: bytes) -> TopicPage:
    """One topic and its texts. Raises NotFoundError."""
    actor.must_be(*Role)
    with ctx.db.reading() as conn:
        lines = _lines(conn, ref)
        if not lines:
            raise NotFoundError("There is no such topic.")
        return TopicPage(topic=lines[0], texts=tuple(_texts(conn, lines[0].id)))


def create_topic(ctx: Context, actor: Actor, new: NewTopic) -> bytes:
    """A topic nobody can sign up for until its first text is published. Returns its ref. Raises InvalidInputError."""
    actor.must_be(Role.OFFICER)
    _check_topic(new)
    ref = secrets.token_bytes(16)
    with _unique("There is a topic with this address already.", "slug"), ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        query = select(sender.c.id).where(sender.c.ref == new.sender, sender.c.closed.is_(None))
        owner = conn.execute(query).scalar_one_or_none()
        if owner is None:
            raise InvalidInputError("Choose the sender that owns this topic.", "sender")
        values = {
            "slug": new.slug,
            "name": new.name,
            "purpose": new.purpose,
            "retention_days": new.retention_days,
            "expires_days": new.expires_days,
        }
        conn.execute(insert(topic).values(ref=ref, sender=owner, created=now, **values))
        body = {**values, "sender": new.sender.hex(), "not_for_children": True}
        record(conn, now, Entry(kind="topic.created", actor=actor.name, topic=ref, body=body))
    return ref


def preview_text(ctx: Context, actor: Actor, ref: bytes, new: NewText) -> Promise:
    """The text as a recipient would read it, with the version it would get. Writes nothing."""
    actor.must_be(Role.OFFICER)
    check_text(new)
    with ctx.db.reading() as conn:
        owner = _open_topic(conn, ref)
        return Promise(
            topic=owner.id,
            ref=ref,
            slug=owner.slug,
            text=0,
            text_ref=b"",
            version=_next_version(conn, owner.id, new.locale),
            sender_name=owner.sender_name,
            **vars(new),
        )


def publish_text(ctx: Context, actor: Actor, ref: bytes, new: NewText) -> int:
    """Publish the next version of a text. Who agreed to an earlier one keeps it. Returns the version."""
    actor.must_be(Role.OFFICER)
    check_text(new)
    with _unique("Somebody published a text this moment. Look at it first.", "wording"), ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        owner = _open_topic(conn, ref)
        version = _next_version(conn, owner.id, new.locale)
        digest = hashlib.sha256(new.wording.encode()).digest()
        text_ref = secrets.token_bytes(16)
        values = {**vars(new), "kinds": ",".join(new.kinds), "version": version, "sender_name": owner.sender_name}
        conn.execute(
            insert(consent_text).values(
                ref=text_ref,
                topic=owner.id,
                sha256=digest,
                published_by=actor.staff_id,
                published=now,
                **values,
            )
        )
        promise = {name: values[name] for name in ("locale", "version", "kinds", "cap_n", "cap_window", "ratio_k")}
        body = {**promise, "text": text_ref.hex(), "sha256": digest.hex()}
        record(conn, now, Entry(kind="topic.text-published", actor=actor.name, topic=ref, body=body))
    return version


def close_topic(ctx: Context, actor: Actor, ref: bytes, reason: str) -> None:
    """Take no more sign-ups. Consents, texts and evidence stay as they are. Raises ConflictError when closed."""
    actor.must_be(Role.OFFICER)
    if not reason.strip():
        raise InvalidInputError("Say why the topic closes; the log keeps the reason.", "reason")
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        owner = _open_topic(conn, ref)
        conn.execute(update(topic).where(topic.c.id == owner.id).values(closed=now))
        body = {"reason": reason.strip()}
        record(conn, now, Entry(kind="topic.closed", actor=actor.name, topic=ref, body=body))


def check_text(new: NewText) -> None:
    """Raise InvalidInputError naming the field that keeps a text from being published."""
    if new.locale not in LOCALES:
        raise InvalidInputError("Choose one of the languages we speak.", "locale")
    lengths = {"title": (2, 80), "gets": (3, 200), "wording": (20, 2000)}
    for field, (least, most) in lengths.items():
        if not least <= len(getattr(new, field).strip()) <= most:
            raise InvalidInputError(f"Write {least} to {most} characters.", field)
    if not new.kinds or set(new.kinds) - set(Kind) or len(set(new.kinds)) != len(new.kinds):
        raise InvalidInputError("Choose at least one kind of mail.", "kinds")
    if not 1 <= new.cap_n <= 100:
        raise InvalidInputError("Promise at most 1 to 100 mails.", "cap_n")
    if not DAY <= new.cap_window <= 366 * DAY or new.cap_window % DAY:
        raise InvalidInputError("A window is 1 to 366 whole days.", "cap_window")
    if not 0 <= new.ratio_k <= 100:
        raise InvalidInputError("Promise 0 to 100 useful mails for each offer.", "ratio_k")
    if new.ratio_k and Kind.PROMOTIONAL not in new.kinds:
        raise InvalidInputError("Without promotional mail there is no ratio to promise: put 0.", "ratio_k")


def _check_topic(new: NewTopic) -> None:
    if not new.not_for_children:
        raise InvalidInputError("Topics aimed at children are refused. Nothing was created.", "not_for_children")
    if not _SLUG.fullmatch(new.slug) or not 2 <= len(new.slug) <= 60:
        raise InvalidInputError("Use small letters, digits and single hyphens, such as garden-tips.", "slug")
    for field, most in (("name", 80), ("purpose", 300)):
        if not 2 <= len(getattr(new, field).strip()) <= most:
            raise InvalidInputError(f"Write 2 to {most} characters.", field)
    if not 1 <= new.retention_days <= 3660:
        raise InvalidInputError("Keep evidence for 1 to 3,660 days after consent ends.", "retention_days")
    if new.expires_days is not None and not 1 <= new.expires_days <= 3660:
        raise InvalidInputError("Consent lapses after 1 to 3,660 days, or leave this empty.", "expires_days")


@contextmanager
def _unique(words: str, field: str) -> Iterator[None]:
    try:
        yield
    except IntegrityError:
        raise InvalidInputError(words, field) from None


def _open_topic(conn: Connection, ref: bytes) -> Row[int, str, int | None, str]:
    query = (
        select(topic.c.id, topic.c.slug, topic.c.closed, sender.c.name.label("sender_name"))
        .join(sender, sender.c.id == topic.c.sender)
        .where(topic.c.ref == ref)
    )
    row = conn.execute(query).one_or_none()
    if row is None:
        raise NotFoundError("There is no such topic.")
    if row.closed is not None:
        raise ConflictError("This topic is closed. Nothing was changed.")
    return row


def _next_version(conn: Connection, topic_id: int, locale: str) -> int:
    query = select(func.coalesce(func.max(consent_text.c.version), 0) + 1)
    same = (consent_text.c.topic == topic_id) & (consent_text.c.locale == locale)
    return int(conn.execute(query.where(same)).scalar_one())


def _lines(conn: Connection, ref: bytes | None = None) -> list[TopicLine]:
    query = (
        select(topic, sender.c.name.label("sender_name"))
        .join(sender, sender.c.id == topic.c.sender)
        .order_by(topic.c.closed.is_not(None), topic.c.name, topic.c.id)
    )
    rows = conn.execute(query if ref is None else query.where(topic.c.ref == ref)).all()
    newest = select(consent_text.c.topic, consent_text.c.locale, func.max(consent_text.c.version).label("version"))
    texts: dict[int, dict[str, int]] = {}
    for text in conn.execute(newest.group_by(consent_text.c.topic, consent_text.c.locale)):
        texts.setdefault(text.topic, {})[text.locale] = text.version
    living = cast(func.sum(case((consent.c.state.in_(list(LIVE)), 1), else_=0)), Integer).label("living")
    counted = select(consent.c.topic, living).group_by(consent.c.topic)
    agreed = {row.topic: row.living for row in conn.execute(counted)}
    return [
        TopicLine(
            id=row.id,
            ref=row.ref,
            slug=row.slug,
            name=row.name,
            purpose=row.purpose,
            sender_name=row.sender_name,
            retention_days=row.retention_days,
            expires_days=row.expires_days,
            created=row.created,
            closed=row.closed,
            texts=texts.get(row.id, {}),
            agreed=agreed.get(row.id, 0),
        )
        for row in rows
    ]


def _texts(conn: Connection, topic_id: int) -> list[TextVersion]:
    counted = (
        select(consent.c.text, func.count().label("agreed"))
        .where(consent.c.topic == topic_id, consent.c.state.in_(list(LIVE)))
        .group_by(consent.c.text)
        .subquery()
    )
    query = (
        select(consent_text, func.coalesce(counted.c.agreed, 0).label("agreed"))
        .outerjoin(counted, counted.c.text == consent_text.c.id)
        .where(consent_text.c.topic == topic_id)
        .order_by(consent_text.c.locale, consent_text.c.version.desc())
    )
    seen: set[str] = set()
    versions = []
    for row in conn.execute(query):
        versions.append(
            TextVersion(
                ref=row.ref,
                locale=row.locale,
                version=row.version,
                title=row.title,
                gets=row.gets,
                wording=row.wording,
                kinds=tuple(row.kinds.split(",")),
                cap_n=row.cap_n,
                cap_window=row.cap_window,
                ratio_k=row.ratio_k,
                sender_name=row.sender_name,
                published=row.published,
                agreed=row.agreed,
                is_current=row.locale not in seen,
            )
        )
        seen.add(row.locale)
    return versions
