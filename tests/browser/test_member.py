"""Members at a real browser: one invites, another answers; by mail and by hand, with and without scripts."""

import secrets
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.inbox import links, look_of, open_newest_letter
from tests.browser.product import Product
from tests.browser.reader import Reader, reading

LIGHTEST = 20_000
PASSWORD = "three unrelated words of mine"


def _somebody(name: str) -> str:
    return f"{name}.{secrets.token_hex(4)}@example.org"


def _make_account(reader: Reader, address: str, name: str, *, nth: int = 1) -> None:
    """With the link mailed to `address`, by the elements of the page alone: it may be in any language."""
    open_newest_letter(reader, address, nth=nth)
    reader.open(links(reader)["choose"])
    reader.look()
    reader.page.locator("#name").fill(name)
    for field in ("#password", "#again"):
        reader.page.locator(field).fill(PASSWORD)
    _press_main(reader)


def _press_main(reader: Reader, nth: int = 0) -> None:
    with reader.page.expect_navigation():
        reader.page.locator("main button").nth(nth).click()


@pytest.fixture
def alice(chromium: Browser, demo: Product) -> Iterator[Reader]:
    """Alice Berg, who has just made her account and is signed in."""
    with reading(chromium, demo.url) as reader:
        address = _somebody("alice")
        reader.open("/members/start")
        reader.page.locator("#address").fill(address)
        reader.press("Mail me the link")
        _make_account(reader, address, "Alice Berg")
        assert reader.page.url == f"{demo.url}/me"
        yield reader
        assert reader.faults == []


def _invite_by_mail(alice: Reader, address: str, *, locale: str = "en") -> None:
    """Through every page, each looked at; the last press sends."""
    alice.open("/me/invite")
    alice.look()
    alice.follow("Write a mail")
    assert alice.page.locator("input:checked").count() == 0
    alice.page.locator("#address").fill(address)
    alice.page.get_by_label("a friend").check()
    alice.page.locator("#note").fill("We met at the seed swap.\nHow are your beans?")
    alice.page.locator("#locale").select_option(locale)
    alice.look()
    alice.press("Show me the exact mail")
    alice.look()
    assert "How are your beans?" in alice.page.frame_locator("iframe.mail").locator("blockquote").inner_text()
    masked = alice.page.locator("dd.mono").first.inner_text()
    with alice.page.expect_navigation():
        alice.page.get_by_role("button", name=f"Send this one invitation to {masked}").click()
    assert "Noted. If it may go, one message goes" in alice.page.get_by_role("status").inner_text()
    assert "No answer yet" in alice.heading()
    alice.look()


def _open_invitation(reader: Reader, address: str) -> dict[str, str]:
    """Open the invitation's mail and its page; returns the mail's links."""
    open_newest_letter(reader, address)
    found = links(reader)
    reader.open(found["invitation"])
    assert reader.weight < LIGHTEST
    return found


def test_invited_by_mail_accepting_without_scripts_in_swedish(chromium: Browser, demo: Product, alice: Reader) -> None:
    address = _somebody("bo")
    _invite_by_mail(alice, address, locale="sv")
    with reading(chromium, demo.url, scripts=False, locale="en") as reader:
        _open_invitation(reader, address)
        assert reader.page.locator("html").get_attribute("lang") == "sv"
        reader.look()
        looks = [look_of(one) for one in reader.page.locator(".choices .btn").all()]
        assert len(looks) == 4
        assert all(look == looks[0] for look in looks)
        with reader.page.expect_navigation():
            reader.page.locator(".choices .btn").first.click()
        assert reader.weight < LIGHTEST
        reader.look()
        reader.page.locator("#address").fill(address)
        _press_main(reader)
        _make_account(reader, address, "Bo Ek", nth=2)
        assert "/me/incoming/" in reader.page.url
        reader.look()
        assert reader.page.locator("input:checked").count() == 0
        reader.page.locator("input[name=name]").check()
        with reader.page.expect_navigation():
            reader.page.locator("button[form=accept]").click()
        assert "/me/connections/" in reader.page.url
        assert "Alice Berg" in reader.heading()
        reader.look()
    alice.open("/me/invitations")
    assert "Accepted" in alice.page.locator("main li").first.inner_text()
    alice.look()
    alice.open("/me/connections")
    assert "Bo Ek" in alice.page.locator("main").inner_text()
    assert address not in alice.page.content()
    alice.look()


def test_every_page_behind_an_invitation_is_readable_by_all(chromium: Browser, demo: Product, alice: Reader) -> None:
    address = _somebody("siv")
    _invite_by_mail(alice, address, locale="sv")
    with reading(chromium, demo.url, locale="sv") as reader:
        page = _open_invitation(reader, address)["invitation"]
        reader.look()
        reader.tab_through()
        for part in ("accept", "decline", "never", "report", "later"):
            reader.open(f"{page}/{part}")
            assert reader.weight < LIGHTEST
            assert reader.page.locator("html").get_attribute("lang") == "sv"
            assert reader.page.locator("input:checked").count() == 0
            reader.look()
            reader.tab_through()


