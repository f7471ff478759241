"""`python -m tests.screenshots`: starts the demonstration, goes through it, and keeps pictures in docs/screenshots/."""

import re
import secrets
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, sync_playwright

from tests.browser.desk import sign_in, sign_in_member
from tests.browser.product import Product, running
from tests.browser.reader import NARROW, Reader, launch, reading
from tests.guards.letters import read_letters, recipients

HERE = Path(__file__).parents[1] / "docs" / "screenshots"
LARGEST = 150_000
SIZE = {"width": 1120, "height": 780}


def main() -> None:
    """Take every picture anew."""
    HERE.mkdir(parents=True, exist_ok=True)
    for old in HERE.glob("*.png"):
        old.unlink()
    with (
        tempfile.TemporaryDirectory() as folder,
        running(Path(folder) / "house", "demo") as product,
        sync_playwright() as playwright,
    ):
        chromium = launch(playwright)
        _recipient(chromium, product)
        _staff(chromium, product)
        _members(chromium, product)
        _public(chromium, product)
        _room(chromium, product)
        chromium.close()
    for picture in sorted(HERE.glob("*.png")):
        size = picture.stat().st_size
        print(f"{picture.relative_to(HERE.parents[1])}  {size / 1000:.0f} kB")
        assert size < LARGEST, picture


def _take(reader: Reader, name: str, *, narrow: bool = False, dark: bool = False, whole: bool = False) -> None:
    size = NARROW if narrow else SIZE
    reader.page.set_viewport_size({"width": size["width"], "height": size["height"]})
    reader.page.emulate_media(color_scheme="dark" if dark else "light")
    reader.page.screenshot(path=HERE / f"{name}.png", full_page=whole)


def _recipient(chromium: Browser, product: Product) -> None:
    with reading(chromium, product.url) as reader:
        reader.open("/sign-up/garden-tips")
        _take(reader, "recipient-sign-up", whole=True)
        links = _asked(reader, [])
        reader.open(links["confirm"])
        _take(reader, "recipient-confirm", whole=True)
        links = _asked(reader, ["Seed shop"])
        reader.open(links["confirm"])
        _take(reader, "recipient-confirm-several")
    with reading(chromium, product.url) as reader:
        links = _read(reader, "Bring your spare beans")
        reader.follow("Letter")
        reader.page.frame_locator("iframe").locator("body").wait_for()
        _take(reader, "demo-mailbox")
        reader.open(f"{links['why']}?lang=en")
        _take(reader, "recipient-why", whole=True)
        _take(reader, "recipient-why-narrow-dark", narrow=True, dark=True, whole=True)
        reader.open(f"{links['stop']}?lang=en")
        _take(reader, "recipient-stop")


def _public(chromium: Browser, product: Product) -> None:
    with reading(chromium, product.url) as reader:
        _open_until(reader, "/transparency", "section")
        _take(reader, "public-figures")


def _room(chromium: Browser, product: Product) -> None:
    """The room of somebody whom campaigns reached, behind the link mailed to them."""
    letters = read_letters(product.instance / "mailbox", every=3)
    somebody = min(letter.to for letter in letters if letter.is_campaign)
    with reading(chromium, product.url) as reader:
        reader.open("/room")
        reader.page.locator("#address").fill(somebody)
        reader.press("Mail me the link")
        found: dict[str, str] = {}
        while "room" not in found:  # an older letter: ours is on its way
            found = _read(reader, somebody)
        reader.open(f"{found['room']}?lang=en")
        _take(reader, "recipient-room", whole=True)
        _take(reader, "recipient-room-narrow-dark", narrow=True, dark=True, whole=True)
        reader.open(f"{found['room']}/history?lang=en")
        _take(reader, "recipient-room-history")


def _open_until(reader: Reader, path: str, found: str) -> None:
    """Open a page until something is there that the leader brings within seconds."""
    for _ in range(300):
        reader.open(path)
        if reader.page.locator(found).count():
            return


def _asked(reader: Reader, more: list[str]) -> dict[str, str]:
    """Sign somebody up for garden tips and `more`; the links of the mail that asks."""
    address = f"reader.{secrets.token_hex(4)}@example.org"
    reader.open("/sign-up/garden-tips")
    for topic in more:
        reader.page.get_by_label(topic).check()
    reader.page.locator("#address").fill(address)
    reader.press("Send me the mail that asks")
    return _read(reader, address)


