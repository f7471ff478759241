"""The public pages: plain, small, in three languages, and a door that says the same to everybody."""

import re
from pathlib import Path

import pytest
from sqlalchemy import select

from outreach.services.context import Context
from outreach.services.sign_up import process_requests
from outreach.store.schema.consents import request
from tests.factories import World
from tests.services.people import ALICE, count
from tests.web.conftest import Browser

STYLE = Path(__file__).parents[3] / "static" / "outreach.css"
FORM = {"address": ALICE, "topics": "topic-1", "page": "topic-1"}


def test_the_start_page_shows_each_topics_promise(client: Browser, world: World) -> None:
    world.topic(ratio_k=6)
    page = client.page("/")
    assert "up to 2 mails a week" in page
    assert "1 offer for every 6 useful mails, no more" in page
    assert "from all topics together you get up to 4 mails a week" in page
    assert "/sign-up/topic-1" in page
    assert "/sign-in" in page


def test_the_start_page_before_any_topic_says_so(client: Browser) -> None:
    assert "There is nothing to sign up for yet" in client.page("/")


def test_a_sign_up_page_ticks_nothing_and_prints_the_promise_and_the_ceiling(client: Browser, world: World) -> None:
    world.topic()
    world.topic()
    page = client.page("/sign-up/topic-1")
    assert "checked" not in page
    assert page.count('type="checkbox"') == 1
    assert "up to 2 mails a week" in page
    assert "up to 4 mails a week" in page
    assert client.get("/sign-up/no-such-topic").status_code == 404


def test_words_of_a_published_text_are_words_and_never_markup(client: Browser, world: World) -> None:
    """What pages share stands in files named .jinja, which Flask by itself would not escape."""
    topic, _ = world.topic()
    world.text(topic, version=2, gets="<a href='//evil.example'>tips</a>", sender_name="North <b>field</b>")
    page = client.page("/sign-up/topic-1")
    assert "evil.example&#39;&gt;tips&lt;/a&gt;" in page
    assert "North &lt;b&gt;field&lt;/b&gt;" in page


def test_a_form_on_another_site_works_without_cookie_or_csrf_and_sets_none(
    ctx: Context, client: Browser, world: World
) -> None:
    world.topic()
    answer = client.post("/sign-up", data=FORM, headers={"Referer": "https://blog.example/post"})
    assert (answer.status_code, answer.location) == (303, "/sign-up/received?lang=en")
    assert "Set-Cookie" not in answer.headers
    assert process_requests(ctx) == 1
    assert "Look in your mailbox" in client.page("/sign-up/received")


def test_the_answer_is_the_same_for_known_and_unknown(client: Browser, world: World) -> None:
    topic_id, text_id = world.topic()
    world.grant(world.person(ALICE), topic_id, text_id)
    answers = [client.post("/sign-up", data={**FORM, "address": who}) for who in (ALICE, "nobody@example.org")]
    assert answers[0].data == answers[1].data
    assert answers[0].status_code == answers[1].status_code
    assert dict(answers[0].headers) == {**dict(answers[1].headers)} or _but_nonce(answers[0]) == _but_nonce(answers[1])


def _but_nonce(answer: object) -> list[tuple[str, str]]:
    headers = getattr(answer, "headers")  # noqa: B009  any response
    return [(name, re.sub("nonce-[^']+", "", value)) for name, value in headers]


@pytest.mark.parametrize(
    ("typed", "lang", "said"),
    [
        ("alice", "en", "An e-mail address has one @ in it."),
        ("alice@gmial.com", "en", "Did you mean gmail.com?"),
        ("alice@gmial.com", "sv", "Menade du gmail.com?"),
        ("alice@gmial.com", "nl", "Bedoelde u gmail.com?"),
    ],
)
def test_a_wrong_address_is_named_at_once_in_the_readers_language(
    ctx: Context, client: Browser, world: World, typed: str, lang: str, said: str
) -> None:
    world.topic()
    answer = client.post(f"/sign-up?lang={lang}", data={**FORM, "address": typed})
    assert answer.status_code == 422
    assert said in answer.get_data(as_text=True)
    assert count(ctx, request) == 0


def test_no_topic_is_named(client: Browser, world: World) -> None:
    world.topic()
    answer = client.post("/sign-up", data={"address": ALICE})
    assert answer.status_code == 422
    assert "Choose at least one topic" in answer.get_data(as_text=True)


def test_the_honey_field_is_answered_alike_and_sends_nothing(ctx: Context, client: Browser, world: World) -> None:
    world.topic()
    assert client.post("/sign-up", data={**FORM, "website": "x"}).status_code == 303
    assert process_requests(ctx) == 0
    assert count(ctx, request) == 1


def test_a_form_sent_at_once_waits(ctx: Context, client: Browser, world: World) -> None:
    world.topic()
    shown = re.search(r'name="shown" value="([^"]+)"', client.page("/sign-up/topic-1"))
    assert shown
    client.post("/sign-up", data={**FORM, "shown": shown[1]})
    assert process_requests(ctx) == 0
    with ctx.db.reading() as conn:
        row = conn.execute(select(request.c.not_before, request.c.received)).one()
    assert row.not_before - row.received == 3_600_000_000


@pytest.mark.parametrize(("lang", "words"), [("sv", "E-post du kan be om"), ("nl", "Mail waar u om kunt vragen")])
def test_pages_speak_the_language_asked_for_or_the_browsers(
    client: Browser, world: World, lang: str, words: str
) -> None:
    world.topic()
    page = client.page(f"/?lang={lang}")
    assert f'<html lang="{lang}" dir="ltr">' in page
    assert words in page
    assert f"/sign-up/topic-1?lang={lang}" in page
    assert words in client.get("/", headers={"Accept-Language": f"{lang}-XX,en;q=0.5"}).get_data(as_text=True)


@pytest.mark.parametrize("path", ["/", "/sign-up/topic-1", "/sign-up/received"])
def test_pages_are_small_and_need_no_script(client: Browser, world: World, path: str) -> None:
    for _ in range(5):
        world.topic()
    page = client.page(path)
    style = STYLE.read_text()
    assert len(page.encode()) + len(style.encode()) < 20_000
    assert len(style.encode()) < 8_000
    assert "<script" not in page
    assert "style=" not in page


def test_too_many_posts_from_one_network_are_told_so_in_the_readers_language(client: Browser, world: World) -> None:
    world.topic()
    statuses = {client.post("/sign-up", data={"address": "x"}).status_code for _ in range(120)}
    assert statuses == {422}
    answer = client.post("/sign-up?lang=sv", data=FORM)
    assert answer.status_code == 429
    assert "Lite långsammare, tack" in answer.get_data(as_text=True)
