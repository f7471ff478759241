"""Stopping and explaining from any mail: one-click as RFC 8058 has it, a page with one button, undo, and why."""

import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select, update

from outreach.domain.tokens import Purpose
from outreach.services.confirm import Client, grant
from outreach.services.context import Context
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import consent
from outreach.store.schema.people import contact
from tests.factories import World
from tests.services.people import ALICE, asked, count, letter, link, move_clock, state_of, topic_ref
from tests.web.conftest import Browser

STYLE = Path(__file__).parents[3] / "static" / "outreach.css"


@pytest.fixture
def mail(ctx: Context, world: World) -> bytes:
    """Alice confirmed topic-1 and got a mail of it."""
    topic_id, _ = world.topic()
    grant(ctx, asked(ctx), {topic_ref(ctx)}, Client(), button="Yes")
    with ctx.db.reading() as conn:
        alice = conn.execute(
            select(contact.c.id).where(contact.c.address_key == ctx.keyring.blind("address", ALICE))
        ).scalar_one()
    return letter(ctx, world, alice, topic_id)


@pytest.fixture
def stop(ctx: Context, mail: bytes) -> str:
    return f"/stop/{link(ctx, Purpose.STOP, mail)}"


@pytest.fixture
def why(ctx: Context, mail: bytes) -> str:
    return f"/why/{link(ctx, Purpose.WHY, mail)}"


def question(ctx: Context, world: World) -> bytes:
    """The ref of a mail that asks, and nobody has answered."""
    world.topic()
    asked(ctx)
    with ctx.db.reading() as conn:
        return bytes(conn.execute(select(message.c.ref)).scalar_one())


@pytest.mark.parametrize("encoding", ["application/x-www-form-urlencoded", "multipart/form-data"])
def test_one_click_by_post_answers_200_without_cookie_or_redirect_and_twice_alike(
    ctx: Context, client: Browser, stop: str, encoding: str
) -> None:
    for _ in range(2):
        answer = client.post(stop, data={"List-Unsubscribe": "One-Click"}, content_type=encoding)
        assert answer.status_code == 200
        assert "Set-Cookie" not in answer.headers
        assert answer.headers["Cache-Control"] == "no-store"
    assert state_of(ctx) == "withdrawn"


@pytest.mark.parametrize(
    "body", [{}, {"List-Unsubscribe": "Yes"}, {"List-Unsubscribe": "One-Click", "x": "1"}, {"how": "everything"}]
)
def test_any_other_body_on_that_address_is_refused(
    ctx: Context, client: Browser, stop: str, body: dict[str, Any]
) -> None:
    assert client.post(stop, data=body).status_code == 400
    assert state_of(ctx) == "granted"


def test_the_page_asks_for_one_press_and_looking_changes_nothing(ctx: Context, client: Browser, stop: str) -> None:
    page = client.page(stop)
    client.head(stop)
    buttons = re.findall(r'name="how" value="(\w+)"><button class="([^"]+)"', page)
    assert buttons == [("page", "btn even wide"), ("everything", "btn even wide")]
    assert "Stop “Garden tips”" in page
    assert state_of(ctx) == "granted"


def test_pressing_stops_and_undo_works_for_an_hour_in_that_browser_alone(
    ctx: Context, client: Browser, app: Any, stop: str
) -> None:
    answer = client.submit(f"{stop}/press", {"how": "page"})
    assert answer.status_code == 303
    assert state_of(ctx) == "withdrawn"
    assert ">Undo<" in client.page(stop)
    stranger = app.test_client()
    assert ">Undo<" not in stranger.page(stop)
    stranger.submit("/undo")
    assert state_of(ctx) == "withdrawn"
    assert client.submit("/undo").status_code == 303
    assert state_of(ctx) == "granted"
    assert "It is as it was before." in client.page(stop)


