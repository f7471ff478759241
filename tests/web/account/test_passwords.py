"""Set-up, forgetting and changing a password, and proving it again, over HTTP."""

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import func, select

from outreach.services import staff_passwords
from outreach.services.context import Context
from outreach.services.set_up import make_set_up_link
from outreach.store.schema.consents import request
from outreach.store.schema.organisation import staff, staff_session
from tests.factories import World
from tests.services.staffing import PASSWORD, hire
from tests.services.test_staff import mailed_tokens
from tests.web.conftest import Browser

ALICE = "alice@northfield.example"
NEW = "eight calm otters"
SET_UP = {
    "name": "Northfield Garden Society",
    "postal_address": "1 Orchard Lane",
    "country": "SE",
    "locale": "sv",
    "timezone": "Europe/Stockholm",
    "sender_name": "Northfield",
    "sender_from_local": "news",
    "sender_from_domain": "northfield.example",
    "your_name": "Alice Archer",
    "address": ALICE,
    "password": PASSWORD,
    "again": PASSWORD,
    "roles": ["officer", "marketer"],
}


def path_of(link: str) -> str:
    return "/set-up/" + link.rsplit("/", 1)[1]


def test_set_up_by_link_signs_in_and_works_once(ctx: Context, client: Browser) -> None:
    path = path_of(make_set_up_link(ctx))
    assert "Set up this installation" in client.page(path)
    assert client.submit(path, SET_UP).location == "/home"
    assert "Northfield Garden Society" in client.page("/home")
    assert client.submit(path, SET_UP).status_code == 409
    client.page(path, 409)


def test_opening_the_set_up_link_changes_nothing_and_signs_nobody_in(ctx: Context, client: Browser) -> None:
    path = path_of(make_set_up_link(ctx))
    for _ in range(3):
        client.get(path)
        client.head(path)
    assert client.get("/home").status_code == 303
    with ctx.db.reading() as conn:
        assert conn.execute(select(func.count()).select_from(staff)).scalar_one() == 0


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("again", "something else entirely", "differ"),
        ("password", "short", "12 characters"),
        ("sender_from_domain", "gmail.com", "not yours to send from"),
        ("address", "alice@gmial.com", "gmail.com"),
        ("country", "", "Choose the country"),
    ],
)
def test_faults_in_the_set_up_form_are_named_and_the_rest_is_kept(
    ctx: Context, client: Browser, field: str, value: str, words: str
) -> None:
    path = path_of(make_set_up_link(ctx))
    typed = {**SET_UP, field: value}
    if field == "password":
        typed["again"] = value
    answer = client.submit(path, typed)
    text = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert words in text
    assert 'value="Northfield Garden Society"' in text
    assert PASSWORD not in text


def test_forgetting_answers_the_same_for_known_and_unknown(world: World, client: Browser) -> None:
    hire(world, address=ALICE)
    pages = []
    for address in (ALICE, "nobody@northfield.example"):
        answer = client.submit("/forgot", {"address": address})
        assert answer.status_code == 303
        pages.append((answer.location, client.page(answer.location or "")))
    assert pages[0] == pages[1]
    with world.ctx.db.reading() as conn:
        assert conn.execute(select(func.count()).select_from(request)).scalar_one() == 2


def test_a_mailed_link_shows_on_get_acts_on_post_and_does_not_sign_in(world: World, client: Browser) -> None:
    hire(world, address=ALICE)
    client.submit("/forgot", {"address": ALICE})
    staff_passwords.process_staff_requests(world.ctx)
    (token,) = mailed_tokens(world.ctx)
    path = f"/password/{token}"
    for _ in range(2):
        answer = client.get(path)
        assert answer.status_code == 200
        assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert client.get("/home").status_code == 303
    assert client.submit(path, {"password": NEW, "again": NEW}).location == "/sign-in"
    assert client.get("/home").status_code == 303
    client.page(path, 410)
    with world.ctx.db.reading() as conn:
        assert conn.execute(select(func.count()).select_from(staff_session)).scalar_one() == 0
    assert client.submit("/sign-in", {"address": ALICE, "password": NEW}).location == "/home"


def test_changing_the_password_ends_the_other_browser(app: Flask, world: World, client: Browser) -> None:
    hire(world, address=ALICE)
    other = app.test_client()
    assert isinstance(other, Browser)
    for browser in (client, other):
        browser.submit("/sign-in", {"address": ALICE, "password": PASSWORD})
    answer = client.submit("/account/password", {"present": PASSWORD, "password": NEW, "again": NEW})
    assert answer.location == "/account"
    assert "Every other session was ended" in client.page("/account")
    assert other.get("/home").status_code == 303


def test_changing_the_password_needs_the_present_one(world: World, client: Browser) -> None:
    hire(world, address=ALICE)
    client.submit("/sign-in", {"address": ALICE, "password": PASSWORD})
    answer = client.submit("/account/password", {"present": "a guess", "password": NEW, "again": NEW})
    assert answer.status_code == 422
    assert "not your present password" in answer.get_data(as_text=True)


def test_sensitive_pages_ask_for_the_password_again_and_come_back(world: World, client: Browser) -> None:
    hire(world, address=ALICE)
    client.submit("/sign-in", {"address": ALICE, "password": PASSWORD})
    assert world.ctx.settings.clock_file is not None
    world.ctx.settings.clock_file.write_text("601")
    answer = client.get("/settings/staff/invite")
    assert answer.location == "/account/prove?next=/settings/staff/invite"
    assert client.submit("/settings/staff/invite", {"name": "B"}).location == "/account/prove"
    assert "was not kept" in client.page("/account/prove")
    typed = {"password": "a guess", "next": "/settings/staff/invite"}
    assert client.submit("/account/prove", typed).status_code == 422
    assert client.submit("/account/prove", {**typed, "password": PASSWORD}).location == "/settings/staff/invite"
    assert "Invite somebody" in client.page("/settings/staff/invite")


def test_one_sees_and_ends_ones_sessions(app: Flask, world: World, client: Browser) -> None:
    hire(world, address=ALICE)
    other = app.test_client()
    assert isinstance(other, Browser)
    for browser in (client, other):
        browser.submit("/sign-in", {"address": ALICE, "password": PASSWORD})
    page = client.page("/account")
    assert page.count("127.0.0.0/24") == 2
    client.submit("/account/sessions/end-others")
    assert other.get("/home").status_code == 303
    assert client.get("/home").status_code == 200


def test_nobody_ends_somebody_elses_session(world: World, signed_in: Callable[..., Browser]) -> None:
    alice, charlie = signed_in("marketer"), signed_in("administrator")
    with world.ctx.db.reading() as conn:
        query = select(staff_session.c.ref).where(staff_session.c.staff == alice.staff_id)
        ref = conn.execute(query).scalar_one()
    assert charlie.submit(f"/account/sessions/{ref.hex()}/end").status_code == 404
    assert alice.get("/home").status_code == 200
