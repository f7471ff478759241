"""Pages of what came in and of connections: what each shows, what each button does, and who finds nothing."""

import re
from collections.abc import Callable

import pytest

from outreach.services.context import Context
from tests.factories import MadeMember, World
from tests.services.connecting import (
    NOTE,
    connected,
    everything,
    handed,
    link_of,
    mailed,
    notice_link_of,
    requested,
    row_of,
)
from tests.web.conftest import Browser

ALICE, BOB, CAROL = "alice@inviters.example", "bob@recipients.example", "carol@outside.example"
ADDRESS = re.compile(r"(?!with-[a-z2-7]{26}@in\.localhost)(?<![\w.+-])[\w.+-]+@[\w.-]+\.[a-z]+")

SignIn = Callable[..., Browser]


@pytest.fixture
def alice(world: World) -> MadeMember:
    return world.member(ALICE, "Alice Berg")


@pytest.fixture
def bob(world: World) -> MadeMember:
    return world.member(BOB, "Bob Lind")


@pytest.fixture
def dora(world: World) -> MadeMember:
    return world.member("dora@third.example", "Dora Nyman")


@pytest.fixture
def pair(ctx: Context, alice: MadeMember, bob: MadeMember) -> str:
    """The page of a connection that Alice invited Bob into."""
    return f"/me/connections/{connected(ctx, alice, bob.person).hex()}"


def test_an_invitation_asks_with_nothing_ticked_and_two_equal_buttons(
    ctx: Context, alice: MadeMember, bob: MadeMember, member_client: SignIn
) -> None:
    ref = mailed(ctx, alice, bob.person)
    browser = member_client(bob)
    assert "Alice Berg invites you to connect" in browser.page("/me/incoming")
    page = browser.page(f"/me/incoming/{ref.hex()}")
    assert "Alice Berg would like to connect with you" in page
    assert NOTE in page
    assert "Show my name (Bob Lind)" in page
    assert "Show my address (b•••@r•••.example)" in page
    assert "checked" not in page
    assert page.count('class="btn even wide"') == 2
    assert ADDRESS.findall(page) == []


@pytest.mark.parametrize(
    ("ticked", "shown"), [({}, ()), ({"name": "yes"}, ("Bob Lind",)), ({"address": "yes"}, (BOB,))]
)
def test_accepting_leads_to_the_connection_and_shows_what_was_ticked(
    ctx: Context,
    alice: MadeMember,
    bob: MadeMember,
    member_client: SignIn,
    ticked: dict[str, str],
    shown: tuple[str, ...],
) -> None:
    ref = mailed(ctx, alice, bob.person)
    done = member_client(bob).submit(f"/me/incoming/{ref.hex()}/accept", ticked)
    assert (done.status_code, done.location[:16]) == (303, "/me/connections/")
    page = member_client(alice).page(done.location)
    for mine in ("Bob Lind", BOB):
        assert (mine in page) == (mine in shown)
    assert member_client(bob).get(f"/me/incoming/{ref.hex()}").location == done.location


def test_refusing_leads_back_and_nothing_is_left(
    ctx: Context, alice: MadeMember, bob: MadeMember, member_client: SignIn
) -> None:
    ref = mailed(ctx, alice, bob.person)
    browser = member_client(bob)
    assert browser.submit(f"/me/incoming/{ref.hex()}/refuse").location == "/me/incoming"
    page = browser.page("/me/incoming")
    assert "Refused. Nobody is told." in page
    assert "Nothing waits for an answer." in page
    browser.page(f"/me/incoming/{ref.hex()}", 404)
    assert "declined" not in member_client(alice).page(f"/me/invitations/{ref.hex()}").lower()


def test_looking_changes_nothing(
    ctx: Context, dora: MadeMember, bob: MadeMember, member_client: SignIn, pair: str
) -> None:
    by_mail, (by_hand, token) = mailed(ctx, dora, bob.person), handed(ctx, dora)
    browser, _ = member_client(bob), member_client(dora)
    with browser.session_transaction() as cookie:
        cookie["hand"] = token
    before = everything(ctx)
    for path in (
        "/me/incoming",
        f"/me/incoming/{by_mail.hex()}",
        f"/me/incoming/{by_hand.hex()}",
        "/me/connections",
        pair,
    ):
        browser.page(path)
    assert everything(ctx) == before


