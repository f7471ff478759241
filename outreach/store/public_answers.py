"""SQL for public answers: written, published, withdrawn, and which topics have one to show."""

import secrets
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Select, insert, select, update
from sqlalchemy.engine import Row

from outreach.store.schema.consents import topic
from outreach.store.schema.conversations import public_answer

AnswerRow = Row[*tuple[Any, ...]]
"""A public answer beside its topic: `topic_ref`, `topic_name`."""

_STANDS = (public_answer.c.published.is_not(None), public_answer.c.withdrawn.is_(None))


def add(conn: Connection, now: int, **values: Any) -> bytes:
    """A draft. `values`: topic, locale, title, said, done, since, author. Returns its ref."""
    ref = secrets.token_bytes(16)
    conn.execute(insert(public_answer).values(ref=ref, written=now, **values))
    return ref


def change(conn: Connection, identity: int, **values: Any) -> None:
    conn.execute(update(public_answer).where(public_answer.c.id == identity).values(**values))


def by_ref(conn: Connection, ref: bytes, *, lock: bool = False) -> AnswerRow | None:
    """One of them; with `lock` nobody else changes it until the transaction ends."""
    if lock:
        conn.execute(select(public_answer.c.id).where(public_answer.c.ref == ref).with_for_update()).one_or_none()
    return conn.execute(_query().where(public_answer.c.ref == ref)).one_or_none()


def everything(conn: Connection, limit: int) -> Sequence[AnswerRow]:
    """The newest, whatever became of them."""
    return conn.execute(_query().order_by(public_answer.c.id.desc()).limit(limit)).all()


def standing(conn: Connection, topic_ref: bytes, limit: int) -> Sequence[AnswerRow]:
    """Those of a topic that anybody may read, the latest first."""
    query = _query().where(*_STANDS, topic.c.ref == topic_ref)
    return conn.execute(query.order_by(public_answer.c.published.desc(), public_answer.c.id.desc()).limit(limit)).all()


def answered_topics(conn: Connection, topics: Collection[int]) -> frozenset[int]:
    """Those of these topics (ids) that have an answer anybody may read."""
    query = select(public_answer.c.topic).where(*_STANDS, public_answer.c.topic.in_(list(topics))).distinct()
    return frozenset(conn.execute(query).scalars())


def topics(conn: Connection) -> Sequence[Row[*tuple[Any, ...]]]:
    """What an answer can be about: id, ref, name of every topic that is open."""
    query = select(topic.c.id, topic.c.ref, topic.c.name).where(topic.c.closed.is_(None))
    return conn.execute(query.order_by(topic.c.name)).all()


def _query() -> Select[Any]:
    named = select(public_answer, topic.c.ref.label("topic_ref"), topic.c.name.label("topic_name"))
    return named.join(topic, topic.c.id == public_answer.c.topic)
