"""A member's connect links: made with limits, passed on as address, QR code and badge, switched off by one press."""

import html
import re
from collections.abc import Callable
from xml.etree import ElementTree

import pytest
from sqlalchemy import update

from outreach.services.connect import confirm_connect
from outreach.services.connect_links import MOST_LIVE, list_links, make_link
from outreach.services.context import Context
from outreach.store.schema.members import connect_link, member
from tests.factories import World
from tests.services.asking import asked
from tests.services.people import count
from tests.web.conftest import Browser

_SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def alice(member_client: Callable[..., Browser], world: World) -> Browser:
    return member_client(world.member("alice@example.org", "Alice Berg"))


def made(ctx: Context, alice: Browser, label: str = "My blog") -> str:
    return make_link(ctx, alice.member.actor, label=label).hex()


def test_an_empty_room_says_what_a_link_is_and_offers_one(alice: Browser) -> None:
    page = alice.page("/me/links")
    assert "You have none yet." in page
    assert "you then get a request without the address" in page
    assert "Make this link" in page


def test_making_a_link_leads_to_its_page(ctx: Context, alice: Browser) -> None:
    answer = alice.submit("/me/links", {"label": "The shed door", "most": "5", "days": "30"})
    (link,) = list_links(ctx, alice.member.actor)
    assert (answer.status_code, answer.location) == (303, f"/me/links/{link.ref.hex()}")
    page = alice.page(answer.location)
    assert "The shed door" in page
    assert "5 requests" in page
    assert (link.most, link.is_live) == (5, True)
    assert "The shed door" in alice.page("/me/links")


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({"label": ""}, "Give it a name you will know it by."),
        ({"label": "www.example.org"}, "Leave web addresses out"),
        ({"label": "x" * 61}, "This is too long: 60 characters fit"),
        ({"label": "Blog", "most": "many"}, "Type a whole number from 1 to 1000, or leave this empty."),
        ({"label": "Blog", "most": "0"}, "Type a whole number from 1 to 1000, or leave this empty."),
        ({"label": "Blog", "days": "366"}, "Type a whole number from 1 to 365, or leave this empty."),
    ],
)
def test_what_is_wrong_is_said_at_its_field(ctx: Context, alice: Browser, typed: dict[str, str], said: str) -> None:
    answer = alice.submit("/me/links", typed)
    assert answer.status_code == 422
    assert said in answer.text
    assert count(ctx, connect_link) == 0


def test_the_twenty_first_is_refused_with_the_way_out(ctx: Context, alice: Browser) -> None:
    for number in range(MOST_LIVE):
        made(ctx, alice, f"Link {number}")
    answer = alice.submit("/me/links", {"label": "One more"})
    assert answer.status_code == 409
    assert "Switch one off before you make another." in answer.text


def test_the_badge_to_copy_is_a_sandboxed_frame(ctx: Context, alice: Browser) -> None:
    ref = made(ctx, alice)
    page = alice.page(f"/me/links/{ref}")
    box = re.search(r"<textarea[^>]*readonly[^>]*>(.*?)</textarea>", page, re.DOTALL)
    assert box
    snippet = html.unescape(box[1])
    assert snippet == (
        '<iframe sandbox="allow-popups allow-popups-to-escape-sandbox" '
        f'src="{ctx.settings.public_url}/badge/{ref}" title="Connect with Alice Berg" width="280" height="160" '
        'loading="lazy" referrerpolicy="no-referrer"></iframe>'
    )
    assert f"{ctx.settings.public_url}/connect/{ref}" in page


def test_the_qr_code_is_inline_without_style_and_has_words(ctx: Context, alice: Browser) -> None:
    ref = made(ctx, alice)
    (drawn,) = re.findall(r"<svg[^>]*class=\"qr\".*?</svg>", alice.page(f"/me/links/{ref}"), re.DOTALL)
    assert "style=" not in drawn
    assert 'role="img"' in drawn
    assert "<title>Connect with Alice Berg</title>" in drawn
    assert f"<desc>{ctx.settings.public_url}/connect/{ref}</desc>" in drawn


