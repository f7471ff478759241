"""Behind a link of a leaked key: one page for all with one button, and one answer whoever it belonged to."""

from dataclasses import replace

import pytest
from flask import Flask
from jinja2 import FileSystemBytecodeCache

from outreach.app import create_app
from outreach.domain.keys import TokenKey
from outreach.domain.tokens import Purpose, Tokens
from outreach.services.context import Context
from outreach.store.schema.campaigns import message
from tests.factories import World
from tests.services.people import count, letter, link, state_of
from tests.web.conftest import Browser

NOTICES = message.c.origin == "notice"
ONE_CLICK = {"List-Unsubscribe": "One-Click"}


@pytest.fixture
def app(ctx: Context, compiled_templates: FileSystemBytecodeCache) -> Flask:
    """The web after its only token key was marked as compromised and another added."""
    (old,) = ctx.keyring.tokens
    tokens = Tokens([TokenKey(old.id, old.secret, compromised=True), TokenKey("t2", b"2" * 32)])
    made = create_app(replace(ctx, tokens=tokens), testing=True)
    made.jinja_env.bytecode_cache = compiled_templates
    made.test_client_class = Browser
    return made


@pytest.fixture
def mail(ctx: Context, world: World) -> bytes:
    topic, text = world.topic()
    person = world.person("alice@example.org")
    world.grant(person, topic, text)
    return letter(ctx, world, person.id, topic)


@pytest.mark.parametrize("purpose", [Purpose.STOP, Purpose.WHY])
def test_one_press_mails_a_fresh_link_and_looking_mails_none(
    ctx: Context, client: Browser, mail: bytes, purpose: Purpose
) -> None:
    token = link(ctx, purpose, mail)
    page = client.page(f"/{purpose}/{token}", 410)
    client.head(f"/{purpose}/{token}")
    assert "This link can no longer be trusted" in page
    assert page.count("<button") == 1
    assert f'action="/stop/{token}/fresh"' in page
    assert count(ctx, message, NOTICES) == 0
    answer = client.submit(f"/stop/{token}/fresh")
    assert (answer.status_code, answer.location) == (303, "/fresh-link")
    assert "a fresh link is on its way" in client.page("/fresh-link")
    assert count(ctx, message, NOTICES) == 1
    assert state_of(ctx) == "granted"


def test_a_forged_link_is_answered_like_a_real_one(ctx: Context, client: Browser, mail: bytes) -> None:
    answers = []
    for ref in (mail, b"f" * 16):
        token = link(ctx, Purpose.STOP, ref)
        seen = client.get(f"/stop/{token}")
        pressed = client.submit(f"/stop/{token}/fresh")
        clicked = client.post(f"/stop/{token}", data=ONE_CLICK)
        text = clicked.get_data(as_text=True).replace(token, "")
        answers.append((seen.status_code, pressed.status_code, pressed.location, clicked.status_code, text))
    assert answers[0] == answers[1]


def test_one_click_brings_the_fresh_link_without_a_button(ctx: Context, client: Browser, mail: bytes) -> None:
    for _ in range(2):
        answer = client.post(f"/stop/{link(ctx, Purpose.STOP, mail)}", data=ONE_CLICK)
        assert answer.status_code == 200
        assert "Set-Cookie" not in answer.headers
        assert "Nothing is stopped until you use it." in answer.get_data(as_text=True)
    assert count(ctx, message, NOTICES) == 1
    assert state_of(ctx) == "granted"


def test_a_page_left_open_while_the_key_was_changed_leads_there_too(ctx: Context, client: Browser, mail: bytes) -> None:
    stop, why = link(ctx, Purpose.STOP, mail), link(ctx, Purpose.WHY, mail)
    for path in (f"/stop/{stop}/press", f"/why/{why}"):
        answer = client.submit(path, {"how": "page"})
        assert answer.status_code == 410
        assert "Mail me a fresh link" in answer.get_data(as_text=True)
    assert state_of(ctx) == "granted"
    assert count(ctx, message, NOTICES) == 0


def test_the_button_needs_the_pages_token_and_offers_one_that_needs_no_cookies(
    ctx: Context, client: Browser, mail: bytes
) -> None:
    answer = client.post(f"/stop/{link(ctx, Purpose.WHY, mail)}/fresh")
    page = answer.get_data(as_text=True)
    assert answer.status_code == 400
    assert 'name="List-Unsubscribe" value="One-Click"' in page
    assert "Mail me a fresh link" in page
    assert count(ctx, message, NOTICES) == 0


def test_a_link_to_confirm_is_refused_without_a_button(ctx: Context, client: Browser) -> None:
    page = client.page(f"/confirm/{link(ctx, Purpose.CONFIRM, b'c' * 16)}", 410)
    assert "This link can no longer be trusted" in page
    assert "<button" not in page


def test_what_is_no_link_of_ours_is_refused(client: Browser) -> None:
    assert client.submit("/stop/nothing/fresh").status_code == 404


@pytest.mark.parametrize(("lang", "words"), [("sv", "Mejla mig en ny länk"), ("nl", "Mail mij een nieuwe link")])
def test_it_speaks_three_languages(ctx: Context, client: Browser, mail: bytes, lang: str, words: str) -> None:
    path = f"/stop/{link(ctx, Purpose.STOP, mail)}"
    assert words in client.page(f"{path}?lang={lang}", 410)
    answer = client.submit(f"{path}/fresh?lang={lang}")
    assert answer.location == f"/fresh-link?lang={lang}"
    assert f'<html lang="{lang}"' in client.page(answer.location)
