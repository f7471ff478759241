"""A person at a real browser, and what must hold on every page they see: WCAG 2.2 AA, narrow, wide, light and dark."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, Response

CHROMIUM = "/usr/bin/chromium"
QUIETLY = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
NARROW = {"width": 320, "height": 720}
WIDE = {"width": 1280, "height": 900}
_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
_AXE = Axe()
_RULES = {"runOnly": {"type": "tag", "values": _TAGS}, "resultTypes": ["violations"]}

_FOCUS = """() => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  const look = getComputedStyle(one), box = one.getBoundingClientRect();
  return {
    name: one.tagName + " " + (one.id || one.name || one.textContent.trim().slice(0, 30)),
    outline: look.outlineStyle === "none" ? 0 : parseFloat(look.outlineWidth),
    shown: box.width > 0 && box.height > 0 && box.right > 0 && box.bottom > 0,
    top: box.top + scrollY, left: box.left,
  };
}"""


def launch(playwright: Playwright) -> Browser:
    """Debian's Chromium, which speaks to nobody but the product."""
    return playwright.chromium.launch(executable_path=CHROMIUM, args=list(QUIETLY))


@dataclass
class Reader:
    """One person: a browser without anybody else's cookies. `faults` gathers what the browser complained of."""

    context: BrowserContext
    page: Page
    url: str
    has_scripts: bool = True
    faults: list[str] = field(default_factory=list)
    answers: list[Response] = field(default_factory=list)

    def open(self, path: str) -> None:
        """Type an address of the product's."""
        self.page.goto(path if path.startswith("http") else self.url + path)

    def press(self, name: str) -> None:
        """Press the button that says just this, and wait for the page it brings."""
        with self.page.expect_navigation():
            self.page.get_by_role("button", name=name, exact=True).first.click()

    def follow(self, name: str) -> None:
        """Follow the link that says just this."""
        with self.page.expect_navigation():
            self.page.get_by_role("link", name=name, exact=True).first.click()

    def heading(self) -> str:
        return self.page.get_by_role("heading", level=1).first.inner_text()

    def look(self) -> None:
        """Hold this page to what must hold on every page. Forms keep what was typed."""
        for size, scheme in ((NARROW, "dark"), (WIDE, "light")):
            self.page.set_viewport_size({"width": size["width"], "height": size["height"]})
            self.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
            wide = self.page.evaluate("document.documentElement.scrollWidth")
            assert wide <= size["width"], f"{self._where} scrolls sideways: {wide} px at {size['width']}"
            if self.has_scripts:
                found = _violations(self.page)
                assert not found, f"{self._where} at {size['width']} px, {scheme}: {_told(found)}"
        assert self.faults == [], f"{self._where}: {self.faults}"

    def tab_through(self) -> None:
        """Go through the page by keyboard: every stop is seen, and the order is that of reading."""
        self.page.set_viewport_size({"width": WIDE["width"], "height": WIDE["height"]})
        self.page.evaluate("document.activeElement.blur(); scrollTo(0, 0)")
        stops = 0
        first: dict[str, object] = {}
        last = {"top": -1.0, "left": 0.0}
        for _ in range(60):
            self.page.keyboard.press("Tab")
            now = self.page.evaluate(_FOCUS)
            if now is None or now == first:  # a page that begins with radio buttons starts over at once
                break
            first = first or now
            assert now["outline"] >= 2, f"{self._where}: no focus to be seen on {now['name']}"
            assert now["shown"], f"{self._where}: focus on something hidden: {now['name']}"
            is_onward = now["top"] >= last["top"] - 30 or now["left"] > last["left"]
            assert is_onward, f"{self._where}: the keyboard jumps back to {now['name']}"
            last = now
            stops += 1
        assert stops > 1, f"{self._where}: the keyboard reaches nothing"

    @property
    def weight(self) -> int:
        """Octets of the page last opened with all it loaded, uncompressed."""
        return sum(len(answer.body()) for answer in self.answers if answer.status == 200)

    @property
    def _where(self) -> str:
        return urlsplit(self.page.url).path.split("t1.")[0]


@contextmanager
def reading(
    browser: Browser, url: str, *, scripts: bool = True, locale: str = "en-GB", scheme: str = "light"
) -> Iterator[Reader]:
    """A new person until the block ends."""
    context = browser.new_context(
        java_script_enabled=scripts,
        locale=locale,
        viewport={"width": WIDE["width"], "height": WIDE["height"]},
        color_scheme="dark" if scheme == "dark" else "light",
        reduced_motion="reduce",  # colours are judged at rest
    )
    context.set_default_timeout(15_000)
    reader = Reader(context, context.new_page(), url, has_scripts=scripts)
    context.on("weberror", lambda error: reader.faults.append(str(error.error)))
    context.on("console", lambda line: reader.faults.append(line.text) if line.type == "error" else None)
    reader.page.on("response", lambda answer: _note(reader, answer))
    yield reader
    context.close()


def _violations(page: Page) -> list[dict[str, object]]:
    """What axe finds wrong; its script is put into each document once."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(_AXE.axe_script)
    found: list[dict[str, object]] = page.evaluate("rules => axe.run(document, rules)", _RULES)["violations"]
    return found


def _note(reader: Reader, answer: Response) -> None:
    if answer.request.is_navigation_request() and answer.frame == reader.page.main_frame:
        reader.answers.clear()
    reader.answers.append(answer)


def _told(found: list[dict[str, object]]) -> str:
    lines = []
    for one in found:
        nodes = one["nodes"]
        assert isinstance(nodes, list)
        lines += [f"{one['id']}: {node['target']} {node.get('failureSummary', '')}" for node in nodes[:3]]
    return "\n".join(lines)
