"""Stopping and explaining mails that no consent sends: what a connected person wrote, and our answers."""

import re

import pytest

from outreach.domain.consent import State
from outreach.domain.tokens import Purpose
from outreach.services import connections
from outreach.services.confirm import Client, grant
from outreach.services.context import Context
from outreach.services.conversations import answering
from outreach.services.outbox import queue_reply
from tests.factories import MadeMember, World
from tests.services.connecting import connected
from tests.services.conversations.writing import mailed, opened, replies, worker, writes
from tests.services.people import ALICE, asked, link, state_of, topic_ref
from tests.web.conftest import Browser

ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
def bob(world: World) -> MadeMember:
    return world.member("bob@recipients.example", "Bob Lind")


@pytest.fixture
def relayed(ctx: Context, world: World, bob: MadeMember) -> bytes:
    """A mail Bob got from somebody he is connected with."""
    pair = connected(ctx, world.member("carl@inviters.example", "Carl Berg"), bob.person)
    with ctx.db.transaction() as conn:
        body = {"relayed": "00" * 16, "connection": pair.hex()}
        return queue_reply(conn, ctx, ctx.db.now(conn), bob.person, body)[1]


@pytest.fixture
def answer(ctx: Context, world: World) -> bytes:
    """Our answer to Alice, who confirmed a topic and wrote back to a mail of it."""
    topic_id, _ = world.topic()
    grant(ctx, asked(ctx), {topic_ref(ctx)}, Client(), button="Yes")
    alice, robin = world.person(ALICE), worker(world)
    talk = replies(ctx, alice, mailed(world, alice, topic_id), "Where is my seed?")
    return answering.answer(ctx, robin, talk, "On its way.", seen=opened(ctx, robin, talk).seen)


def is_muted(ctx: Context, bob: MadeMember) -> bool:
    return connections.list_connections(ctx, bob.actor)[0].muted is not None


def buttons(page: str) -> list[str]:
    return re.findall(r'<button class="btn even wide"[^>]*>([^<]*)</button>', page)


def test_one_click_mutes_the_connection_and_twice_is_once(
    ctx: Context, client: Browser, relayed: bytes, bob: MadeMember
) -> None:
    for _ in range(2):
        shown = client.post(f"/stop/{link(ctx, Purpose.STOP, relayed)}", data=ONE_CLICK)
        assert shown.status_code == 200
        assert "Nothing they write is mailed to you any more." in shown.get_data(as_text=True)
        assert is_muted(ctx, bob)


def test_the_page_asks_acts_and_puts_back(ctx: Context, client: Browser, relayed: bytes, bob: MadeMember) -> None:
    stop = f"/stop/{link(ctx, Purpose.STOP, relayed)}"
    assert buttons(client.page(stop)) == ["No more mail from them"]
    assert not is_muted(ctx, bob)
    client.submit(f"{stop}/press", {"how": "page"})
    assert is_muted(ctx, bob)
    shown = client.page(stop)
    assert "<h1>Stopped</h1>" in shown
    assert "Undo" in shown
    client.submit("/undo")
    assert not is_muted(ctx, bob)
    assert buttons(client.page(stop)) == ["No more mail from them"]


def test_the_why_page_says_who_wrote_it_and_stops_it(
    ctx: Context, client: Browser, relayed: bytes, bob: MadeMember
) -> None:
    why = f"/why/{link(ctx, Purpose.WHY, relayed)}"
    shown = client.page(why)
    for words in (
        "Somebody you are connected with here wrote this mail", "whoever wrote it, on", "no member of our staff",
    ):  # fmt: skip
        assert words in shown
    assert "Carl" not in shown
    assert buttons(shown) == ["No more mail from them", "Stop everything"]
    client.submit(why, {"how": "page"})
    assert is_muted(ctx, bob)
    shown = client.page(why)
    assert "These mails are stopped." in shown
    assert buttons(shown) == ["Stop everything"]


@pytest.mark.parametrize(
    ("language", "words"), [("sv", "Någon du har kontakt med här skrev"), ("nl", "Iemand met wie u hier contact hebt")]
)
def test_it_does_so_in_other_languages(
    ctx: Context, client: Browser, relayed: bytes, language: str, words: str
) -> None:
    assert words in client.page(f"/why/{link(ctx, Purpose.WHY, relayed)}?lang={language}")
    stop = client.page(f"/stop/{link(ctx, Purpose.STOP, relayed)}?lang={language}")
    assert "No more mail" not in stop


def test_a_stop_in_an_answer_ends_the_answers_and_the_topic_and_undo_puts_both_back(
    ctx: Context, client: Browser, answer: bytes
) -> None:
    stop = f"/stop/{link(ctx, Purpose.STOP, answer)}"
    shown = client.page(stop)
    assert buttons(shown) == ["No more mail about this", "Stop everything"]
    assert "stops as well" in shown
    client.submit(f"{stop}/press", {"how": "page"})
    assert state_of(ctx) == State.WITHDRAWN
    assert "Answers to what you wrote stand in your room alone" in client.page(stop)
    client.submit("/undo")
    assert state_of(ctx) == State.GRANTED
    assert buttons(client.page(stop)) == ["No more mail about this", "Stop everything"]
    assert "You wrote to us, and this mail is our answer." in client.page(f"/why/{link(ctx, Purpose.WHY, answer)}")


def test_an_answer_to_what_was_written_in_the_room_stops_too(ctx: Context, client: Browser, world: World) -> None:
    alice, robin = world.person(ALICE), worker(world)
    talk = writes(ctx, alice, "Hello?")
    ref = answering.answer(ctx, robin, talk, "Hello.", seen=opened(ctx, robin, talk).seen)
    assert client.post(f"/stop/{link(ctx, Purpose.STOP, ref)}", data=ONE_CLICK).status_code == 200
    assert not opened(ctx, robin, talk).can_mail
