"""A connect link as others meet it: looking does nothing in any way, one form asks, one press in a mail confirms."""

import re
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update

from outreach.services.connect import process_connects
from outreach.services.connect_links import close_link, make_link
from outreach.services.context import Context
from outreach.store.schema import metadata
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import request
from outreach.store.schema.members import invitation, member
from tests.factories import MadeMember, World
from tests.services.asking import asked
from tests.services.people import count
from tests.web.conftest import Browser

STATIC = Path(__file__).parents[3] / "static"
FORM = {"address": "bob@example.org"}


@pytest.fixture
def alice(world: World) -> MadeMember:
    return world.member("alice@example.org", "Alice Berg")


@pytest.fixture
def link(ctx: Context, alice: MadeMember) -> bytes:
    return make_link(ctx, alice.actor, label="My secret blog")


def rows(ctx: Context) -> dict[str, int]:
    """How many rows every table has."""
    with ctx.db.reading() as conn:
        counts = {table.name: select(func.count()).select_from(table) for table in metadata.sorted_tables}
        return {name: conn.execute(query).scalar_one() for name, query in counts.items()}


def policy(headers: Any) -> dict[str, str]:
    parts = (part.strip().partition(" ") for part in headers["Content-Security-Policy"].split(";"))
    return {name: value for name, _, value in parts}


def test_the_page_says_whose_it_is_and_what_pressing_does(client: Browser, link: bytes) -> None:
    page = client.page(f"/connect/{link.hex()}")
    assert "Connect with Alice Berg" in page
    assert "Ask me by mail" in page
    assert page.count("<button") == 1
    assert "only once you confirm from that mail, Alice Berg gets a request, without your address" in page
    for kept in ("alice@example.org", "My secret blog", "<script"):
        assert kept not in page


def test_opening_prefetching_framing_or_embedding_it_changes_no_row(
    ctx: Context, client: Browser, member_client: Any, world: World, link: bytes
) -> None:
    bob = member_client(world.member("bob@example.org"))
    before = rows(ctx)
    ways: list[dict[str, str]] = [
        {},
        {"Sec-Purpose": "prefetch;prerender"},
        {"Purpose": "prefetch"},
        {"Sec-Fetch-Dest": "image", "Accept": "image/*"},
        {"Sec-Fetch-Dest": "iframe", "Referer": "https://blog.example/post"},
    ]
    for browser in (client, bob):
        for path in (f"/connect/{link.hex()}", f"/badge/{link.hex()}", "/connect/asked"):
            for headers in ways:
                assert browser.get(path, headers=headers).status_code == 200
                assert browser.head(path, headers=headers).status_code == 200
    assert rows(ctx) == before


def test_a_member_who_is_signed_in_sees_the_same_page(
    client: Browser, member_client: Any, world: World, link: bytes
) -> None:
    def stripped(page: str) -> str:
        return re.sub(r'(name="(csrf_token|shown)" value=)"[^"]*"', r"\1", page)

    bob = member_client(world.member("bob@example.org", "Bob Holm"))
    pages = {stripped(browser.page(f"/connect/{link.hex()}")) for browser in (client, bob)}
    assert len(pages) == 1
    assert "Bob" not in pages.pop()


def test_no_other_site_may_frame_the_page(client: Browser, link: bytes) -> None:
    headers = client.get(f"/connect/{link.hex()}").headers
    assert policy(headers)["frame-ancestors"] == "'none'"
    assert headers["X-Frame-Options"] == "DENY"


def test_asking_answers_the_same_for_everybody_and_writes_one_row(
    ctx: Context, client: Browser, world: World, link: bytes
) -> None:
    world.member("known@example.org")
    before = rows(ctx)
    answers = []
    for name in ("known", "unknown", "alice"):
        answer = client.submit(f"/connect/{link.hex()}", {"address": f"{name}@example.org"})
        answers.append((answer.status_code, answer.location, answer.data))
    assert answers == [(303, "/connect/asked", answers[0][2])] * 3
    assert rows(ctx) == before | {"request": before["request"] + 3}
    assert "Look in your mailbox" in client.page("/connect/asked")


def test_a_form_on_another_site_does_nothing(ctx: Context, client: Browser, member_client: Any, link: bytes) -> None:
    before = rows(ctx)
    client.page(f"/connect/{link.hex()}")
    for browser in (client, member_client()):
        before |= {"member_session": rows(ctx)["member_session"]}
        for data in (FORM, {**FORM, "csrf_token": "guessed"}):
            answer = browser.post(
                f"/connect/{link.hex()}", data=data, headers={"Origin": "https://evil.example", "Referer": ""}
            )
            assert answer.status_code == 400
    after = rows(ctx)
    assert after["request"] == before["request"] == 0
    assert after["message"] == 0


