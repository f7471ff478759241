"""Behind the confirmation mail: a page that asks, buttons that weigh the same, and a press that counts once."""

from pathlib import Path

import pytest

from outreach.services.context import Context
from outreach.store.schema.people import suppression
from tests.factories import World
from tests.services.people import ALICE, asked, count, move_clock, state_of, topic_ref
from tests.web.conftest import Browser

STYLE = Path(__file__).parents[3] / "static" / "outreach.css"


def test_looking_and_prefetching_change_nothing(ctx: Context, client: Browser, world: World) -> None:
    world.topic()
    token = asked(ctx)
    for _ in range(2):
        assert client.head(f"/confirm/{token}").status_code == 200
        page = client.page(f"/confirm/{token}")
    assert state_of(ctx) == "pending"
    assert "I would like Northfield to send me mail, at most 2 times." in page
    assert "Yes, up to 2 mails a week" in page
    assert "No, do not send this" in page
    assert page.count('class="btn even wide"') == 2
    assert "a•••@e•••.org" in page
    assert ALICE not in page


def test_token_pages_are_not_stored_and_tell_no_referrer(ctx: Context, client: Browser, world: World) -> None:
    world.topic()
    token = asked(ctx)
    for path in (f"/confirm/{token}", f"/confirm/{token}/never"):
        headers = client.get(path).headers
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cache-Control"] == "no-store"


def test_yes_confirms_and_twice_says_already(ctx: Context, client: Browser, world: World) -> None:
    world.topic()
    token = asked(ctx)
    form = {"answer": "yes", "topics": topic_ref(ctx).hex()}
    answer = client.submit(f"/confirm/{token}", form)
    assert answer.status_code == 200
    assert "<h1>Confirmed</h1>" in answer.get_data(as_text=True)
    assert state_of(ctx) == "granted"
    assert "You have already confirmed" in client.submit(f"/confirm/{token}", form).get_data(as_text=True)
    assert "You have already confirmed" in client.page(f"/confirm/{token}")


def test_a_press_needs_the_forms_own_token(ctx: Context, client: Browser, world: World) -> None:
    world.topic()
    token = asked(ctx)
    answer = client.post(f"/confirm/{token}", data={"answer": "yes", "topics": topic_ref(ctx).hex()})
    assert answer.status_code == 400
    assert state_of(ctx) == "pending"


def test_no_says_nothing_will_be_sent(ctx: Context, client: Browser, world: World) -> None:
    world.topic()
    token = asked(ctx)
    assert client.submit(f"/confirm/{token}", {"answer": "no"}).status_code == 303
    assert "Nothing will be sent" in client.page(f"/confirm/{token}")
    assert state_of(ctx) == "none"


def test_several_topics_have_each_an_empty_box_above_the_buttons(ctx: Context, client: Browser, world: World) -> None:
    world.topic()
    world.topic()
    token = asked(ctx, ALICE, "topic-1", "topic-2")
    page = client.page(f"/confirm/{token}")
    assert page.count('type="checkbox"') == 2
    assert "checked" not in page
    assert page.rindex('type="checkbox"') < page.index('name="answer"')
    refused = client.submit(f"/confirm/{token}", {"answer": "yes"})
    assert refused.status_code == 422
    assert "Tick what you would like to get" in refused.get_data(as_text=True)
    client.submit(f"/confirm/{token}", {"answer": "yes", "topics": topic_ref(ctx, "topic-2").hex()})
    assert (state_of(ctx, "topic-1"), state_of(ctx, "topic-2")) == ("none", "granted")


def test_a_press_within_seconds_is_asked_one_human_step(ctx: Context, client: Browser, world: World) -> None:
    world.topic()
    token = asked(ctx, ago=2)
    form = {"answer": "yes", "topics": topic_ref(ctx).hex()}
    page = client.submit(f"/confirm/{token}", form).get_data(as_text=True)
    assert "I am a person, and I asked for this." in page
    assert state_of(ctx) == "pending"
    client.submit(f"/confirm/{token}", {**form, "human": "yes"})
    assert state_of(ctx) == "granted"


def test_never_again_asks_once_and_bars(ctx: Context, client: Browser, world: World) -> None:
    world.topic()
    token = asked(ctx)
    client.page(f"/confirm/{token}/never")
    assert count(ctx, suppression) == 0
    assert client.submit(f"/confirm/{token}/never").status_code == 303
    assert "We will never write to you again" in client.page(f"/confirm/{token}")
    assert count(ctx, suppression, suppression.c.kind == "never") == 1


def test_a_link_past_its_time_offers_a_way_on(ctx: Context, client: Browser, world: World) -> None:
    world.topic()
    token = asked(ctx)
    move_clock(ctx, 8 * 86_400)
    page = client.page(f"/confirm/{token}", 410)
    assert "past its time" in page
    assert 'href="/"' in page


def test_a_mangled_link_is_told_so(client: Browser) -> None:
    assert "This link is not complete" in client.page("/confirm/t1.abc", 404)


@pytest.mark.parametrize(("lang", "words"), [("sv", "Vill du ha mejl från oss?"), ("nl", "Wilt u mail van ons?")])
def test_the_page_speaks_the_persons_language_and_any_chosen(
    ctx: Context, client: Browser, world: World, lang: str, words: str
) -> None:
    world.topic()
    token = asked(ctx, locale=lang)
    assert words in client.page(f"/confirm/{token}")
    assert "Would you like mail from us?" in client.page(f"/confirm/{token}?lang=en")


def test_pages_stay_under_twenty_kilobytes(ctx: Context, client: Browser, world: World) -> None:
    world.topic()
    world.topic()
    token = asked(ctx, ALICE, "topic-1", "topic-2")
    page, style = client.page(f"/confirm/{token}"), STYLE.read_text()
    assert len(page.encode()) + len(style.encode()) < 20_000
    assert "<script" not in page
