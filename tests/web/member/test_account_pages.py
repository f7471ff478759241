"""A member's doors: who may come in, signing in and out, and looking after the account."""

from collections.abc import Callable

from sqlalchemy import select

from outreach.store.schema.members import member_session
from outreach.store.schema.organisation import staff_session
from tests.factories import World
from tests.web.conftest import Browser

PASSWORD = "seven quiet herons"


def test_a_signed_in_member_sees_their_overview(member_client: Callable[..., Browser], world: World) -> None:
    page = member_client(world.member(name="Alice Berg")).page("/me")
    assert "Alice Berg" in page and 'aria-current="page"' in page


def test_a_visitor_at_a_members_door_is_asked_to_sign_in(client: Browser, world: World) -> None:
    answer = client.get("/me")
    assert (answer.status_code, answer.location) == (303, "/members/sign-in?next=/me")


def test_staff_at_a_members_door_stay_staff_until_they_sign_in_as_a_member(
    signed_in: Callable[..., Browser], world: World
) -> None:
    world.member("alice@example.org", password=PASSWORD)
    browser = signed_in("officer")
    assert browser.get("/me").location == "/members/sign-in?next=/me"
    assert browser.get("/home").status_code == 200
    typed = {"address": "alice@example.org", "password": PASSWORD, "next": "/me"}
    assert browser.submit("/members/sign-in", typed).location == "/me"
    assert browser.get("/me").status_code == 200
    assert browser.get("/home").location == "/sign-in?next=/home"
    with world.ctx.db.reading() as conn:
        assert conn.execute(select(staff_session.c.ended)).scalar_one() is not None


def test_a_member_does_not_get_through_staffs_doors(member_client: Callable[..., Browser]) -> None:
    browser = member_client()
    for path in ("/home", "/account", "/compliance", "/settings/staff"):
        answer = browser.get(path)
        assert (answer.status_code, answer.location) == (303, f"/sign-in?next={path}")
    assert browser.get("/me").status_code == 200


def test_signing_out_ends_the_session(member_client: Callable[..., Browser], world: World) -> None:
    browser = member_client()
    assert browser.submit("/me/sign-out").location == "/members/sign-in"
    assert browser.get("/me").status_code == 303
    with world.ctx.db.reading() as conn:
        assert conn.execute(select(member_session.c.ended)).scalar_one() is not None


def test_a_wrong_password_signs_nobody_in(client: Browser, world: World) -> None:
    world.member("alice@example.org", password=PASSWORD)
    for address in ("alice@example.org", "nobody@example.org", "no address"):
        answer = client.submit("/members/sign-in", {"address": address, "password": "a wrong one indeed"})
        assert answer.status_code == 422
        assert "do not belong together" in answer.get_data(as_text=True)
    assert client.get("/me").status_code == 303