def test_a_wrong_address_is_named_and_kept_in_the_form(ctx: Context, client: Browser, link: bytes) -> None:
    answer = client.submit(f"/connect/{link.hex()}", {"address": "bob@gmial.com"})
    assert answer.status_code == 422
    assert "Did you mean gmail.com?" in answer.text
    assert 'value="bob@gmial.com"' in answer.text
    assert count(ctx, request) == 0


def test_the_honey_field_is_answered_alike_and_asks_nobody(ctx: Context, client: Browser, link: bytes) -> None:
    assert client.submit(f"/connect/{link.hex()}", {**FORM, "website": "x"}).status_code == 303
    assert process_connects(ctx) == 0


def test_a_form_sent_at_once_waits(ctx: Context, client: Browser, link: bytes) -> None:
    shown = re.search(r'name="shown" value="([^"]+)"', client.page(f"/connect/{link.hex()}"))
    assert shown
    client.submit(f"/connect/{link.hex()}", {**FORM, "shown": shown[1]})
    assert process_connects(ctx) == 0


def test_switched_off_stopped_and_never_made_are_one_page(
    ctx: Context, client: Browser, world: World, alice: MadeMember, link: bytes
) -> None:
    bob = world.member("bob@example.org", "Bob Holm")
    stopped, never_made = make_link(ctx, bob.actor, label="Fair"), b"n" * 16
    close_link(ctx, alice.actor, link)
    with ctx.db.transaction() as conn:
        conn.execute(update(member).where(member.c.id == bob.id).values(suspended=1))
    pages, posted, badges = set(), set(), set()
    for ref in (link, stopped, never_made):
        path = f"/connect/{ref.hex()}"
        pages.add(client.page(path, 410).replace(path, ""))
        answer = client.submit(path, FORM)
        assert answer.status_code == 410
        posted.add(answer.text.replace(path, ""))
        badges.add(client.page(f"/badge/{ref.hex()}"))
    assert len(pages) == len(posted) == len(badges) == 1
    assert "This link is switched off" in pages.pop()
    assert "This link is switched off" in badges.pop()
    assert count(ctx, request) == 0


def test_the_badge_is_a_small_sandboxed_page_that_any_site_may_frame(client: Browser, link: bytes) -> None:
    answer = client.get(f"/badge/{link.hex()}")
    rules = policy(answer.headers)
    assert rules["frame-ancestors"] == "*"
    assert rules["sandbox"] == "allow-popups allow-popups-to-escape-sandbox"
    assert (rules["default-src"], rules["style-src"], rules["form-action"]) == ("'none'", "'self'", "'none'")
    assert "script-src" not in rules
    assert "X-Frame-Options" not in answer.headers
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cross-Origin-Opener-Policy"] == "unsafe-none"
    assert 'target="_blank" rel="noopener noreferrer"' in answer.text
    assert f"/connect/{link.hex()}" in answer.text
    assert "Alice Berg" in answer.text
    for kept in ("alice@example.org", "My secret blog", "<form", "<script", "<img", "style="):
        assert kept not in answer.text
    assert len(answer.data) + len((STATIC / "badge.css").read_bytes()) < 4_000


def test_the_badges_style_sheet_may_be_loaded_from_its_sandbox(client: Browser) -> None:
    for name, policy in (("badge.css", "cross-origin"), ("outreach.css", "same-origin")):
        with client.get(f"/static/{name}") as loaded:
            assert loaded.headers["Cross-Origin-Resource-Policy"] == policy


def test_the_badge_is_the_same_whatever_cookie_comes_and_sets_none(
    client: Browser, member_client: Any, link: bytes
) -> None:
    bob = member_client()
    with bob.session_transaction() as cookie:
        cookie["_flashes"] = [("ok", "Something meant for another page")]
    answers = [browser.get(f"/badge/{link.hex()}") for browser in (client, bob)]
    assert answers[0].data == answers[1].data
    assert all("Set-Cookie" not in answer.headers for answer in answers)
    with bob.session_transaction() as cookie:
        assert cookie["_flashes"]


@pytest.mark.parametrize(
    ("path", "method"), [("/connect/{0}", "PUT"), ("/badge/{0}", "POST"), ("/connect/asked", "POST")]
)
def test_nothing_else_can_be_sent_there(ctx: Context, client: Browser, link: bytes, path: str, method: str) -> None:
    before = rows(ctx)
    assert client.open(path.format(link.hex()), method=method).status_code in {400, 405}
    assert rows(ctx) == before