def test_a_handed_link_is_answered_in_the_browser_that_holds_it(
    ctx: Context, alice: MadeMember, bob: MadeMember, member_client: SignIn
) -> None:
    ref, token = handed(ctx, alice)
    browser, path = member_client(bob), f"/me/incoming/{ref.hex()}"
    assert "open that link again now" in browser.page(path, 404)
    assert browser.submit(f"{path}/accept").status_code == 404
    with browser.session_transaction() as cookie:
        cookie["hand"] = token
    page = browser.page(path)
    assert token not in page
    assert "by a link you were handed" in browser.page("/me/incoming")
    assert browser.submit(f"{path}/accept", {"name": "yes"}).location.startswith("/me/connections/")


def test_ones_own_link_says_that_it_is_ones_own(ctx: Context, alice: MadeMember, member_client: SignIn) -> None:
    ref, token = handed(ctx, alice)
    browser = member_client(alice)
    with browser.session_transaction() as cookie:
        cookie["hand"] = token
    for answer in (
        browser.get(f"/me/incoming/{ref.hex()}"),
        browser.submit(f"/me/incoming/{ref.hex()}/accept"),
        browser.submit(f"/me/incoming/{ref.hex()}/refuse"),
    ):
        assert answer.location == "/me/incoming"
    assert "your own invitation" in browser.page("/me/incoming")


def test_a_request_says_through_which_link_and_nothing_of_whom(
    ctx: Context, alice: MadeMember, world: World, member_client: SignIn
) -> None:
    ref = requested(ctx, alice, world.person("vera@nowhere.example", name="Vera"))
    browser = member_client(alice)
    path = f"/me/incoming/{ref.hex()}"
    for page in (browser.page("/me/incoming"), browser.page(path)):
        assert "Somebody" in page
        assert "On my card" in page
        assert not re.search("vera|nowhere|v•••", page, re.IGNORECASE)
    assert 'name="name"' not in browser.page(path)
    done = browser.submit(f"{path}/accept")
    page = browser.page(done.location)
    assert "Connected with somebody" in page
    assert "they asked through your connect link, and you accepted" in page
    assert ADDRESS.findall(page) == []


def test_showing_an_address_and_taking_it_back_count_for_the_very_next_look(
    alice: MadeMember, bob: MadeMember, member_client: SignIn, pair: str
) -> None:
    hers, his = member_client(alice), member_client(bob)
    assert BOB not in hers.page(pair)
    assert "Show them my address (b•••@r•••.example)" in his.page(pair)
    assert his.submit(f"{pair}/disclose", {"what": "address"}).location == pair
    assert BOB in hers.page(pair)
    assert "Stop showing my address" in his.page(pair)
    his.submit(f"{pair}/take-back", {"what": "address"})
    for browser in (hers, his):
        page = browser.page(pair)
        assert BOB not in page
        assert "was visible from" in page
        assert "what was seen is seen" in page
    assert BOB not in hers.page("/me/connections")


def test_the_list_shows_names_and_never_an_address(
    alice: MadeMember, bob: MadeMember, member_client: SignIn, pair: str
) -> None:
    his = member_client(bob)
    for what in ("name", "address"):
        his.submit(f"{pair}/disclose", {"what": what})
    page = member_client(alice).page("/me/connections")
    assert "Bob Lind" in page
    assert ADDRESS.findall(page) == []


def test_nothing_else_can_be_shown(ctx: Context, bob: MadeMember, member_client: SignIn, pair: str) -> None:
    browser = member_client(bob)
    before = everything(ctx)
    for act in ("disclose", "take-back"):
        for data in ({}, {"what": "everything"}):
            assert browser.submit(f"{pair}/{act}", data).status_code == 400
    assert everything(ctx) == before


def test_a_muted_connection_stands_folded_at_the_end(bob: MadeMember, member_client: SignIn, pair: str) -> None:
    browser = member_client(bob)
    assert "<details>" not in browser.page("/me/connections")
    browser.submit(f"{pair}/mute")
    assert "<details>" in browser.page("/me/connections")
    assert "Unmute this connection" in browser.page(pair)
    browser.submit(f"{pair}/unmute")
    assert "<details>" not in browser.page("/me/connections")


