"""A receipt as people meet it: after a press, on paper, and checked by somebody else, with scripts and without."""

import re
import secrets

import pytest
from playwright.sync_api import Browser

from tests.browser.inbox import links, open_newest_letter
from tests.browser.product import Product
from tests.browser.reader import Reader, reading

LIGHTEST = 20_000


def agree(reader: Reader) -> None:
    """Sign up, confirm, and stay on the page that answers."""
    address = f"keeps.receipts.{secrets.token_hex(4)}@example.org"
    reader.open("/sign-up/garden-tips")
    reader.page.locator("#address").fill(address)
    with reader.page.expect_navigation():
        reader.page.locator("main button").click()
    open_newest_letter(reader, address)
    reader.open(links(reader)["confirm"])
    with reader.page.expect_navigation():
        reader.page.locator("main .choices button").first.click()
    if reader.page.locator("#human").count():
        reader.page.locator("#human").check()
        with reader.page.expect_navigation():
            reader.page.locator("main .choices button").first.click()


def follow_receipt(reader: Reader) -> None:
    with reader.page.expect_navigation():
        reader.page.locator('main a[href^="/receipt/"]').first.click()


@pytest.mark.parametrize(("scripts", "locale"), [(True, "en"), (False, "sv"), (False, "nl")])
def test_a_receipt_is_shown_kept_and_checked(chromium: Browser, demo: Product, scripts: bool, locale: str) -> None:
    with reading(chromium, demo.url, scripts=scripts, locale=locale) as reader:
        agree(reader)
        reader.look()
        follow_receipt(reader)
        assert reader.weight < LIGHTEST
        assert reader.page.locator("html").get_attribute("lang") == locale
        reader.look()
        text = reader.page.locator("pre.signed").inner_text() or reader.page.locator("pre.signed").text_content() or ""
        with reader.page.expect_navigation():
            reader.page.locator("main form button").click()
        assert reader.page.locator("main [role=status]").count() == 1
        reader.look()
        reader.open("/receipts")
        assert reader.weight < LIGHTEST
        reader.look()
        for brought in (text, text.replace("at most", "at least", 1), text.replace("#z6Mk", "#z6Mx"), "nothing"):
            reader.page.locator("#receipt").fill(brought)
            with reader.page.expect_navigation():
                reader.page.locator("main form button").click()
            assert reader.page.locator("#outcome").count() == 1
            reader.look()


def test_a_receipt_prints_on_one_page(chromium: Browser, demo: Product) -> None:
    with reading(chromium, demo.url) as reader:
        agree(reader)
        follow_receipt(reader)
        for paper in ("A4", "Letter"):
            pages = re.findall(rb"/Type\s*/Page\b", reader.page.pdf(format=paper))
            assert len(pages) == 1, paper