def test_the_question_shows_two_answers_of_equal_weight_and_looking_answers_none(
    ctx: Context, client: Browser, link: bytes
) -> None:
    token = asked(ctx, link, "bob@example.org")
    before = rows(ctx)
    assert client.head(f"/connect/confirm/{token}").status_code == 200
    answer = client.get(f"/connect/confirm/{token}")
    page = answer.text
    assert rows(ctx) == before
    assert page.count('class="btn even wide"') == page.count("<button") == 2
    assert "Yes, ask Alice Berg" in page
    assert "b•••@e•••.org" in page
    assert re.search(r'href="/invitation/[^"]+/never"', page)
    assert re.search(r'href="/invitation/[^"]+/report"', page)
    for kept in ("bob@example.org", "alice@example.org", "My secret blog", "<script"):
        assert kept not in page
    assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_yes_confirms_once(ctx: Context, client: Browser, link: bytes) -> None:
    token = asked(ctx, link, "bob@example.org")
    path = f"/connect/confirm/{token}"
    answer = client.submit(path, {"answer": "yes"})
    assert (answer.status_code, answer.location) == (303, path)
    assert "<h1>Confirmed</h1>" in client.page(path)
    assert "You have already confirmed" in client.submit(path, {"answer": "yes"}).text
    assert count(ctx, invitation, invitation.c.answer == "accepted") == 1


def test_no_and_taking_a_yes_back_are_as_easy(ctx: Context, client: Browser, link: bytes) -> None:
    path = f"/connect/confirm/{asked(ctx, link, 'bob@example.org')}"
    client.submit(path, {"answer": "yes"})
    assert "Take my request back" in client.page(path)
    assert client.submit(path, {"answer": "no"}).status_code == 303
    page = client.page(path)
    assert "Your answer is no" in page
    assert "<button" not in page
    assert count(ctx, invitation, invitation.c.answer == "declined") == 1


def test_a_press_needs_the_pages_token_and_one_of_the_two_buttons(ctx: Context, client: Browser, link: bytes) -> None:
    path = f"/connect/confirm/{asked(ctx, link, 'bob@example.org')}"
    assert client.post(path, data={"answer": "yes"}).status_code == 400
    refused = client.submit(path)
    assert refused.status_code == 422
    assert "Choose one of the two buttons." in refused.text
    assert count(ctx, invitation, invitation.c.answer.is_not(None)) == 0


def test_a_scanner_that_presses_at_once_is_asked_one_human_step(ctx: Context, client: Browser, link: bytes) -> None:
    path = f"/connect/confirm/{asked(ctx, link, 'bob@example.org', ago=2)}"
    page = client.submit(path, {"answer": "yes"}).text
    assert "I am a person, and I asked for this." in page
    assert count(ctx, invitation, invitation.c.answer.is_not(None)) == 0
    client.submit(path, {"answer": "yes", "human": "yes"})
    assert count(ctx, invitation, invitation.c.answer == "accepted") == 1


def test_a_link_used_up_meanwhile_is_told_so(ctx: Context, client: Browser, alice: MadeMember) -> None:
    ref = make_link(ctx, alice.actor, label="Fair", most=1)
    first, second = asked(ctx, ref, "bob@example.org"), asked(ctx, ref, "eve@example.org")
    client.submit(f"/connect/confirm/{first}", {"answer": "yes"})
    page = client.page(f"/connect/confirm/{second}")
    assert "This link is switched off" in page
    assert "<button" not in page
    assert count(ctx, message, message.c.origin == "notice") == 0


def test_pages_speak_the_language_chosen(ctx: Context, client: Browser, link: bytes) -> None:
    for lang in ("sv", "nl"):
        assert f'<html lang="{lang}"' in client.page(f"/connect/{link.hex()}?lang={lang}")
        assert f'<html lang="{lang}"' in client.page(f"/badge/{link.hex()}?lang={lang}")
        answer = client.submit(f"/connect/{link.hex()}?lang={lang}", FORM)
        assert answer.location == f"/connect/asked?lang={lang}"


def test_pages_stay_under_twenty_kilobytes(ctx: Context, client: Browser, link: bytes) -> None:
    style = len((STATIC / "outreach.css").read_bytes())
    token = asked(ctx, link, "bob@example.org")
    for path in (f"/connect/{link.hex()}", f"/connect/confirm/{token}"):
        assert len(client.page(path).encode()) + style < 20_000