def test_after_an_end_both_pages_hold_nothing_of_the_other(
    alice: MadeMember, bob: MadeMember, member_client: SignIn, pair: str
) -> None:
    hers, his = member_client(alice), member_client(bob)
    for what in ("name", "address"):
        his.submit(f"{pair}/disclose", {"what": what})
    his.submit(f"{pair}/end")
    for browser, ender in ((hers, "The other side ended it."), (his, "You ended it.")):
        page = browser.page(pair)
        assert "A connection, ended on" in page
        assert ender in page
        assert f'action="{pair}' not in page
    for path in (pair, "/me/connections"):
        assert not re.search("Bob|bob@", hers.page(path))
        assert "Alice" not in his.page(path)
    assert his.submit(f"{pair}/disclose", {"what": "name"}).status_code == 409


def test_an_outsider_finds_nothing_and_changes_nothing(
    ctx: Context, dora: MadeMember, bob: MadeMember, world: World, member_client: SignIn, pair: str
) -> None:
    member_client(bob).submit(f"{pair}/disclose", {"what": "address"})
    came = [
        f"/me/incoming/{ref.hex()}" for ref in (mailed(ctx, dora, bob.person), requested(ctx, dora, world.person()))
    ]
    outsider = member_client(world.member(CAROL, "Carol"))
    before = everything(ctx)
    for path in (pair, *came):
        page = outsider.page(path, 404)
        assert not re.search("Alice|Bob|Dora|third|inviters|recipients", page)
    posts = [f"{pair}/{act}" for act in ("disclose", "take-back", "mute", "unmute", "end")]
    posts += [f"{path}/{act}" for path in came for act in ("accept", "refuse")]
    for path in posts:
        assert outsider.submit(path, {"what": "address", "address": "yes"}).status_code == 404, path
    assert everything(ctx) == before
    for path in ("/me", "/me/incoming", "/me/connections"):
        assert not re.search("Alice|Bob|Dora|third|inviters|recipients", outsider.page(path))


def test_every_press_needs_the_pages_own_token(
    ctx: Context, dora: MadeMember, bob: MadeMember, member_client: SignIn, pair: str
) -> None:
    ref = mailed(ctx, dora, bob.person)
    browser = member_client(bob)
    before = everything(ctx)
    for path in (f"{pair}/disclose", f"{pair}/end", f"/me/incoming/{ref.hex()}/accept"):
        assert browser.post(path, data={"what": "address"}).status_code == 400
    assert everything(ctx) == before


def test_the_mails_link_asks_and_only_its_button_ends(
    ctx: Context, alice: MadeMember, world: World, member_client: SignIn, client: Browser
) -> None:
    asked = requested(ctx, alice, world.person("vera@nowhere.example"))
    hers = member_client(alice)
    pair = hers.submit(f"/me/incoming/{asked.hex()}/accept").location
    client.page(f"/connection/{link_of(ctx, asked)}/end", 404)  # of another mail
    path = f"/connection/{notice_link_of(ctx, asked)}/end"
    before = everything(ctx)
    page = client.page(path)
    assert "End your connection with Alice Berg?" in page
    assert ADDRESS.findall(page) == []
    assert everything(ctx) == before
    for _ in range(2):
        assert client.submit(path).location == path
    assert "This connection has ended" in client.page(path)
    assert "Alice" not in client.page(path)
    assert "The other side ended it." in hers.page(pair)
    assert row_of(ctx, asked).settlement == "accepted"


def test_a_link_of_another_kind_ends_nothing(ctx: Context, alice: MadeMember, client: Browser) -> None:
    _, token = handed(ctx, alice)
    for wrong in (token, "nonsense"):
        client.page(f"/connection/{wrong}/end", 404)
        assert client.submit(f"/connection/{wrong}/end").status_code == 404


def test_a_visitor_is_asked_to_sign_in(client: Browser, pair: str) -> None:
    for path in ("/me/incoming", "/me/connections", pair):
        assert client.get(path).location.startswith("/members/sign-in")
