"""A person's own room in a real browser: each language, without scripts, at 320 px, judged by axe, and light."""

import re

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.inbox import links, open_newest_letter
from tests.browser.product import Product
from tests.browser.reader import Reader, reading
from tests.guards.letters import read_letters

LIGHTEST = 20_000
PAGES = ("limits", "times", "address", "history", "receipts", "people", "conversations")


def _reader(demo: Product, place: int) -> str:
    """One of those whom campaigns reached, each test another."""
    letters = read_letters(demo.instance / "mailbox", every=3)
    return sorted({letter.to for letter in letters if letter.is_campaign})[place]


def _enter(reader: Reader, address: str, language: str) -> str:
    """Ask for a fresh link, and follow it from the mail. Returns the room's own address."""
    reader.open(f"/room?lang={language}")
    assert reader.weight < LIGHTEST
    reader.look()
    reader.page.locator("#address").fill(address)
    with reader.page.expect_navigation():
        reader.page.locator("main form button").click()
    reader.look()
    open_newest_letter(reader, address)
    while "room" not in links(reader):  # an older letter: ours is on its way
        open_newest_letter(reader, address)
    return links(reader)["room"]


def _act(reader: Reader, act: str) -> None:
    """Press the button of one act, whatever the language calls it."""
    with reader.page.expect_navigation():
        reader.page.locator(f"form:has(input[name=act][value={act}]) button").first.click()


@pytest.mark.parametrize(("language", "place"), [("en", -1), ("sv", -2), ("nl", -3)])
def test_every_page_of_the_room_in_each_language(chromium: Browser, demo: Product, language: str, place: int) -> None:
    address = _reader(demo, place)
    with reading(chromium, demo.url, locale=language) as reader:
        room = _enter(reader, address, language)
        reader.open(f"{room}?lang={language}")
        assert reader.page.locator("html").get_attribute("lang") == language
        assert reader.weight < LIGHTEST
        assert address not in reader.page.content()
        reader.look()
        reader.tab_through()
        for page in PAGES:
            reader.open(f"{room}/{page}?lang={language}")
            assert reader.weight < LIGHTEST, page
            reader.look()
        reader.open(f"{room}?lang={language}")
        with reader.page.expect_navigation():
            reader.page.locator(".topics h3 a").first.click()
        assert reader.weight < LIGHTEST
        reader.look()
        reader.tab_through()


def test_without_scripts_somebody_stops_pauses_lowers_and_takes_it_back(chromium: Browser, demo: Product) -> None:
    with reading(chromium, demo.url, scripts=False, locale="en") as reader:
        room = _enter(reader, _reader(demo, -4), "en")
        reader.open(f"{room}?lang=en")
        with reader.page.expect_navigation():
            reader.page.locator(".topics h3 a").first.click()
        title = reader.heading()
        text = reader.page.locator("main")
        expect(text).to_contain_text(re.compile(r"Promised up to .+; got \d+\."))
        for act in ("pause", "stop"):
            if not reader.page.locator(f"form:has(input[name=act][value={act}])").count():
                _act(reader, "restore")  # the demonstration's person had stopped it themselves
            _act(reader, act)
            reader.look()
            expect(text).to_contain_text("Paused until" if act == "pause" else "Stopped on")
            reader.press(f"Undo: {title}")
            expect(text).to_contain_text("Mail may come")
        reader.page.get_by_label("How many at most").select_option(index=1)
        reader.press("Keep this limit")
        reader.look()
        reader.press(f"Undo: {title}")
        expect(reader.page.get_by_label("How many at most")).to_have_value("")
        reader.open(f"{room}/conversations?lang=en")
        reader.page.get_by_label("What you want to say").fill("Where do you buy your seeds?")
        reader.press("Send it")
        reader.look()
        expect(text).to_contain_text("waits for our answer")


def test_an_address_changes_by_both_mailboxes_until_the_old_one_stops_it(chromium: Browser, demo: Product) -> None:
    old, new = _reader(demo, -5), "wanda@new-house.example"
    with reading(chromium, demo.url, locale="en") as reader:
        room = _enter(reader, old, "en")
        reader.open(f"{room}/conversations?lang=en")
        reader.page.get_by_label("What you want to say").fill("I am about to change my address.")
        reader.press("Send it")
        reader.open(f"{room}/address?lang=en")
        reader.page.locator("#address").fill(new)
        reader.press("Ask at the new address")
        reader.look()
        code = reader.page.locator(".card b[dir=ltr]").inner_text()
        open_newest_letter(reader, new)
        reader.open(links(reader)["moving"] + "?lang=en")
        assert reader.weight < LIGHTEST
        assert old not in reader.page.content()
        reader.look()
        reader.tab_through()
        reader.page.locator("#code").fill("aaaa-aaaa")
        reader.press("Yes, send it here")
        expect(reader.page.locator("#code-error")).to_contain_text("Nothing was changed.")
        reader.faults.clear()  # the browser notes the 422
        reader.look()
        reader.page.locator("#code").fill(code)
        reader.press("Yes, send it here")
        if reader.page.locator("#human").count():
            reader.look()
            reader.page.get_by_label("I am a person, and I asked for this.").check()
            reader.press("Yes, send it here")
        assert reader.heading() == "It comes here soon"
        expect(reader.page.locator("main")).to_contain_text("All else there comes along.")
        reader.look()
        open_newest_letter(reader, old)
        while "keep" not in links(reader):  # an older letter: ours is on its way
            open_newest_letter(reader, old)
        reader.open(links(reader)["keep"] + "?lang=en")
        assert reader.weight < LIGHTEST
        reader.look()
        reader.press("Stop it: all stays here")
        assert reader.heading() == "All stays here"
        reader.look()
