"""The demo mailbox as people use it in these tests: find the newest letter, read its links; and how a button looks."""

import re

from playwright.sync_api import Locator

from tests.browser.reader import Reader

_LINK = re.compile(
    r"http\S+?/(confirm|why|stop|choose|invitation|connection|rights|room|held-mail|moving|keep)/[\w.-]+(?:/\w+)?"
)


def open_newest_letter(reader: Reader, words: str, *, nth: int = 1) -> None:
    """Open the newest mail to this address, or with these words in its subject, once the `nth` has come."""
    reader.open("/mailbox")
    letters = reader.page.locator(".mailbox-list a")
    for _ in range(100):
        reader.page.get_by_label("An address in full").fill(words)
        reader.press("Find letters")
        if letters.count() >= nth:
            break
    with reader.page.expect_navigation():
        letters.first.click()


def links(reader: Reader) -> dict[str, str]:
    """The links of the letter that is open, by where they lead: confirm, why, stop, invitation, invitation/decline …"""
    reader.follow("Plain text")
    text = reader.page.locator("pre").inner_text()
    found = {}
    for link in _LINK.finditer(text):
        part = link[0].partition(f"/{link[1]}/")[2].partition("/")[2]
        found[f"{link[1]}/{part}" if part else link[1]] = link[0]
    return found


def look_of(button: Locator) -> dict[str, object]:
    """Colours, border, type and size of a button."""
    look: dict[str, object] = button.evaluate(
        "b => { const s = getComputedStyle(b), r = b.getBoundingClientRect();"
        " return {c: s.color, b: s.backgroundColor, e: s.border, f: s.font, w: Math.round(r.width),"
        " h: Math.round(r.height)} }"
    )
    return look