def test_a_mail_that_belongs_to_nothing_offers_everything_and_one_click_is_that(
    ctx: Context, client: Browser, world: World, mail: bytes
) -> None:
    with ctx.db.reading() as conn:
        alice = conn.execute(select(message.c.contact).where(message.c.ref == mail)).scalar_one()
    page = f"/stop/{link(ctx, Purpose.STOP, letter(ctx, world, alice, None, origin='notice'))}"
    assert re.findall(r'name="how" value="(\w+)"', client.page(page)) == ["everything"]
    answer = client.post(page, data={"List-Unsubscribe": "One-Click"})
    assert "We send you nothing more of our own accord." in answer.text
    assert state_of(ctx) == "withdrawn"


def test_everything_from_a_mail_shows_no_receipt_of_what_that_mail_was_not_about(
    ctx: Context, client: Browser, world: World
) -> None:
    """A stranger may press it: which other topics its reader had is not theirs to read."""
    person, topics = world.person(), [world.topic(), world.topic()]
    for topic, text in topics:
        world.grant(person, topic, text)
    for about, shown in ((None, 0), (topics[0][0], 1)):
        page = f"/stop/{link(ctx, Purpose.STOP, letter(ctx, world, person.id, about, origin='notice'))}"
        client.submit(f"{page}/press", {"how": "everything"})
        assert client.page(page).count("Your receipt") == shown
        client.submit("/undo", {"link": page.removeprefix("/stop/")})


def test_the_page_of_a_question_remembers_that_it_was_answered_no(ctx: Context, client: Browser, world: World) -> None:
    ref = question(ctx, world)
    page = f"/stop/{link(ctx, Purpose.STOP, ref)}"
    client.submit(f"{page}/press", {"how": "page"})
    for _ in range(2):
        assert "Your answer is no. Nothing will be sent." in client.page(page)


def test_without_cookies_the_button_says_what_it_stops(ctx: Context, client: Browser, world: World) -> None:
    reader = world.person(locale="sv")
    page = f"/stop/{link(ctx, Purpose.STOP, letter(ctx, world, reader.id, None, origin='notice'))}"
    answer = client.post(f"{page}/press", data={"how": "everything"})
    assert (answer.status_code, "Stoppa allt" in answer.text) == (400, True)


def test_a_press_on_another_page_leaves_the_undo_of_the_first(ctx: Context, client: Browser, world: World) -> None:
    first_topic, second_topic = world.topic(), world.topic()
    person = world.person()
    pages = []
    for topic, text in (first_topic, second_topic):
        world.grant(person, topic, text)
        pages.append(f"/why/{link(ctx, Purpose.WHY, letter(ctx, world, person.id, topic))}")
    client.submit(pages[0], {"how": "page"})
    client.submit(pages[1], {"how": "pause"})
    for page in pages:
        shown = client.page(page)
        assert ">Undo<" in shown
        client.submit("/undo", {"link": page.removeprefix("/why/")})
        assert ">Undo<" not in client.page(page)
    assert count(ctx, consent, consent.c.state == "granted") == 2


def test_after_an_hour_undo_is_offered_no_more(ctx: Context, client: Browser, stop: str) -> None:
    client.submit(f"{stop}/press", {"how": "page"})
    move_clock(ctx, 3601)
    assert ">Undo<" not in client.page(stop)
    client.submit("/undo")
    assert state_of(ctx) == "withdrawn"


def test_a_browser_without_cookies_is_given_a_button_that_needs_none(ctx: Context, client: Browser, stop: str) -> None:
    answer = client.post(f"{stop}/press", data={"how": "page"})
    assert answer.status_code == 400
    assert 'name="List-Unsubscribe" value="One-Click"' in answer.get_data(as_text=True)


def test_why_explains_that_one_mail_with_the_address_masked(client: Browser, why: str) -> None:
    page = client.page(why)
    assert "Because you confirmed “Garden tips” on" in page
    assert "It was number 1 of up to 2 mails a week." in page
    assert "I would like Northfield to send me mail, at most 2 times." in page
    assert "a•••@e•••.org" in page
    assert "1 of at most 2" in page
    assert ALICE not in page


