"""A member's doors: who may come in, signing in and out, and looking after the account."""

from collections.abc import Callable

from sqlalchemy import select, update
from werkzeug.test import TestResponse

from outreach.domain.tokens import Purpose
from outreach.services.join import process_member_requests
from outreach.store.schema.consents import confirmation
from outreach.store.schema.members import member, member_session
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


def token_in_the_mail(world: World) -> str:
    """Of the newest request for an account, taken by the engine."""
    process_member_requests(world.ctx)
    with world.ctx.db.reading() as conn:
        query = select(confirmation.c.ref).where(confirmation.c.about == "account")
        ref = conn.execute(query.order_by(confirmation.c.id.desc()).limit(1)).scalar_one()
        return world.ctx.tokens.issue(Purpose.ACCOUNT, ref, world.ctx.db.now(conn))


def choose(client: Browser, token: str, **typed: str) -> TestResponse:
    return client.submit(f"/members/choose/{token}", {"password": PASSWORD, "again": PASSWORD, **typed})


def test_the_start_page_leads_both_ways_and_knows_a_member(
    client: Browser, member_client: Callable[..., Browser]
) -> None:
    page = client.page("/members")
    assert "/members/sign-in" in page and "/members/start" in page
    assert "/me" in member_client().page("/members")


def test_the_door_answers_the_same_to_everybody(client: Browser, world: World) -> None:
    world.member("member@example.org")
    answers = [client.submit("/members/start", {"address": f"{who}@example.org"}) for who in ("member", "nobody")]
    assert [(answer.status_code, answer.location) for answer in answers] == [(303, "/members/started")] * 2
    assert "tells nobody who has one" in client.page("/members/started")


def test_what_is_no_address_is_said_at_its_field_and_where_one_was_going_is_kept(client: Browser) -> None:
    answer = client.submit("/members/start", {"address": "alice", "back": "incoming/" + "ab" * 16})
    page = answer.get_data(as_text=True)
    assert answer.status_code == 422
    assert "has one @ in it" in page and 'aria-invalid="true"' in page and "incoming/abab" in page


def test_opening_the_link_makes_nothing_and_signs_nobody_in(client: Browser, world: World) -> None:
    client.submit("/members/start", {"address": "alice@example.org"})
    token = token_in_the_mail(world)
    page = client.page(f"/members/choose/{token}")
    assert "a•••@e•••.org" in page and "alice@example.org" not in page
    assert client.get("/me").status_code == 303
    with world.ctx.db.reading() as conn:
        assert conn.execute(select(member)).first() is None


def test_the_press_makes_the_account_and_goes_on_to_what_waits(client: Browser, world: World) -> None:
    waiting = "incoming/" + "ab" * 16
    client.submit("/members/start", {"address": "alice@example.org", "back": waiting})
    token = token_in_the_mail(world)
    assert choose(client, token, name="Alice Berg").location == f"/me/{waiting}"
    page = client.page("/me")
    assert "Alice Berg" in page and "Your account is made" in page
    assert client.get(f"/members/choose/{token}").status_code == 410


def test_each_wrong_answer_is_named_at_its_field(client: Browser, world: World) -> None:
    client.submit("/members/start", {"address": "alice@example.org"})
    token = token_in_the_mail(world)
    wrong = (
        ({"name": ""}, "Type the name others know you by"),
        ({"name": "Northfield"}, "who runs this site"),
        ({"name": "The support team"}, "as if it came from our staff"),
        ({"name": "Alice", "password": "short", "again": "short"}, "12 characters or more"),
        ({"name": "Alice", "again": "another one, it seems"}, "The two passwords differ"),
        ({"name": "alice@example.org"}, "Leave e-mail addresses out"),
    )
    for typed, said in wrong:
        answer = choose(client, token, **typed)
        assert answer.status_code == 422
        assert said in answer.get_data(as_text=True)


def test_a_broken_link_says_so_in_the_readers_language(client: Browser) -> None:
    assert "not complete" in client.page("/members/choose/nonsense", 404)


def test_signing_in_leads_only_to_our_own_pages(client: Browser, world: World) -> None:
    world.member("alice@example.org", password=PASSWORD)
    typed = {"address": "alice@example.org", "password": PASSWORD, "next": "https://evil.example/"}
    assert client.submit("/members/sign-in", typed).location == "/me"


def test_a_member_changes_their_account(member_client: Callable[..., Browser], world: World) -> None:
    browser = member_client(world.member("alice@example.org"))
    assert "alice@example.org" in browser.page("/me/account")
    typed = {"name": "Alice Berg", "locale": "sv", "timezone": "Europe/Stockholm", "notify": "y"}
    assert browser.submit("/me/account", typed).location == "/me/account"
    page = browser.page("/me/account")
    assert 'lang="sv"' in page and "Alice Berg" in page and "checked" in page
    assert browser.submit("/me/account", {**typed, "name": "www.example.org"}).status_code == 422


def test_mail_about_answers_is_off_at_first(member_client: Callable[..., Browser]) -> None:
    assert " checked" not in member_client().page("/me/account")


def test_a_member_changes_their_password_and_stays_signed_in(
    member_client: Callable[..., Browser], world: World
) -> None:
    who = world.member("alice@example.org", password=PASSWORD)
    browser, other = member_client(who), member_client(who)
    new = {"present": PASSWORD, "password": "four brown otters", "again": "four brown otters"}
    assert browser.submit("/me/account/password", {**new, "present": "wrong"}).status_code == 422
    assert browser.submit("/me/account/password", new).location == "/me/account"
    assert browser.get("/me").status_code == 200
    assert other.get("/me").status_code == 303


def test_a_member_ends_another_session(member_client: Callable[..., Browser], world: World) -> None:
    who = world.member()
    browser, other, third = member_client(who), member_client(who), member_client(who)
    with world.ctx.db.reading() as conn:
        refs = list(conn.execute(select(member_session.c.ref).order_by(member_session.c.id)).scalars())
    assert browser.submit(f"/me/account/sessions/{refs[1].hex()}/end").status_code == 303
    assert other.get("/me").status_code == 303
    assert browser.submit("/me/account/sessions/end-others").status_code == 303
    assert third.get("/me").status_code == 303
    assert browser.get("/me").status_code == 200


def test_closing_asks_the_password_and_offers_to_keep_it_as_large(
    member_client: Callable[..., Browser], world: World
) -> None:
    browser = member_client(world.member("alice@example.org", password=PASSWORD))
    page = browser.page("/me/account/close")
    assert page.count("btn even wide") == 2
    assert browser.submit("/me/account/close", {"password": "wrong"}).status_code == 422
    assert browser.submit("/me/account/close", {"password": PASSWORD}).location == "/members"
    assert "is closed" in browser.page("/members")
    assert browser.get("/me").status_code == 303


def test_a_paused_account_says_so_on_its_first_page(member_client: Callable[..., Browser], world: World) -> None:
    who = world.member()
    with world.ctx.db.transaction() as conn:
        conn.execute(update(member).where(member.c.id == who.id).values(suspended=world.now, suspended_for="reports"))
    assert "Your account is paused since" in member_client(who).page("/me")


def test_a_form_of_another_session_is_refused(member_client: Callable[..., Browser]) -> None:
    mine, theirs = member_client(), member_client()
    answer = mine.post("/me/sign-out", data={"csrf_token": theirs.csrf_token()})
    assert answer.status_code == 400
    assert mine.get("/me").status_code == 200
