"""Public answers: nobody's words, no address, small numbers small, and nothing public before somebody looked again."""

import json
from typing import Any

import pytest
from sqlalchemy import select

from outreach.domain.actors import Actor
from outreach.domain.errors import ConflictError, InvalidInputError, NotAllowedError, NotFoundError
from outreach.services.context import Context
from outreach.services.conversations import answering, handling, public_answers
from outreach.services.conversations.public_answers import NewAnswer
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.consents import topic
from tests.factories import World
from tests.services.conversations.writing import opened, rows, worker, writes
from tests.services.people import move_clock

WORDS = {"title": "Fewer mails", "said": "Many found it too much.\n\nSome left.", "done": "We send half as many."}


@pytest.fixture
def robin(world: World) -> Actor:
    return worker(world)


@pytest.fixture
def garden(world: World) -> bytes:
    made, _ = world.topic()
    return bytes(rows(world.ctx, topic.c.ref, id=made)[0].ref)


def answer_to(garden: bytes, **more: Any) -> NewAnswer:
    return NewAnswer(**{"topic": garden, "locale": "en", "since": "2020-01-01", **WORDS, **more})


def test_it_is_a_draft_until_somebody_looked_and_then_tells_its_counts(
    ctx: Context, world: World, robin: Actor, garden: bytes
) -> None:
    (topic_id,) = (row.id for row in rows(ctx, topic.c.id, ref=garden))
    critics = [writes(ctx, world.person(), "Too many!", garden) for _ in range(6)]
    for ref in critics:
        handling.set_mark(ctx, robin, ref, "critical")
    for ref in critics[:2]:
        answering.answer(ctx, robin, ref, "You are right.", seen=opened(ctx, robin, ref).seen)
    handling.close(ctx, robin, critics[2], "closing is no answer")
    ref = public_answers.write_answer(ctx, robin, answer_to(garden))
    assert public_answers.see_answer(ctx, robin, ref).warnings == ()
    assert public_answers.see_answers(ctx, garden, "en").answers == ()
    with pytest.raises(InvalidInputError) as caught:
        public_answers.publish_answer(ctx, robin, ref, was_read=False)
    assert caught.value.field == "was_read"
    public_answers.publish_answer(ctx, robin, ref, was_read=True)
    page = public_answers.see_answers(ctx, garden, "en")
    assert page.topic == "Garden tips"
    (shown,) = page.answers
    assert (shown.title, shown.said, shown.done) == (
        "Fewer mails",
        ("Many found it too much.", "Some left."),
        ("We send half as many.",),
    )
    assert (shown.critical.exactly, shown.unanswered.exactly) == (6, None)
    with ctx.db.reading() as conn:
        assert public_answers.answered_topics(conn, [topic_id, 99]) == {topic_id}
    for critic in critics:
        handling.set_mark(ctx, robin, critic, "")
    assert public_answers.see_answer(ctx, robin, ref).critical.exactly == 6, "as it was when it was published"


def test_what_was_published_stands_until_it_is_taken_back_and_the_log_has_both(
    ctx: Context, robin: Actor, garden: bytes
) -> None:
    ref = public_answers.write_answer(ctx, robin, answer_to(garden))
    public_answers.edit_answer(ctx, robin, ref, answer_to(garden, title="Half as many"))
    public_answers.publish_answer(ctx, robin, ref, was_read=True)
    with pytest.raises(ConflictError):
        public_answers.edit_answer(ctx, robin, ref, answer_to(garden))
    with pytest.raises(ConflictError):
        public_answers.publish_answer(ctx, robin, ref, was_read=True)
    public_answers.withdraw_answer(ctx, robin, ref, "the numbers were of another topic")
    assert public_answers.see_answers(ctx, garden, "sv").answers == ()
    with pytest.raises(ConflictError):
        public_answers.withdraw_answer(ctx, robin, ref, "the numbers were of another topic")
    (line,) = public_answers.list_answers(ctx, robin)
    assert (line.title, line.stands, line.is_draft) == ("Half as many", False, False)
    with ctx.db.reading() as conn:
        query = select(audit_entry.c.kind, audit_entry.c.topic, audit_entry.c.body)
        entries = conn.execute(query.where(audit_entry.c.kind.like("public-answer.%")).order_by(audit_entry.c.id)).all()
    acts = [entry.kind.partition(".")[2] for entry in entries]
    assert acts == ["written", "written", "published", "withdrawn"]
    published = json.loads(entries[2].body)
    assert (entries[2].topic, published["critical"], published["unanswered"]) == (garden, None, None)
    assert "Half as many" not in "".join(entry.body for entry in entries)


WRONG: tuple[tuple[str, Any], ...] = (
    ("topic", b"0" * 16),
    ("locale", "xx"),
    ("title", ""),
    ("title", "x" * 121),
    ("said", "bob@example.org was right"),
    ("done", ""),
    ("since", "yesterday"),
    ("since", "2999-01-01"),
)


def test_what_cannot_be_public_is_refused_at_its_field(ctx: Context, robin: Actor, garden: bytes) -> None:
    for field, typed in WRONG:
        with pytest.raises(InvalidInputError) as caught:
            public_answers.write_answer(ctx, robin, answer_to(garden, **{field: typed}))
        assert caught.value.field == field
    assert public_answers.list_answers(ctx, robin) == ()


def test_words_that_may_point_at_somebody_and_few_writers_are_warned_of(
    ctx: Context, world: World, robin: Actor, garden: bytes
) -> None:
    ref = public_answers.write_answer(ctx, robin, answer_to(garden, said="One wrote “stop”."))
    quoted, few = public_answers.see_answer(ctx, robin, ref).warnings
    assert "quotation marks" in quoted
    assert "Fewer than 5 people" in few
    move_clock(ctx, 60)
    for _ in range(5):
        writes(ctx, world.person(), "stop", garden)
    assert public_answers.see_answer(ctx, robin, ref).warnings == (quoted,)


def test_only_marketers_and_administrators_write_them(ctx: Context, world: World, robin: Actor, garden: bytes) -> None:
    ref = public_answers.write_answer(ctx, robin, answer_to(garden))
    with pytest.raises(NotAllowedError):
        public_answers.publish_answer(ctx, worker(world, "officer"), ref, was_read=True)
    public_answers.publish_answer(ctx, worker(world, "administrator"), ref, was_read=True)
    with pytest.raises(NotFoundError):
        public_answers.see_answer(ctx, robin, b"0" * 16)
    with pytest.raises(NotFoundError):
        public_answers.see_answers(ctx, b"0" * 16, "en")
