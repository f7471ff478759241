"""Replies in a browser: from the inbox to an answer, a note and tags; and a public answer from draft to its page."""

import re

from playwright.sync_api import Browser, expect

from tests.browser.desk import sign_in
from tests.browser.product import Product
from tests.browser.reader import NARROW, reading

LIGHTEST = 20_000


def test_a_reply_is_read_answered_and_sorted(chromium: Browser, demo: Product) -> None:
    with reading(chromium, demo.url) as reader:
        sign_in(reader, demo)
        reader.look()
        with reader.page.expect_navigation():
            reader.page.get_by_role("link", name=re.compile(r"\d+ conversations")).click()
        assert reader.heading() == "Conversations"
        expect(reader.page.get_by_text(re.compile(r"waiting \d+ days")).first).to_be_visible()
        reader.look()
        reader.tab_through()
        with reader.page.expect_navigation():
            reader.page.get_by_role("button", name=re.compile("Open the conversation")).first.click()
        expect(reader.page.get_by_role("heading", name="What was said")).to_be_visible()
        reader.look()
        reader.tab_through()
        reader.page.get_by_role("textbox", name="Tags").fill("offers, too often")
        reader.press("Save tags")
        reader.page.get_by_role("textbox", name="Note").fill("The third one this month.")
        reader.press("Keep the note")
        reader.press("Send the answer")
        assert "Write an answer." in reader.page.locator("#problems").inner_text()
        reader.faults.clear()  # the browser notes the 422
        reader.look()
        reader.page.get_by_role("textbox", name="Your answer").fill("Thank you. One offer a month from now on.")
        reader.press("Send the answer")
        reader.look()
        assert "Thank you. One offer a month" in reader.page.locator("main").inner_text()
        reader.press("Close the conversation")
        reader.look()
        reader.open("/conversations?which=closed&tag=offers")
        expect(reader.page.get_by_role("button", name=re.compile("Open the conversation"))).to_have_count(1)
        reader.look()


def test_the_inbox_fits_a_narrow_screen(chromium: Browser, demo: Product) -> None:
    with reading(chromium, demo.url) as reader:
        sign_in(reader, demo)
        reader.open("/conversations?which=open")
        reader.page.set_viewport_size({"width": NARROW["width"], "height": NARROW["height"]})
        wrap = reader.page.locator(".table-wrap")
        assert wrap.evaluate("w => w.scrollWidth - w.clientWidth") == 0
        for press in reader.page.get_by_role("button", name=re.compile("Open the conversation")).all():
            box = press.bounding_box()
            assert box is not None
            assert 0 <= box["x"] < box["x"] + box["width"] <= NARROW["width"]
        reader.look()


def test_a_public_answer_is_written_looked_at_and_read_by_anybody(chromium: Browser, demo: Product) -> None:
    with reading(chromium, demo.url) as reader:
        sign_in(reader, demo)
        reader.open("/conversations/answers")
        reader.look()
        reader.follow("Write one")
        reader.look()
        reader.page.get_by_label("Topic").select_option(label="Garden tips")
        reader.page.get_by_label("Title").fill("More about soil")
        reader.page.get_by_label("What people said").fill("One said “more soil, please”; many said so.")
        reader.page.get_by_label("What was done").fill("Every second letter is about soil.")
        reader.page.get_by_label("Replies since").fill("2020-01-01")
        reader.press("Keep as a draft")
        assert "quotation marks" in reader.page.locator("main").inner_text()
        reader.look()
        reader.page.get_by_label("I read it once more").check()
        reader.press("Publish it")
        reader.look()
        reader.follow("See the public page")
        public = reader.page.url
    for locale, heading in (("en", "What readers told us"), ("sv", ""), ("nl", "")):
        with reading(chromium, demo.url, scripts=locale == "en", locale=locale) as reader:
            reader.open(public)
            assert reader.weight < LIGHTEST
            assert heading in reader.heading()
            assert "Every second letter is about soil." in reader.page.locator("main").inner_text()
            assert reader.page.locator("html").get_attribute("lang") == locale
            assert not reader.context.cookies()
            reader.look()