def test_the_qr_code_can_be_saved_as_a_picture(ctx: Context, alice: Browser) -> None:
    answer = alice.get(f"/me/links/{made(ctx, alice)}/qr.svg")
    assert answer.mimetype == "image/svg+xml"
    assert answer.headers["Content-Disposition"] == 'attachment; filename="connect.svg"'
    assert ElementTree.fromstring(answer.data).tag == f"{_SVG}svg"


def test_a_name_with_signs_of_markup_stays_a_name(
    ctx: Context, member_client: Callable[..., Browser], world: World
) -> None:
    alice = member_client(world.member("alice@example.org", "Al\"ice & 'Co'"))
    ref = made(ctx, alice)
    page = alice.page(f"/me/links/{ref}")
    assert "Al&#34;ice &amp; &#39;Co&#39;" in html.unescape(page)
    root = ElementTree.fromstring(alice.get(f"/me/links/{ref}/qr.svg").data)
    assert root.findtext(f"{_SVG}title") == "Connect with Al\"ice & 'Co'"


def test_switching_off_is_one_press_and_shows_nothing_to_pass_on_after(ctx: Context, alice: Browser) -> None:
    ref = made(ctx, alice)
    assert alice.submit(f"/me/links/{ref}/close").status_code == 303
    page = alice.page(f"/me/links/{ref}")
    assert "Switched off" in page
    assert "iframe" not in html.unescape(page)
    assert "/close" not in page
    alice.submit(f"/me/links/{ref}/close")
    assert count(ctx, connect_link, connect_link.c.closed.is_not(None)) == 1


def test_an_ask_that_nobody_confirmed_shows_nowhere(ctx: Context, alice: Browser) -> None:
    ref = made(ctx, alice)

    def shown() -> list[str]:
        pages = [alice.page("/me/links"), alice.page(f"/me/links/{ref}")]
        return [re.sub(r'(name="csrf_token" value=)"[^"]*"', r"\1", page) for page in pages]

    before = shown()
    token = asked(ctx, bytes.fromhex(ref), "bob@example.org")
    assert shown() == before
    confirm_connect(ctx, token)
    assert "1 confirmed request" in "".join(shown())
    assert "bob" not in "".join(shown())


def test_another_members_link_is_not_there(ctx: Context, alice: Browser, member_client: Callable[..., Browser]) -> None:
    ref, bob = made(ctx, alice), member_client()
    for path in (f"/me/links/{ref}", f"/me/links/{ref}/qr.svg"):
        assert bob.get(path).status_code == 404
    assert bob.submit(f"/me/links/{ref}/close").status_code == 404
    assert ref not in bob.page("/me/links")
    assert count(ctx, connect_link, connect_link.c.closed.is_(None)) == 1


def test_a_suspended_member_reads_that_links_are_off_and_makes_none(ctx: Context, alice: Browser) -> None:
    ref = made(ctx, alice)
    with ctx.db.transaction() as conn:
        conn.execute(update(member).values(suspended=1, suspended_for="officer"))
    assert "To others, all your links read as switched off." in alice.page(f"/me/links/{ref}")
    assert alice.submit("/me/links", {"label": "Another"}).status_code == 403
    assert alice.submit(f"/me/links/{ref}/close").status_code == 303


def test_a_press_needs_the_pages_token(ctx: Context, alice: Browser) -> None:
    ref = made(ctx, alice)
    assert alice.post(f"/me/links/{ref}/close").status_code == 400
    assert alice.post("/me/links", data={"label": "Blog"}).status_code == 400
    assert count(ctx, connect_link, connect_link.c.closed.is_(None)) == 1


def test_a_link_that_reports_switched_off_says_so_to_its_owner_alone(ctx: Context, alice: Browser) -> None:
    ref = made(ctx, alice)
    words = "Switched off: three people reported what came through it"
    assert words not in alice.page(f"/me/links/{ref}")
    with ctx.db.transaction() as conn:
        conn.execute(update(connect_link).values(closed=1, closed_for="reports"))
    for page in (f"/me/links/{ref}", "/me/links"):
        assert words in alice.page(page)
    assert "reported" not in alice.get(f"/connect/{ref}").text
