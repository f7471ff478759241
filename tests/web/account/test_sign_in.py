"""Signing in and out over HTTP: nothing can be fixed in a cookie, nothing tells who exists, GET changes nothing."""

from collections.abc import Callable

from flask import Flask
from sqlalchemy import func, select

from outreach.store.schema.audit import audit_entry
from outreach.store.schema.organisation import staff_session
from outreach.web.security import SIGNED_IN
from tests.factories import World
from tests.services.staffing import PASSWORD, hire
from tests.web.conftest import Browser

ALICE = "alice@northfield.example"


def sign_in(browser: Browser, address: str = ALICE, password: str = PASSWORD, target: str = "") -> str:
    """Where signing in leads; empty when it does not work."""
    answer = browser.submit("/sign-in", {"address": address, "password": password, "next": target})
    return answer.location or ""


def test_signing_in_leads_back_to_the_page_that_was_wanted(world: World, client: Browser) -> None:
    hire(world, address=ALICE)
    assert sign_in(client, target="/account?x=1") == "/account?x=1"
    assert "Your account" in client.page("/account")


def test_signing_in_never_leads_elsewhere(world: World, client: Browser) -> None:
    hire(world, address=ALICE)
    assert sign_in(client, target="https://evil.example/") == "/home"
    assert sign_in(client, target="//evil.example/") == "/home"


def test_wrong_and_unknown_look_the_same(world: World, client: Browser) -> None:
    hire(world, address=ALICE)
    pages = []
    for address in (ALICE, "nobody@northfield.example"):
        answer = client.submit("/sign-in", {"address": address, "password": "not the password"})
        assert answer.status_code == 422
        text = answer.get_data(as_text=True)
        token = text.split('name="csrf_token" value="')[1].split('"')[0]
        pages.append(text.replace(address, "…").replace(token, "…"))
    assert pages[0] == pages[1]


def test_the_password_is_never_echoed(world: World, client: Browser) -> None:
    answer = client.submit("/sign-in", {"address": ALICE, "password": "a secret that was mistyped"})
    assert "a secret that was mistyped" not in answer.get_data(as_text=True)


def test_the_session_in_the_cookie_changes_at_every_sign_in(world: World, client: Browser) -> None:
    hire(world, address=ALICE)
    with client.session_transaction() as cookie:
        cookie["planted"] = "by somebody else"
        cookie["csrf_token"] = "known to somebody else"
    sign_in(client)
    with client.session_transaction() as cookie:
        first = cookie[SIGNED_IN]
        assert "planted" not in cookie
        assert cookie.get("csrf_token") != "known to somebody else"
    sign_in(client)
    with client.session_transaction() as cookie:
        assert cookie[SIGNED_IN] != first


def test_signing_out_ends_the_session_for_a_copied_cookie_too(app: Flask, world: World, client: Browser) -> None:
    hire(world, address=ALICE)
    sign_in(client)
    with client.session_transaction() as cookie:
        token = cookie[SIGNED_IN]
    client.submit("/sign-out")
    thief = app.test_client()
    assert isinstance(thief, Browser)
    thief.carry(token)
    assert thief.get("/home").status_code == 303


def test_a_form_of_another_user_or_an_earlier_session_is_refused(
    app: Flask, world: World, client: Browser, signed_in: Callable[..., Browser]
) -> None:
    hire(world, address=ALICE)
    before = client.csrf_token()
    sign_in(client)
    other = signed_in("marketer").csrf_token()
    for stale in (before, other, "", "x"):
        answer = client.post("/sign-out", data={"csrf_token": stale})
        assert answer.status_code == 400
        assert "Nothing was changed" in answer.get_data(as_text=True)
    assert client.get("/home").status_code == 200


def test_attempts_are_limited_by_network_and_by_account(app: Flask, world: World) -> None:
    hire(world, address=ALICE)
    statuses = []
    for number in range(11):
        browser = app.test_client()
        assert isinstance(browser, Browser)
        answer = browser.submit(
            "/sign-in",
            {"address": ALICE, "password": "guess number such"},
            environ_base={"REMOTE_ADDR": f"198.51.{number}.7"},
        )
        statuses.append(answer.status_code)
    assert statuses == [422] * 10 + [429]


def test_looking_at_pages_starts_no_session_and_writes_no_entry(world: World, client: Browser) -> None:
    hire(world, address=ALICE)
    for path in ("/sign-in", "/forgot", "/home", "/account", "/sign-out"):
        client.get(path)
        client.head(path)
    with world.ctx.db.reading() as conn:
        assert conn.execute(select(func.count()).select_from(staff_session)).scalar_one() == 0
        assert conn.execute(select(func.count()).select_from(audit_entry)).scalar_one() == 0
