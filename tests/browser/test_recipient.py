"""A recipient's way: sign up, confirm, ask why, stop, undo; with and without scripts, in three languages."""

import secrets

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.inbox import links, look_of, open_newest_letter
from tests.browser.product import Product
from tests.browser.reader import reading

LIGHTEST = 20_000
_WORDS = {"en": "Yes, up to 2 mails a week", "sv": "Ja", "nl": "Ja"}


@pytest.mark.parametrize(("scripts", "locale"), [(True, "en"), (False, "sv"), (False, "nl")])
def test_signing_up_and_confirming(chromium: Browser, demo: Product, scripts: bool, locale: str) -> None:
    address = f"new.reader.{secrets.token_hex(4)}@example.org"
    with reading(chromium, demo.url, scripts=scripts, locale=locale) as reader:
        reader.open("/")
        assert reader.weight < LIGHTEST
        reader.look()
        reader.open("/sign-up/garden-tips")
        assert reader.weight < LIGHTEST
        assert reader.page.locator("html").get_attribute("lang") == locale
        assert reader.page.locator("input:checked").count() == 0
        reader.page.locator("summary").click()  # the last mail is fetched only by whoever asks for it
        reader.page.locator("details a").click()
        expect(reader.page.frame_locator("iframe.example").locator("h1, h2, p").first).to_be_visible()
        reader.page.locator("#address").fill(address)
        reader.look()
        with reader.page.expect_navigation():
            reader.page.locator("main button").click()
        assert reader.page.url.startswith(f"{demo.url}/sign-up/received")
        reader.look()
        open_newest_letter(reader, address)
        reader.look()
        reader.open(links(reader)["confirm"])
        assert reader.weight < LIGHTEST
        reader.look()
        yes, no = reader.page.locator("main .choices button").all()
        assert _WORDS[locale] in yes.inner_text()
        assert look_of(yes) == look_of(no)
        with reader.page.expect_navigation():
            yes.click()
        if reader.page.locator("#human").count():
            reader.look()
            reader.page.locator("#human").check()
            with reader.page.expect_navigation():
                reader.page.locator("main .choices button").first.click()
        assert reader.page.locator("main .choices").count() == 0
        reader.look()
        again = reader.heading()
        reader.page.reload()
        assert reader.page.locator("main .choices").count() == 0
        assert again


def test_a_question_about_several_topics_ticks_nothing(chromium: Browser, demo: Product) -> None:
    address = f"several.{secrets.token_hex(4)}@example.org"
    with reading(chromium, demo.url) as reader:
        reader.open("/sign-up/garden-tips")
        reader.page.get_by_label("Seed shop").check()
        reader.page.locator("#address").fill(address)
        reader.press("Send me the mail that asks")
        open_newest_letter(reader, address)
        reader.open(links(reader)["confirm"])
        assert reader.page.locator("input[type=checkbox]").count() == 2
        assert reader.page.locator("input[type=checkbox]:checked").count() == 0
        reader.look()
        reader.press("Yes, send me what I ticked")
        expect(reader.page.get_by_role("alert")).to_be_visible()
        reader.faults.clear()  # the browser notes the 422
        reader.look()
        reader.follow("Never write to me again")
        reader.look()
        reader.follow("Back")
        reader.press("No, send none of this")
        assert reader.heading() == "Nothing will be sent"


@pytest.mark.parametrize("scripts", [True, False])
def test_asking_why_stopping_and_taking_it_back(chromium: Browser, demo: Product, scripts: bool) -> None:
    with reading(chromium, demo.url, scripts=scripts) as reader:
        reader.open("/mailbox")
        reader.page.get_by_label("An address in full").fill("Bring your spare beans" if scripts else "Pruning roses")
        reader.press("Find letters")
        letters = [str(link.get_attribute("href")) for link in reader.page.locator(".mailbox-list a").all()]
        for letter in letters:
            reader.open(letter)
            found = links(reader)
            reader.open(found["why"])
            if reader.page.get_by_role("button", name="Pause for 30 days").count():
                break
        assert reader.weight < LIGHTEST
        reader.look()
        assert "•••@" in reader.page.locator("main").inner_text()
        assert len({str(look_of(one)) for one in reader.page.locator("main .choices button").all()}) == 1
        reader.open(found["stop"])
        assert reader.weight < LIGHTEST
        reader.look()
        with reader.page.expect_navigation():
            reader.page.locator("main button").first.click()
        assert reader.heading() == "Stopped"
        reader.look()
        reader.press("Undo")
        assert "It is as it was before." in reader.page.locator("main").inner_text()
        reader.open(found["why"])
        reader.press("Pause for 30 days")
        assert "is paused" in reader.page.locator("main").inner_text()
        reader.look()


def test_a_wrong_address_is_named_at_once(chromium: Browser, demo: Product) -> None:
    with reading(chromium, demo.url, scripts=False) as reader:
        reader.open("/sign-up/seed-shop")
        reader.page.locator("#address").fill("somebody@gmial.com")
        reader.press("Send me the mail that asks")
        reader.faults.clear()  # the browser notes the 422
        assert "gmail.com" in reader.page.locator("#address-error").inner_text()
        assert reader.page.locator("#address").input_value() == "somebody@gmial.com"
        reader.look()


def test_links_that_lead_nowhere_say_so(chromium: Browser, demo: Product) -> None:
    with reading(chromium, demo.url) as reader:
        for path in ("/stop/t1.broken", "/why/t1.broken", "/confirm/t1.broken", "/nothing-here"):
            reader.open(path)
            reader.faults.clear()  # the browser notes the 404
            reader.look()
            assert "t1.broken" not in reader.page.locator("main").inner_text()


def test_recipients_pages_by_keyboard(chromium: Browser, demo: Product) -> None:
    with reading(chromium, demo.url) as reader:
        for path in ("/", "/sign-up/garden-tips", "/mailbox"):
            reader.open(path)
            reader.tab_through()
