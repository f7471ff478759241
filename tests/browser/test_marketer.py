"""A marketer's way: sign in, write a campaign, check it, schedule it, watch it go, pause and resume."""

import re
from datetime import UTC, datetime, timedelta

from playwright.sync_api import Browser, expect

from tests.browser.desk import sign_in
from tests.browser.product import Product
from tests.browser.reader import Reader, reading


def _write(reader: Reader, name: str) -> None:
    reader.open("/campaigns")
    reader.look()
    reader.follow("New campaign")
    reader.look()
    reader.page.get_by_label("Name, for you and your colleagues").fill(name)
    reader.page.get_by_label("Topic").select_option(label="Seed shop")
    reader.page.get_by_label("Kind of mail").select_option("informational")
    reader.press("Start writing")
    reader.page.get_by_label("Subject").fill("Beans that climb")
    reader.page.get_by_label("Preheader").fill("Eleven of them")
    reader.page.locator("#body").fill("Hello {{ first_name | default: 'there' }},\n\nBeans *climb*.")
    reader.press("Save the words")
    reader.look()


def _step(reader: Reader, name: str) -> None:
    with reader.page.expect_navigation():
        reader.page.locator(".steps").get_by_role("link", name=name, exact=True).click()


def test_a_campaign_from_the_first_word_to_the_last_mail(chromium: Browser, demo: Product) -> None:
    with reading(chromium, demo.url) as reader:
        sign_in(reader, demo)
        reader.look()
        _write(reader, "Beans")
        _step(reader, "Audience")
        reader.look()
        reader.page.get_by_label("English").check()
        reader.press("Save the audience")
        assert reader.heading() == "Check"
        reader.look()
        _step(reader, "Preview")
        reader.look()
        mail = reader.page.frame_locator("iframe")
        expect(mail.get_by_text("Beans climb.")).to_be_visible()
        _step(reader, "Schedule")
        reader.look()
        reader.press("Schedule it")
        assert reader.heading() == "Beans"
        expect(reader.page.locator("#progress")).to_contain_text("100 percent done", timeout=60_000)
        reader.page.reload()
        expect(reader.page.locator("main")).to_contain_text("Sent", timeout=15_000)
        reader.look()
        with reader.page.expect_navigation():
            reader.page.locator("#progress a", has_text="see the list").first.click()
        assert re.search(r"\w{4}-\w{4}-\w{2}", reader.page.locator("main table").inner_text())
        reader.look()


def test_a_schedule_is_paused_resumed_and_taken_back(chromium: Browser, demo: Product) -> None:
    with reading(chromium, demo.url) as reader:
        sign_in(reader, demo)
        _write(reader, "Beans next month")
        _step(reader, "Schedule")
        reader.page.get_by_label("Start", exact=True).select_option("at")
        moment = datetime.now(UTC) + timedelta(days=30)
        reader.page.get_by_label("Day and time").fill(f"{moment:%Y-%m-%d}T09:30")
        reader.press("Schedule it")
        tag = reader.page.locator("main .tag").first
        expect(tag).to_have_text(re.compile("scheduled", re.IGNORECASE))
        reader.look()
        reader.press("Pause")
        expect(tag).to_have_text(re.compile("paused", re.IGNORECASE))
        reader.look()
        reader.press("Resume the schedule")
        expect(tag).to_have_text(re.compile("scheduled", re.IGNORECASE))
        reader.press("Take back to a draft")
        expect(tag).to_have_text(re.compile("draft", re.IGNORECASE))


def test_words_that_cannot_be_read_are_named_and_kept(chromium: Browser, demo: Product) -> None:
    with reading(chromium, demo.url) as reader:
        sign_in(reader, demo)
        _write(reader, "Broken words")
        reader.page.locator("#body").fill("Hello {{ first_name ")
        reader.press("Save the words")
        reader.faults.clear()  # the browser notes the 422
        assert "Nothing was saved yet" in reader.page.get_by_role("alert").inner_text()
        assert reader.page.locator("#body").input_value() == "Hello {{ first_name "
        reader.look()


def test_the_audience_is_read_without_an_address(chromium: Browser, demo: Product) -> None:
    with reading(chromium, demo.url) as reader:
        sign_in(reader, demo)
        reader.open("/audience")
        reader.look()
        with reader.page.expect_navigation():
            reader.page.get_by_role("link", name="Agreed").first.click()
        reader.look()
        assert re.search(r"[\w.]+@[\w-]+\.\w", reader.page.locator("main").inner_text()) is None


def test_a_marketers_pages_by_keyboard(chromium: Browser, demo: Product) -> None:
    with reading(chromium, demo.url) as reader:
        reader.open("/sign-in")
        reader.tab_through()
        sign_in(reader, demo)
        for path in ("/home", "/campaigns", "/campaigns/new"):
            reader.open(path)
            reader.tab_through()
