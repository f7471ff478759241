"""Pages about one's own data: the same answer for every address, and what the owner of a fresh link sees and does."""

import json
import re

import pytest

from outreach.services.context import Context
from outreach.store.schema.consents import request
from outreach.store.schema.rights import rights_request
from tests.factories import World
from tests.services.owning import agreed, asks_for_link, fresh_link, later, told
from tests.services.people import ALICE, count
from tests.web.conftest import Browser

NONCE = re.compile(r'(nonce-|csrf_token" value=")[^"\';]+')


def test_the_answer_is_the_same_for_every_address(client: Browser, ctx: Context, world: World) -> None:
    world.person(ALICE)
    pages = []
    for address in (ALICE, "nobody@example.org"):
        answer = client.submit("/rights", {"address": address})
        assert (answer.status_code, answer.location) == (303, "/rights/asked")
        pages.append(NONCE.sub("", client.page("/rights/asked")))
    assert pages[0] == pages[1]
    assert count(ctx, request, request.c.door == "rights") == 2


def test_what_is_no_address_is_said_to_be_none(client: Browser, world: World) -> None:
    answer = client.submit("/rights", {"address": "alice"})
    assert answer.status_code == 422
    assert "An e-mail address has one @ in it." in answer.get_data(as_text=True)


def test_the_room_shows_the_address_masked_and_opening_it_changes_nothing(
    client: Browser, ctx: Context, world: World
) -> None:
    token = fresh_link(ctx, world.person(ALICE))
    page = client.page(f"/rights/{token}")
    assert "a•••@e•••.org" in page
    assert ALICE not in page
    for path in ("correct", "erase"):
        assert ALICE not in client.page(f"/rights/{token}/{path}")
    assert count(ctx, rights_request) == 0


def test_access_opens_as_a_page_and_as_a_file(client: Browser, ctx: Context, world: World) -> None:
    world.topic()
    token = fresh_link(ctx, agreed(ctx))
    answer = client.submit(f"/rights/{token}/ask", {"kind": "access"})
    assert answer.status_code == 303
    page = client.page(answer.location)
    assert ALICE in page
    assert "I would like Northfield to send me mail" in page
    assert re.search(r"<time [^>]+>", page)
    path = answer.location.partition("?")[0]
    file = client.get(f"{path}/data.json")
    assert file.headers["Content-Disposition"].startswith("attachment")
    assert file.headers["Cache-Control"] == "no-store"
    assert json.loads(file.get_data())["you"]["address"] == ALICE


@pytest.mark.parametrize("language", ["sv", "nl"])
def test_the_pages_speak_the_readers_language(client: Browser, ctx: Context, world: World, language: str) -> None:
    person = world.person(ALICE, locale=language)
    token = fresh_link(ctx, person)
    assert f'<html lang="{language}"' in client.page(f"/rights/{token}")
    assert f'<html lang="{language}"' in client.page(f"/rights?lang={language}")


def test_erasing_asks_once_more_and_says_what_stays(client: Browser, ctx: Context, world: World) -> None:
    world.topic()
    person = agreed(ctx)
    token = fresh_link(ctx, person)
    page = client.page(f"/rights/{token}/erase")
    assert "The proof of what you agreed to" in page
    assert client.submit(f"/rights/{token}/ask", {"kind": "erasure"}).status_code == 303
    assert told(ctx, person)[-1] == ("rights", "erasing")
    assert "You are being erased" in client.page(f"/rights/{token}")


def test_correcting_keeps_what_was_typed_until_it_is_right(client: Browser, ctx: Context, world: World) -> None:
    person = world.person(ALICE, name="Alise")
    token = fresh_link(ctx, person)
    typed = {"name": "see www.evil.example", "locale": "en", "timezone": "UTC"}
    answer = client.submit(f"/rights/{token}/correct", typed)
    assert answer.status_code == 422
    assert "see www.evil.example" in answer.get_data(as_text=True)
    assert client.submit(f"/rights/{token}/correct", typed | {"name": "Alice"}).status_code == 303
    assert told(ctx, person) == [("rights", "done")]


def test_restriction_and_its_end(client: Browser, ctx: Context, world: World) -> None:
    token = fresh_link(ctx, world.person(ALICE))
    client.submit(f"/rights/{token}/ask", {"kind": "restriction"})
    assert "Lift the restriction" in client.page(f"/rights/{token}")
    client.submit(f"/rights/{token}/lift")
    assert "Lift the restriction" not in client.page(f"/rights/{token}")


def test_an_old_link_offers_a_fresh_one(client: Browser, ctx: Context, world: World) -> None:
    person = world.person(ALICE)
    token = fresh_link(ctx, person)
    later(ctx, 1800)
    page = client.page(f"/rights/{token}", 410)
    assert "Mail me a fresh link" in page
    assert client.submit(f"/rights/{token}/fresh").status_code == 303
    assert told(ctx, person) == [("rights-link", "")]


def test_a_bent_link_and_another_kind_of_press_are_refused(client: Browser, ctx: Context, world: World) -> None:
    token = fresh_link(ctx, world.person(ALICE))
    client.page(f"/rights/{token[:-1]}", 404)
    assert client.submit(f"/rights/{token}/ask", {"kind": "everything"}).status_code == 400
    client.page(f"/rights/{token}/result/{'0' * 32}", 404)
    assert client.post(f"/rights/{token}/ask", data={"kind": "erasure"}).status_code == 400
    assert count(ctx, rights_request) == 0


def test_the_link_that_was_mailed_opens_the_room(client: Browser, ctx: Context, world: World) -> None:
    world.person(ALICE)
    asks_for_link(ctx)
    from sqlalchemy import select

    from outreach.store.boxes import ContactKeys
    from outreach.store.schema.campaigns import message

    with ctx.db.reading() as conn:
        row = conn.execute(select(message.c.contact, message.c.body_box)).one()
        url = ContactKeys(ctx.keyring, conn).facts(row.contact, row.body_box)["facts"]["url"]
    assert "Your data with us" in client.page(url.removeprefix(ctx.settings.public_url))
