"""A person's way to their own data, from the public page through the mail, and the officer's list of requests."""

import re

from playwright.sync_api import Browser, expect

from tests.browser.desk import sign_in
from tests.browser.inbox import links, open_newest_letter
from tests.browser.product import Product
from tests.browser.reader import Reader, reading
from tests.guards.letters import recipients

LIGHTEST = 20_000


def _somebody(demo: Product, name: str) -> str:
    return min(address for address in recipients(demo.instance / "mailbox") if address.startswith(name))


def _enter(reader: Reader, address: str) -> None:
    """Ask for a fresh link, and follow it from the mail."""
    reader.open("/rights")
    assert reader.weight < LIGHTEST
    reader.look()
    reader.page.locator("#address").fill(address)
    with reader.page.expect_navigation():
        reader.page.locator("main form button").click()
    reader.look()
    open_newest_letter(reader, address)
    while "rights" not in links(reader):  # an older letter: ours is on its way
        open_newest_letter(reader, address)
    reader.open(links(reader)["rights"] + "?lang=en")  # whoever it is, in one language


def test_from_the_public_page_to_all_that_is_held(chromium: Browser, demo: Product) -> None:
    address = _somebody(demo, "elsa")
    with reading(chromium, demo.url, scripts=True, locale="en") as reader:
        _enter(reader, address)
        assert reader.weight < LIGHTEST
        assert address not in reader.page.content()
        reader.look()
        reader.tab_through()
        reader.tab_through()
        reader.press("Show me everything held about me")
        assert reader.heading() == "Everything held about you"
        expect(reader.page.get_by_role("heading", name="What you agreed to")).to_be_visible()
        assert address in reader.page.locator("main").inner_text()
        reader.look()
        with reader.page.expect_download() as waiting:
            reader.page.get_by_role("link", name=re.compile("JSON")).click()
        assert waiting.value.suggested_filename == "held-about-you.json"
        reader.follow("Your data with us")
        reader.follow("Correct something")
        reader.look()
        reader.follow("Leave it as it is")
        reader.follow("Erase me")
        reader.look()
        reader.follow("Leave it as it is")
        reader.press("Hold everything back")
        reader.look()
        reader.press("Lift the restriction")
        reader.look()


def test_without_scripts_somebody_objects(chromium: Browser, demo: Product) -> None:
    with reading(chromium, demo.url, scripts=False, locale="en") as reader:
        _enter(reader, _somebody(demo, "l"))
        reader.press("Object: send me no more mail")
        assert "You objected" in reader.page.locator("main").inner_text()
        reader.look()


def test_an_officer_enters_a_request_and_answers_it(chromium: Browser, demo: Product) -> None:
    address = _somebody(demo, "elsa")
    with reading(chromium, demo.url) as reader:
        sign_in(reader, demo)
        reader.open("/compliance/requests")
        reader.look()
        reader.follow("Enter a request")
        reader.look()
        reader.page.get_by_label("Address in full").fill(address)
        reader.page.get_by_label("How it came").fill("a letter of 3 May")
        reader.press("Enter it and tell the person")
        assert address not in reader.page.content()
        reader.look()
        reader.press("Read what was written, and note it in the log")
        reader.look()
        reader.follow("Take longer")
        reader.look()
        reader.page.get_by_label("Why; the person is mailed your words").fill("your records span four systems")
        reader.press("Extend it and tell the person")
        reader.look()
        reader.follow("Carry it out")
        reader.look()
        reader.page.get_by_label("How you know that it is theirs").fill("identity card shown at the counter")
        reader.press("Carry it out")
        reader.look()
        reader.open("/compliance/requests")
        reader.look()
