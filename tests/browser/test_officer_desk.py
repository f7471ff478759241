"""The officer's desk in a browser: what needs doing, the log, a past state, the register; and the public's page."""

import re

from playwright.sync_api import Browser, expect

from tests.browser.desk import sign_in
from tests.browser.product import Product
from tests.browser.reader import Reader, reading
from tests.guards.letters import recipients

TYPED = "2026-01-01T10:00"


def _open_somebody(reader: Reader, demo: Product) -> None:
    somebody = min(address for address in recipients(demo.instance / "mailbox") if address.startswith("elsa"))
    reader.open("/compliance/find")
    reader.page.get_by_label("Address in full").fill(somebody)
    reader.press("Look up")


def _open_figures(reader: Reader, locale: str) -> None:
    """Once the leader has added the log up."""
    for _ in range(200):
        reader.open(f"/transparency?lang={locale}")
        if reader.page.locator("section").count():
            return
    raise AssertionError("nothing was added up")


def test_what_needs_doing_leads_to_the_rows_behind_it(chromium: Browser, demo: Product) -> None:
    with reading(chromium, demo.url) as reader:
        sign_in(reader, demo)
        reader.open("/compliance")
        assert reader.heading() == "What needs an officer"
        assert "@" not in reader.page.inner_text("main")
        reader.look()
        reader.open("/compliance/unknown")
        reader.look()
        groups = reader.page.get_by_role("link", name=re.compile("^Look at the"))
        if groups.count():
            with reader.page.expect_navigation():
                groups.first.click()
            reader.look()
            reader.tab_through()


def test_a_search_is_saved_drawn_and_read_entry_by_entry(chromium: Browser, demo: Product) -> None:
    with reading(chromium, demo.url) as reader:
        sign_in(reader, demo)
        reader.open("/compliance/log?kind=consent.confirmed")
        expect(reader.page.get_by_role("img", name=re.compile("What was found over time"))).to_be_visible()
        reader.look()
        reader.page.get_by_label("Name").fill("Who confirmed")
        reader.press("Save this search")
        reader.open("/compliance/log")
        reader.follow("Who confirmed")
        first = reader.page.locator("main tbody tr").last
        first.get_by_text("In full").click()
        expect(first.locator("pre")).to_contain_text('"kind":"consent.confirmed"')
        reader.look()
        with reader.page.expect_navigation():
            first.get_by_role("link").first.click()
        assert reader.heading() == "Consent confirmed"
        reader.look()
        reader.open("/compliance/log")
        reader.press("Forget the search Who confirmed")
        expect(reader.page.get_by_role("status")).to_contain_text("forgotten")


def test_a_contact_is_seen_as_it_stood(chromium: Browser, demo: Product) -> None:
    with reading(chromium, demo.url) as reader:
        sign_in(reader, demo)
        _open_somebody(reader, demo)
        reader.follow("How it stood before")
        reader.look()
        reader.page.get_by_label("At", exact=True).fill(TYPED)
        reader.press("Show how it stood")
        expect(reader.page.locator("main")).to_contain_text("No address was read.")
        reader.look()


def test_the_register_is_read_noted_and_printed(chromium: Browser, demo: Product) -> None:
    with reading(chromium, demo.url) as reader:
        sign_in(reader, demo)
        reader.open("/compliance/register")
        reader.look()
        reader.follow("Add the note on: Transfers to other countries")
        reader.look()
        reader.page.get_by_label("Note").fill("None outside the European Economic Area.")
        reader.press("Put it in the register")
        expect(reader.page.locator("main")).to_contain_text("None outside the European Economic Area.")
        reader.page.emulate_media(media="print")
        expect(reader.page.get_by_role("link", name=re.compile("Change the note"))).to_have_count(0)
        expect(reader.page.get_by_role("heading", level=1)).to_be_visible()


def test_anybody_reads_how_the_promises_are_kept_in_three_languages(chromium: Browser, demo: Product) -> None:
    for locale in ("en", "sv", "nl"):
        with reading(chromium, demo.url, scripts=locale != "nl") as reader:
            _open_figures(reader, locale)
            assert reader.page.locator("html").get_attribute("lang") == locale
            assert "@" not in reader.page.inner_text("main")
            reader.look()
            assert reader.weight < 20_000


def test_the_page_of_witnesses_says_what_is_published_and_leads_to_it(chromium: Browser, demo: Product) -> None:
    with reading(chromium, demo.url) as reader:
        sign_in(reader, demo)
        reader.open("/compliance/witnesses")
        assert reader.heading() == "Witnesses"
        expect(reader.page.locator("main")).to_contain_text("entries, sealed")
        expect(reader.page.locator("main")).to_contain_text("No witness yet")
        reader.look()
        reader.tab_through()
        reader.follow("checkpoint")
        expect(reader.page.locator("body")).to_contain_text("—")
