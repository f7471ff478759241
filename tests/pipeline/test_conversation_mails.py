"""An answer to somebody who wrote to us goes by mail whatever they agreed to since, unless a bar stands."""

import email
import email.policy

import pytest
from sqlalchemy import insert, select

from outreach.services.conversations import answering, public_answers
from outreach.services.conversations.public_answers import NewAnswer
from outreach.store import consents
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import topic
from outreach.store.schema.people import suppression
from tests.factories import World
from tests.pipeline.conftest import Line
from tests.services.conversations.writing import ALICE, mailed, opened, replies, rows, worker


def answered(line: Line, world: World, *, bar: str = "") -> bytes:
    """Alice, who agrees to nothing any more, wrote to us and is answered. Returns the answer's mail."""
    garden, text = world.topic()
    alice = world.person(ALICE)
    world.grant(alice, garden, text, state="withdrawn")
    ref = replies(line.ctx, alice, mailed(world, alice, garden), "Where is my seed?")
    robin = worker(world)
    seen = opened(line.ctx, robin, ref).seen
    answer = answering.answer(line.ctx, robin, ref, "It is <on> its way.\nBy post.\n\nYours, Robin", seen=seen)
    if bar:
        with line.ctx.db.transaction() as conn:
            key, _ = consents.bar_keys(conn, alice.id)
            values = {"key": key, "scope": "address", "kind": bar, "lift": "officer", "since": world.now}
            conn.execute(insert(suppression).values(**values))
    line.rounds()
    return answer


def test_it_goes_from_the_topics_sender_and_says_where_a_reply_goes(line: Line, world: World) -> None:
    answer = answered(line, world)
    (parcel,) = line.relay.sent
    mail = email.message_from_bytes(parcel.data, policy=email.policy.default)
    assert (mail["Subject"], mail["From"]) == ("Northfield answers you", "Northfield <news@northfield.example>")
    back = str(mail["Reply-To"])
    assert line.ctx.inbound.read(back.partition("@")[0]) == ("reply", answer)
    text = mail.get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert "It is <on> its way." in text
    assert "Reply to this mail to go on" in text
    html = mail.get_body(("html",)).get_content()  # type: ignore[union-attr]
    assert "It is &lt;on&gt; its way.<br>" in html
    assert "List-Id" not in mail
    stop = str(mail["List-Unsubscribe"]).partition(">")[0].removeprefix("<")
    assert f"<{stop}>" in text
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert b"seed" not in parcel.data


@pytest.mark.parametrize("bar", ["never", "deceased", "bounce", "complaint", "restricted"])
def test_a_bar_holds_it_back(line: Line, world: World, bar: str) -> None:
    answer = answered(line, world, bar=bar)
    assert line.relay.taken == []
    assert [tuple(row) for row in rows(line.ctx, message.c.state, message.c.reason, ref=answer)] == [("withheld", bar)]


def test_a_reply_of_no_conversation_goes_nowhere(line: Line, world: World) -> None:
    person = world.person()
    mailed(world, person, world.topic()[0], origin="reply", lane="2-reply", kind="service", state="planned")
    line.rounds()
    assert line.relay.taken == []
    assert line.states()[person.id] == ("withheld", "conversation_ended")


def test_mails_of_a_topic_lead_to_its_public_answers_once_there_are_any(line: Line, world: World, author: int) -> None:
    garden, text = world.topic()
    for _ in range(2):
        world.grant(world.person(), garden, text)
    (row,) = rows(line.ctx, topic.c.ref, id=garden)
    link = f"/answers/{row.ref.hex()}"
    line.campaign(garden, author=author)
    line.plan()
    line.rounds()
    assert not any(link in _text(parcel.data) for parcel in line.relay.sent)
    robin = worker(world)
    new = NewAnswer(topic=row.ref, locale="en", title="a", said="b", done="c", since="2020-01-01")
    ref = public_answers.write_answer(line.ctx, robin, new)
    public_answers.publish_answer(line.ctx, robin, ref, was_read=True)
    line.relay.taken.clear()
    line.campaign(garden, author=author)
    line.plan()
    line.rounds()
    assert len(line.relay.sent) == 2
    for parcel in line.relay.sent:
        assert f"{line.ctx.settings.public_url}{link}" in _text(parcel.data)
    with line.ctx.db.reading() as conn:
        assert set(conn.execute(select(message.c.state)).scalars()) == {"sent"}


def _text(octets: bytes) -> str:
    mail = email.message_from_bytes(octets, policy=email.policy.default)
    return str(mail.get_body(("plain",)).get_content())  # type: ignore[union-attr]
