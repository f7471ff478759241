"""Public answers, "you said, we did": staff write one about many replies to a topic, and publish it for everybody.

What is published was read by whoever published it, with every warning that it may point at somebody; the counts beside
it are those of that moment, small ones as "fewer than 5" (promise 9).
"""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection, select

from outreach.domain.actors import Actor, Role
from outreach.domain.campaign import FEW, day_begins
from outreach.domain.conversations import LONGEST_TITLE, check_public, may_betray
from outreach.domain.errors import ConflictError, InvalidInputError, NotAllowedError, NotFoundError
from outreach.services.context import Context
from outreach.services.public_text import offered, read_house
from outreach.services.reasons import check_reason
from outreach.store import conversations as replies
from outreach.store import public_answers as store
from outreach.store.audit import Entry, record
from outreach.store.schema.consents import topic
from outreach.translations import LOCALES

LISTED = 200
SHOWN = 20
_FEW_WROTE = "Fewer than 5 people wrote about this topic since then, so what you write may point at one of them."


@dataclass(frozen=True)
class Figure:
    """A number, or None for fewer than five."""

    exactly: int | None


@dataclass(frozen=True, kw_only=True)
class NewAnswer:
    """Staff's words. `topic`: its ref; `since`: a day such as "2026-09-01", from which replies count."""

    topic: bytes
    locale: str
    title: str
    said: str
    done: str
    since: str
    zone: str = "UTC"


@dataclass(frozen=True, kw_only=True)
class AnswerView:
    """A public answer as staff see it. `warnings`: why it may point at somebody; instants in UTC microseconds."""

    ref: bytes
    topic: bytes
    topic_name: str
    locale: str
    title: str
    said: str
    done: str
    since: int
    written: int
    published: int | None
    withdrawn: int | None
    critical: Figure
    unanswered: Figure
    warnings: tuple[str, ...]

    @property
    def is_draft(self) -> bool:
        return self.published is None and self.withdrawn is None

    @property
    def stands(self) -> bool:
        return self.published is not None and self.withdrawn is None


@dataclass(frozen=True, kw_only=True)
class PublishedAnswer:
    """One as anybody reads it."""

    locale: str
    title: str
    said: tuple[str, ...]
    done: tuple[str, ...]
    since: int
    published: int
    critical: Figure
    unanswered: Figure


@dataclass(frozen=True)
class AnswersPage:
    """What a topic's public page shows; `topic`: its name in the reader's language; the latest answer first."""

    topic: str
    answers: tuple[PublishedAnswer, ...]


def answered_topics(conn: Connection, topics: Collection[int]) -> frozenset[int]:
    """Those of these topics (ids) whose page `/answers/<ref>` has something to read: for links to it."""
    return store.answered_topics(conn, topics) if topics else frozenset()


def see_answers(ctx: Context, topic_ref: bytes, locale: str) -> AnswersPage:
    """The public page of a topic, for anybody. Raises NotFoundError for a topic there is not."""
    with ctx.db.reading() as conn:
        name = conn.execute(select(topic.c.name).where(topic.c.ref == topic_ref)).scalar_one_or_none()
        if name is None:
            raise NotFoundError("There is no such topic.")
        promises = offered(conn, read_house(conn), locale, [topic_ref])
        answers = tuple(_published(row) for row in store.standing(conn, topic_ref, SHOWN))
        return AnswersPage(promises[0].title if promises else name, answers)


def list_answers(ctx: Context, actor: Actor) -> tuple[AnswerView, ...]:
    """All there are, the newest first."""
    _must_answer(actor)
    with ctx.db.reading() as conn:
        return tuple(_view(conn, row) for row in store.everything(conn, LISTED))


def see_answer(ctx: Context, actor: Actor, ref: bytes) -> AnswerView:
    """One of them. Raises NotFoundError."""
    _must_answer(actor)
    with ctx.db.reading() as conn:
        return _view(conn, _found(store.by_ref(conn, ref)))


def topics_to_answer(ctx: Context, actor: Actor) -> dict[str, str]:
    """What one can be about: hexadecimal ref → name."""
    _must_answer(actor)
    with ctx.db.reading() as conn:
        return {row.ref.hex(): row.name for row in store.topics(conn)}


def write_answer(ctx: Context, actor: Actor, new: NewAnswer) -> bytes:
    """Keep a draft, which nobody outside sees. Returns its ref. Raises InvalidInputError naming the field."""
    author = _must_answer(actor)
    values = _checked(new)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        found = next((row for row in store.topics(conn) if row.ref == new.topic), None)
        if found is None:
            raise InvalidInputError("Choose the topic people wrote about.", "topic")
        values["since"] = _since(new, now)
        ref = store.add(conn, now, topic=found.id, author=author, **values)
        _record(conn, now, actor, "public-answer.written", found.ref, ref)
    return ref