def _read(reader: Reader, words: str) -> dict[str, str]:
    """Open a letter found by `words` as plain text, and return where its links lead."""
    reader.open("/mailbox")
    letters = reader.page.locator(".mailbox-list a")
    for _ in range(200):
        reader.page.locator("#words").fill(words)
        with reader.page.expect_navigation():
            reader.page.locator(".mailbox-find button").click()
        if letters.count():
            break
    with reader.page.expect_navigation():
        letters.first.click()
    reader.follow("Plain text")
    text = reader.page.locator("pre").inner_text()
    return {found.group(1): found.group(0) for found in re.finditer(r"http\S+?/(confirm|why|stop|room)/[\w.-]+", text)}


def _staff(chromium: Browser, product: Product) -> None:
    with reading(chromium, product.url) as reader:
        sign_in(reader, product)
        reader.open("/campaigns")
        _take(reader, "marketer-campaigns")
        reader.follow("Seed list")
        draft = reader.page.url
        reader.open(f"{draft}/words")
        _take(reader, "marketer-write")
        reader.open(f"{draft}/check")
        _take(reader, "marketer-check")
        reader.open("/campaigns")
        reader.follow("First frost")
        _take(reader, "marketer-progress")
        reader.open("/topics")
        reader.follow("Garden tips")
        _take(reader, "topic")
        reader.open("/conversations")
        _take(reader, "marketer-conversations")
        reader.page.get_by_role("button", name=re.compile("Open the conversation")).first.click()
        _take(reader, "marketer-conversation")
        reader.open("/compliance/reports")
        _take(reader, "officer-reports")
        _open_until(reader, "/compliance", "text=Accepted")
        _take(reader, "officer-start")
        _take(reader, "officer-start-dark", dark=True)
        reader.open("/compliance/log?kind=consent.confirmed")
        _take(reader, "officer-log")
        reader.open("/compliance/register")
        _take(reader, "officer-register")
        reader.open("/compliance/find")
        somebody = min(address for address in recipients(product.instance / "mailbox") if address.startswith("elsa"))
        reader.page.locator("#who").fill(somebody)
        reader.press("Look up")
        reader.press("Show the masked address and the evidence, and note it in the log")
        _take(reader, "officer-timeline")
        reader.follow("How it stood before")
        reader.page.get_by_label("At", exact=True).fill("2026-11-01T12:00")
        reader.press("Show how it stood")
        _take(reader, "officer-as-of")
        reader.open("/invitations")
        _take(reader, "officer-inviters")


def _members(chromium: Browser, product: Product) -> None:
    with reading(chromium, product.url) as reader:
        sign_in_member(reader, product)
        _take(reader, "member-overview")
        reader.open("/me/invite?way=mail")
        reader.page.locator("#address").fill("anders.berg@example.org")
        reader.page.get_by_label("a friend").check()
        reader.page.locator("#note").fill("Do you still have the old apple tree?")
        reader.press("Show me the exact mail")
        _take(reader, "member-invite-preview")
        reader.open("/me/incoming")
        reader.follow("Mira Sand invites you to connect")
        _take(reader, "member-incoming", whole=True)
        reader.open("/me/connections")
        reader.follow("Nora Field")
        _take(reader, "member-connection")
        reader.open("/me/links")
        reader.follow("Seed group page")
        _take(reader, "member-connect-link", whole=True)
        link = re.search(r"/connect/[0-9a-f]{32}", reader.page.content())
        assert link is not None
    with reading(chromium, product.url) as reader:
        reader.open(link[0])
        _take(reader, "connect-page", whole=True)
        asked = next(one for one in read_letters(product.instance / "mailbox") if one.to.startswith("anders@"))
        see = next(one for one in asked.links if "/invitation/" in one)
        reader.open(product.url + urlsplit(see).path)
        _take(reader, "recipient-invitation", whole=True)
        _take(reader, "recipient-invitation-narrow-dark", narrow=True, dark=True, whole=True)


if __name__ == "__main__":
    main()