@pytest.mark.parametrize(
    ("how", "state", "said"),
    [
        ("page", "withdrawn", "Stopped. It counts from the very next mail."),
        ("everything", "withdrawn", "Everything is stopped."),
        ("lower", "granted", "You will get at most 1 of these a week."),
        ("pause", "paused", "Paused for 30 days."),
    ],
)
def test_why_only_reduces_and_each_act_can_be_undone(
    ctx: Context, client: Browser, why: str, how: str, state: str, said: str
) -> None:
    assert client.submit(why, {"how": how}).status_code == 303
    page = client.page(why)
    assert said in page
    assert state_of(ctx) == state
    assert ">Undo<" in page
    client.submit("/undo")
    assert state_of(ctx) == "granted"


def test_why_offers_nothing_that_raises(ctx: Context, client: Browser, why: str) -> None:
    for how in ("resume", "grant", "one-click", ""):
        assert client.submit(why, {"how": how}).status_code == 400
    assert client.post(why, data={"how": "page"}).status_code == 400
    assert state_of(ctx) == "granted"


def test_links_of_one_kind_open_no_other_page(ctx: Context, client: Browser, mail: bytes) -> None:
    stop, why = link(ctx, Purpose.STOP, mail), link(ctx, Purpose.WHY, mail)
    for path in (f"/why/{stop}", f"/stop/{why}", f"/confirm/{stop}", f"/confirm/{why}"):
        client.page(path, 404)
    assert client.post(f"/stop/{why}", data={"List-Unsubscribe": "One-Click"}).status_code == 404
    assert state_of(ctx) == "granted"


@pytest.mark.parametrize(("lang", "words"), [("sv", "Varför du fick"), ("nl", "Waarom u")])
def test_why_speaks_three_languages(client: Browser, why: str, lang: str, words: str) -> None:
    assert words in client.page(f"{why}?lang={lang}")


def test_the_four_ways_to_get_less_look_alike_and_the_page_stays_small(client: Browser, why: str) -> None:
    page = client.page(why)
    buttons = re.findall(r'<button class="([^"]+)" name="how" value="([^"]+)"', page)
    assert [how for _, how in buttons] == ["page", "everything", "lower", "pause"]
    assert {look for look, _ in buttons} == {"btn even wide"}
    assert len(page.encode()) + len(STYLE.read_bytes()) < 20_000
    assert "a marketer of Northfield Garden Society" in page


def test_whoever_gets_one_a_week_at_most_can_have_one_a_month(ctx: Context, client: Browser, why: str) -> None:
    client.submit(why, {"how": "lower"})
    page = client.page(why)
    assert "At most 1 a month" in page
    assert client.submit(why, {"how": "lower-month"}).status_code == 303
    assert "You will get at most 1 of these a month." in client.page(why)
    with ctx.db.reading() as conn:
        assert tuple(conn.execute(select(consent.c.own_n, consent.c.own_window)).one()) == (1, 30 * 86_400)
    client.submit("/undo")
    with ctx.db.reading() as conn:
        assert tuple(conn.execute(select(consent.c.own_n, consent.c.own_window)).one()) == (1, 7 * 86_400)


def test_a_mail_that_was_withheld_says_why_in_full(ctx: Context, client: Browser, world: World, mail: bytes) -> None:
    with ctx.db.transaction() as conn:
        changed = update(message).where(message.c.ref == mail)
        conn.execute(changed.values(state="withheld", reason="cap_own", counted=None))
    page = client.page(f"/why/{link(ctx, Purpose.WHY, mail)}")
    assert "was not sent</h1>" in page
    assert "more than the limit you set yourself" in page
    assert "It was number" not in page


def test_the_why_page_of_an_open_question_offers_no(ctx: Context, client: Browser, world: World) -> None:
    ref = question(ctx, world)
    path = f"/why/{link(ctx, Purpose.WHY, ref)}"
    assert "No, do not send this" in client.page(path)
    client.submit(path, {"how": "page"})
    assert "Your answer is no. Nothing will be sent." in client.page(path)
    assert state_of(ctx) == "none"
    assert "No, do not send this" not in client.page(path)