def edit_answer(ctx: Context, actor: Actor, ref: bytes, new: NewAnswer) -> None:
    """Change a draft; its topic stays. Raises InvalidInputError, NotFoundError, ConflictError once it is published."""
    _must_answer(actor)
    values = _checked(new)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        row = _draft(conn, ref)
        store.change(conn, row.id, **values, since=_since(new, now), written=now)
        _record(conn, now, actor, "public-answer.written", row.topic_ref, ref)


def publish_answer(ctx: Context, actor: Actor, ref: bytes, *, was_read: bool) -> None:
    """Show a draft to everybody, with the counts of this moment. `was_read`: somebody looked that it names nobody.

    Raises InvalidInputError (field "was_read"), NotFoundError, ConflictError.
    """
    _must_answer(actor)
    if not was_read:
        words = "Read it once more and say that nobody can be recognised in it. It is not published yet."
        raise InvalidInputError(words, "was_read")
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        row = _draft(conn, ref)
        _many, critical, unanswered = replies.told(conn, row.topic, row.since)
        store.change(conn, row.id, published=now, critical=critical, unanswered=unanswered)
        counts = {"since": row.since, "critical": _few(critical).exactly, "unanswered": _few(unanswered).exactly}
        _record(conn, now, actor, "public-answer.published", row.topic_ref, ref, **counts)


def withdraw_answer(ctx: Context, actor: Actor, ref: bytes, reason: str) -> None:
    """Take one off its page, or give a draft up. Raises InvalidInputError (field "reason"), NotFoundError,
    ConflictError.
    """
    _must_answer(actor)
    said = check_reason(reason, "why it is taken back", "Nothing was changed.")
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        row = _found(store.by_ref(conn, ref, lock=True))
        if row.withdrawn is not None:
            raise ConflictError("This public answer was taken back already. Nothing was changed.")
        store.change(conn, row.id, withdrawn=now)
        _record(conn, now, actor, "public-answer.withdrawn", row.topic_ref, ref, reason=said)


def _must_answer(actor: Actor) -> int:
    actor.must_be(Role.MARKETER, Role.ADMINISTRATOR)
    if actor.staff_id is None:
        raise NotAllowedError("A public answer needs an author who is signed in.")
    return actor.staff_id


def _checked(new: NewAnswer) -> dict[str, object]:
    if new.locale not in LOCALES:
        raise InvalidInputError("Choose the language you write in.", "locale")
    title = " ".join(check_public(new.title, "title", LONGEST_TITLE).split())
    words = {"said": check_public(new.said, "said"), "done": check_public(new.done, "done")}
    return {"locale": new.locale, "title": title, **words}


def _since(new: NewAnswer, now: int) -> int:
    since = day_begins(new.since, new.zone, "since")
    if since >= now:
        raise InvalidInputError("That day is still to come. Replies count from a day that has begun.", "since")
    return since


def _draft(conn: Connection, ref: bytes) -> store.AnswerRow:
    row = _found(store.by_ref(conn, ref, lock=True))
    if row.published is not None or row.withdrawn is not None:
        words = "This public answer is no draft any more. Nothing was changed; write another, or take this one back."
        raise ConflictError(words)
    return row


def _found(row: store.AnswerRow | None) -> store.AnswerRow:
    if row is None:
        raise NotFoundError("There is no such public answer.")
    return row


def _view(conn: Connection, row: store.AnswerRow) -> AnswerView:
    many, critical, unanswered = replies.told(conn, row.topic, row.since)
    if row.published is not None:
        critical, unanswered = row.critical, row.unanswered
    words = "\n".join((row.title, row.said, row.done))
    warnings = (*may_betray(words), *((_FEW_WROTE,) if many < FEW else ()))
    return AnswerView(
        ref=row.ref,
        topic=row.topic_ref,
        topic_name=row.topic_name,
        locale=row.locale,
        title=row.title,
        said=row.said,
        done=row.done,
        since=row.since,
        written=row.written,
        published=row.published,
        withdrawn=row.withdrawn,
        critical=_few(critical),
        unanswered=_few(unanswered),
        warnings=warnings,
    )


def _published(row: store.AnswerRow) -> PublishedAnswer:
    return PublishedAnswer(
        locale=row.locale,
        title=row.title,
        said=_paragraphs(row.said),
        done=_paragraphs(row.done),
        since=row.since,
        published=row.published,
        critical=_few(row.critical),
        unanswered=_few(row.unanswered),
    )


def _paragraphs(words: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in words.split("\n\n") if part.strip())


def _few(count: int) -> Figure:
    """Nought reads as few do, so that neither its coming nor its going tells of anybody."""
    return Figure(count if count >= FEW else None)


def _record(conn: Connection, now: int, actor: Actor, kind: str, topic_ref: bytes, ref: bytes, **body: object) -> None:
    told = {"public_answer": ref.hex(), **body}
    record(conn, now, Entry(kind=kind, actor=actor.name, topic=topic_ref, body=told))
