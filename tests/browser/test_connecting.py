"""Connect links in a real browser: asking through one, the badge on another site, answering, showing, taking back."""

import re
import secrets
import smtplib
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.acceptance.hostile_site import hostile_site
from tests.acceptance.postman import wait_for
from tests.browser.desk import sign_in_member
from tests.browser.inbox import links, look_of, open_newest_letter
from tests.browser.product import Product
from tests.browser.reader import Reader, reading

ROOMS = ("/me", "/me/invite", "/me/invitations", "/me/incoming", "/me/connections", "/me/links", "/me/account")


@pytest.fixture
def elsa(chromium: Browser, demo: Product) -> Iterator[Reader]:
    """A member with something in every room, signed in."""
    with reading(chromium, demo.url) as reader:
        sign_in_member(reader, demo)
        yield reader


def _link_of(elsa: Reader) -> str:
    elsa.open("/me/links")
    elsa.follow("Spring fair badge")
    found = re.search(r"/connect/[0-9a-f]{32}", elsa.page.content())
    assert found is not None
    return found[0]


def test_every_room_of_a_member_is_readable_by_all(elsa: Reader) -> None:
    for room in ROOMS:
        elsa.open(room)
        elsa.look()
    for room in ("/me/invitations", "/me/incoming", "/me/connections", "/me/links"):
        elsa.open(room)
        elsa.page.locator(f"main a[href^='{room}/']").first.click()
        elsa.page.wait_for_load_state()
        elsa.look()


def test_asking_confirming_and_answering(chromium: Browser, demo: Product, elsa: Reader) -> None:
    link, address = _link_of(elsa), f"asker.{secrets.token_hex(4)}@example.org"
    with reading(chromium, demo.url, scripts=False, locale="sv-SE") as reader:
        reader.open(f"{link}?lang=sv")
        assert "Elsa Holm" in reader.heading()
        reader.look()
        assert reader.weight < 20_000
        reader.page.locator("#address").fill(address)
        _press_main(reader)
        assert address not in reader.page.content()
        reader.look()
        open_newest_letter(reader, address)
        reader.open(_confirm_link(reader))
        reader.look()
        buttons = reader.page.locator("main .choices button")
        first, second = (look_of(button) for button in buttons.all())
        assert first == second, "yes and no differ"
        _confirm(reader)
        reader.look()
    elsa.open("/me/incoming")
    elsa.page.get_by_role("link", name="Somebody asks to connect").first.click()
    elsa.page.wait_for_load_state()
    assert address not in elsa.page.content()
    assert not elsa.page.get_by_role("checkbox").first.is_checked()
    elsa.look()
    elsa.press("Accept")
    assert address not in elsa.page.content()
    with reading(chromium, demo.url) as reader:
        open_newest_letter(reader, address, nth=2)
        end = next(link for name, link in links(reader).items() if name.startswith("connection"))
        reader.open(end)
        reader.look()
        _press_main(reader)
        reader.look()


def test_showing_an_address_and_taking_it_back(elsa: Reader) -> None:
    elsa.open("/me/connections")
    elsa.follow("Bram de Wit")
    elsa.page.get_by_role("button", name=re.compile("Show them my address")).click()
    elsa.page.wait_for_load_state()
    elsa.look()
    elsa.press("Stop showing my address")
    assert "visible from" in elsa.page.inner_text("main").lower()
    elsa.look()


def test_the_badge_stands_in_another_site_and_only_leads_to_the_page(
    chromium: Browser, demo: Product, elsa: Reader
) -> None:
    badge = _link_of(elsa).replace("/connect/", "/badge/")
    with hostile_site() as other:
        other.pages["/home"] = (
            '<iframe sandbox="allow-popups allow-popups-to-escape-sandbox" title="Connect with Elsa Holm" '
            f'src="{demo.url}{badge}" width="280" height="160"></iframe>'
        )
        with reading(chromium, f"http://localhost:{other.port}") as reader:
            reader.open("/home")
            frame = reader.page.frame_locator("iframe")
            assert frame.get_by_text("Elsa Holm").count() == 1
            assert reader.context.cookies(demo.url) == []
            with reader.context.expect_page() as opened:
                frame.get_by_role("link").click()
            opened.value.wait_for_load_state()
            assert "/connect/" in opened.value.url
    with reading(
        chromium, demo.url, scripts=False
    ) as reader:  # the badge is sandboxed: no script runs in it, axe's neither
        reader.open(badge)
        assert reader.page.get_by_role("link", name="Connect with me").count() == 1
        assert reader.weight < 4_000


def test_a_link_is_made_and_switched_off(chromium: Browser, demo: Product, elsa: Reader) -> None:
    elsa.open("/me/links")
    elsa.page.get_by_label("What you call it").fill("For one evening")
    elsa.press("Make this link")
    elsa.look()
    found = re.search(r"/connect/[0-9a-f]{32}", elsa.page.content())
    assert found is not None
    elsa.press("Switch this link off")
    elsa.look()
    with reading(chromium, demo.url) as reader:
        reader.open(found[0])
        assert "Elsa" not in reader.page.content()
        reader.faults.clear()  # the browser notes the 410
        reader.look()


def _press_main(reader: Reader) -> None:
    with reader.page.expect_navigation():
        reader.page.locator("main form button").first.click()


def _confirm_link(reader: Reader) -> str:
    reader.follow("Plain text")
    found = re.search(r"http\S+/connect/confirm/[\w.-]+", reader.page.locator("pre").inner_text())
    assert found is not None
    return found[0]


def _confirm(reader: Reader) -> None:
    """Press yes; a yes within seconds of the mail is asked one step more."""
    _press_main(reader)
    if reader.page.locator("#human").count():
        reader.page.locator("#human").check()
        _press_main(reader)


def test_a_mail_that_seems_to_hold_an_address_waits_for_its_writer(
    chromium: Browser, demo: Product, elsa: Reader
) -> None:
    elsa.open("/me/connections")
    elsa.follow("Bram de Wit")
    page, (address, _) = elsa.page.url, demo.member_sign_in
    to = elsa.page.locator("input[readonly]").input_value()
    assert elsa.page.get_by_role("textbox", name="Write to them").input_value() == to
    told = f"Authentication-Results: in.localhost; dkim=pass header.d={address.rpartition('@')[2]}\r\n"
    mail = f"{told}From: {address}\r\nTo: {to}\r\nSubject: Seeds\r\n\r\nAsk carol@third.example for them.\r\n"
    with smtplib.SMTP("127.0.0.1", demo.mail_port) as client:
        client.sendmail(address, [to], mail)

    def waits() -> bool:
        elsa.open(page)
        return elsa.page.get_by_role("button", name="Drop it").count() == 1

    wait_for("the mail to wait", waits)
    assert "carol" not in elsa.page.content()
    elsa.look()
    with reading(chromium, demo.url, scripts=False) as reader:
        open_newest_letter(reader, "Your mail waits")
        link = links(reader)["held-mail"]
        for locale in ("sv", "nl", "en"):
            reader.open(f"{link}?lang={locale}")
            reader.look()
            assert reader.weight < 20_000
        reader.press("Drop it")
        assert "dropped" in reader.heading()
        reader.look()
    elsa.open(page)
    assert elsa.page.get_by_role("button", name="Drop it").count() == 0
    elsa.look()
