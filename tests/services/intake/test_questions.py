"""What a complaint does to what its reader was asked and had not answered, and how undoing it asks again."""

from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import Row, select

from outreach.domain.inbound_addresses import Door
from outreach.services.confirm import Client, decline, grant, view_confirmation
from outreach.services.intake.undo import undo_report
from outreach.store.contacts import Person, find_by_id
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import confirmation, topic
from tests.factories import World
from tests.services.intake.sending import Sent, complaint_of
from tests.services.intake.test_intake import BESIDE_US, OFFICER, VOUCHED, WHY
from tests.services.people import asked, topic_ref


@dataclass(frozen=True)
class Question:
    """What somebody was asked, and has not answered."""

    token: str
    slug: str
    row: Row[Any]
    mail: bytes
    person: Person


@pytest.fixture
def sent(world: World) -> Sent:
    return Sent(world)


@pytest.fixture
def question(sent: Sent) -> Question:
    with sent.ctx.db.reading() as conn:
        slug = conn.execute(select(topic.c.slug)).scalar_one()
    token = asked(sent.ctx, "bob@example.org", slug)
    with sent.ctx.db.reading() as conn:
        row = conn.execute(select(confirmation)).one()
        mail = conn.execute(select(message.c.ref).where(message.c.confirmation == row.id)).scalar_one()
        person = find_by_id(conn, row.contact)
    assert person is not None
    return Question(token, slug, row, bytes(mail), person)


def test_a_complaint_answers_open_questions_with_no_and_undoing_it_asks_them_again(
    sent: Sent, question: Question
) -> None:
    assert sent.states(question.person) == ["pending"]
    sent.arrive(sent.address(question.mail, Door.REPORT), complaint_of(question.mail, VOUCHED), BESIDE_US)
    assert sent.states(question.person) == ["none"]
    assert view_confirmation(sent.ctx, question.token).answer == "declined"
    (told,) = sent.entries("confirmation.answered")
    assert (told["answer"], told["report"]) == ("declined", sent.newest().hex())
    assert sent.entries("report.received")[-1]["questions"] == 1
    assert undo_report(sent.ctx, OFFICER, sent.newest(), WHY) == 0
    assert sent.states(question.person) == ["pending"]
    with sent.ctx.db.reading() as conn:
        assert conn.execute(select(confirmation)).one() == question.row
    assert len(sent.entries("confirmation.reopened")) == 1
    assert grant(sent.ctx, question.token, {topic_ref(sent.ctx, question.slug)}, Client(), button="Yes").at
    assert sent.states(question.person) == ["granted"]


def test_a_question_whose_time_is_over_is_not_asked_again(sent: Sent, question: Question) -> None:
    sent.arrive(sent.address(question.mail, Door.REPORT), complaint_of(question.mail, VOUCHED), BESIDE_US)
    sent.pass_days(8)
    undo_report(sent.ctx, OFFICER, sent.newest(), WHY)
    assert (sent.states(question.person), sent.entries("confirmation.reopened")) == (["none"], [])


def test_a_no_of_their_own_is_left_alone(sent: Sent, question: Question) -> None:
    decline(sent.ctx, question.token)
    sent.arrive(sent.address(question.mail, Door.REPORT), complaint_of(question.mail, VOUCHED), BESIDE_US)
    undo_report(sent.ctx, OFFICER, sent.newest(), WHY)
    assert (sent.states(question.person), sent.entries("confirmation.reopened")) == (["none"], [])
    assert view_confirmation(sent.ctx, question.token).answer == "declined"