@pytest.mark.parametrize("scripts", [True, False])
def test_declining_and_never_again(chromium: Browser, demo: Product, alice: Reader, scripts: bool) -> None:
    address = _somebody("dora")
    _invite_by_mail(alice, address)
    with reading(chromium, demo.url, scripts=scripts) as reader:
        found = _open_invitation(reader, address)
        reader.press("Decline")
        assert reader.heading() == "Declined"
        reader.look()
        reader.open(found["invitation/never"])
        reader.look()
        reader.press("Never again from anyone here")
        assert reader.heading() == "We will never write to you again"
        reader.look()
        reader.follow("Report")
        reader.page.get_by_label("I do not know this person").check()
        reader.press("Report this invitation")
        assert "Reported." in reader.page.locator("main").inner_text()
    alice.open("/me/invitations")
    assert "No answer yet" in alice.page.locator("main li").first.inner_text()


def test_a_reminder_goes_only_when_asked_for_and_pressed_anew(chromium: Browser, demo: Product, alice: Reader) -> None:
    address = _somebody("lars")
    _invite_by_mail(alice, address)
    here = alice.page.url
    assert "reminded" not in alice.page.locator("main").inner_text()
    with reading(chromium, demo.url) as reader:
        _open_invitation(reader, address)
        reader.follow("Not now: let Alice Berg remind me once")
        reader.look()
        reader.press("Let Alice Berg remind me once")
        expect(reader.page.get_by_role("status")).to_contain_text("may remind you once")
        alice.open(here)
        alice.follow("See what the reminder is")
        alice.look()
        alice.page.locator("main button").click()
        expect(alice.page.locator("main")).to_contain_text("Reminded, as they asked.")
        open_newest_letter(reader, address, nth=2)
        assert "Alice Berg would like to connect" in reader.page.locator("main").inner_text()


def test_a_link_by_hand_works_once(chromium: Browser, demo: Product, alice: Reader) -> None:
    alice.open("/me/invite")
    alice.follow("Make a link")
    alice.page.get_by_label("an acquaintance").check()
    alice.look()
    alice.press("Show me the exact page")
    alice.look()
    alice.press("Make the link")
    alice.look()
    assert alice.page.locator("svg.qr").is_visible()
    link = alice.page.get_by_label("The link to pass on, to one person").input_value()
    address = _somebody("carla")
    with reading(chromium, demo.url) as reader:
        reader.open(link)
        assert reader.weight < LIGHTEST
        reader.look()
        looks = [look_of(one) for one in reader.page.locator(".choices .btn").all()]
        assert len(looks) == 3
        assert all(look == looks[0] for look in looks)
        reader.press("Accept")
        reader.look()
        reader.page.locator("#address").fill(address)
        reader.press("Mail me the link")
        _make_account(reader, address, "Carla Dahl")
        reader.look()
        assert "Alice Berg" in reader.heading()
        reader.press("Accept")
        assert "/me/connections/" in reader.page.url
    with reading(chromium, demo.url) as other:
        other.open(link)
        assert other.heading() == "This link is used up"
        other.look()
    alice.open("/me/invitations")
    assert "Accepted" in alice.page.locator("main li").first.inner_text()


def test_a_link_by_hand_is_declined_at_once(chromium: Browser, demo: Product, alice: Reader) -> None:
    alice.open("/me/invite?way=hand")
    alice.page.get_by_label("family").check()
    alice.press("Show me the exact page")
    alice.press("Make the link")
    here, link = alice.page.url, alice.page.locator("#hand").input_value()
    with reading(chromium, demo.url, scripts=False) as reader:
        reader.open(link)
        reader.press("Decline")
        assert reader.heading() == "Declined"
        reader.look()
        reader.open(link)
        assert reader.heading() == "Declined"
    alice.open(here)
    assert "No answer yet" in alice.heading()
    alice.press("Take this invitation back")
    assert "You took it back" in alice.heading()
    alice.look()


def test_a_form_that_cannot_go_keeps_what_was_typed(alice: Reader) -> None:
    alice.open("/me/invite?way=mail")
    alice.page.locator("#address").fill("bob@gmial.com")
    alice.page.locator("#note").fill("See www.sheds.example")
    alice.press("Show me the exact mail")
    alice.faults.clear()  # the browser notes the 422
    assert "gmail.com" in alice.page.locator("#address-error").inner_text()
    assert alice.page.locator("#note").input_value() == "See www.sheds.example"
    alice.look()
    alice.tab_through()


def test_a_link_by_hand_is_reported(chromium: Browser, demo: Product, alice: Reader) -> None:
    alice.open("/me/invite?way=hand")
    alice.page.get_by_label("family").check()
    alice.press("Show me the exact page")
    alice.press("Make the link")
    link = alice.page.locator("#hand").input_value()
    with reading(chromium, demo.url, scripts=False) as reader:
        reader.open(link)
        reader.follow("Report")
        reader.look()
        reader.page.locator("input[name=why]").first.check()
        reader.press("Report this invitation")
        assert reader.heading() == "Reported, and declined"
        reader.look()
