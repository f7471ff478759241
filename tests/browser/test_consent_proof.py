"""A consent proof on paper: two A4 sheets, with nothing folded away."""

import re
from collections.abc import Callable

from playwright.sync_api import Browser

from tests.browser.desk import sign_in
from tests.browser.product import Product
from tests.browser.reader import Reader, reading
from tests.guards.letters import recipients

_SHEET = re.compile(rb"/Type\s*/Page(?![a-zA-Z])")


def _sheets(reader: Reader) -> int:
    """How many A4 sheets Chromium prints this page on."""
    return len(_SHEET.findall(reader.page.pdf(prefer_css_page_size=True)))


def _open_proof(reader: Reader, demo: Product, chosen: Callable[[str], bool]) -> None:
    sign_in(reader, demo)
    somebody = min(address for address in recipients(demo.instance / "mailbox") if chosen(address))
    reader.open("/compliance/find")
    reader.page.get_by_label("Address in full").fill(somebody)
    reader.press("Look up")
    with reader.page.expect_navigation():
        reader.page.locator("main").get_by_role("link", name=re.compile("^Proof of")).first.click()
    reader.press("Make the proof and note it in the log")


def test_a_proof_prints_on_two_sheets_with_the_path_into_the_log(chromium: Browser, demo: Product) -> None:
    with reading(chromium, demo.url) as reader:
        _open_proof(reader, demo, lambda address: address.startswith("elsa"))
        reader.look()
        assert 1 <= _sheets(reader) <= 2
        reader.page.emulate_media(media="print")
        path = reader.page.locator(".path p").first
        assert path.is_visible(), "the inclusion proof is folded away on paper"
        assert "path" in path.inner_text()


def test_a_long_history_still_prints_on_two_sheets(chromium: Browser, demo: Product) -> None:
    """Thirty later changes, put into the page as it would list them."""
    with reading(chromium, demo.url) as reader:
        _open_proof(reader, demo, lambda address: address.startswith("elsa"))
        reader.page.evaluate(
            "() => { const body = document.querySelector('.changes tbody'); const row = body.rows[0];"
            " for (let n = 0; n < 30; n++) body.append(row.cloneNode(true)); }"
        )
        assert 1 <= _sheets(reader) <= 2
