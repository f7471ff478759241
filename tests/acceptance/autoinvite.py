"""`make acceptance-autoinvite`: the case of 2007, played against the running product.

A link went round that, when clicked, sent an invitation and the clicker's address to a stranger. Here a hostile site
puts our links into images, hidden frames, forms and scripts, and asks browsers to fetch them ahead; a scanner opens
every link of a mail, runs its scripts and presses the first button; a signed-in member clicks; a stranger types a
victim's address into fifty connect links. Prints `autoinvite attempts=… sent=0 exposed=0`: requests that reached the
product, mails nobody pressed for, and places where somebody saw an address that is not their own.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser as Chromium
from playwright.sync_api import BrowserContext, Page, Request, Response, sync_playwright
from playwright.sync_api import Error as PageError

from tests.acceptance.hostile_site import WAYS, HostileSite, hostile_site
from tests.acceptance.neighbourhood import Neighbourhood, address_of
from tests.browser.product import running
from tests.browser.reader import launch

LINKS = 50
OWNERS = 5
BUDGET = 3
"""Confirmation mails one mailbox may get in a day, whoever asks: the default of the settings."""

_EVERYBODY = ("alice", "bob", "carol", "victim", *(f"owner{number}" for number in range(OWNERS)))


@dataclass
class Tally:
    """What is printed. `changed`: rows that differ after attempts that must change nothing."""

    attempts: int = 0
    sent: int = 0
    exposed: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    victim: int = 0

    def line(self) -> str:
        return (
            f"autoinvite attempts={self.attempts} sent={self.sent} exposed={len(self.exposed)} "
            f"changed={len(self.changed)} victim={self.victim}"
        )

    def must_be_clean(self) -> None:
        """Raise AssertionError unless nothing was sent, shown or changed, and the victim was left in peace."""
        assert self.sent == 0, self.line()
        assert not self.exposed, f"{self.line()}: {self.exposed[:10]}"
        assert not self.changed, f"{self.line()}: {self.changed[:10]}"
        assert self.victim <= BUDGET, self.line()
        assert self.attempts > 200, f"{self.line()}: hardly anything reached the product"

    def look(self, where: str, text: str, own: str = "") -> None:
        """Note every address in `text` that is not its reader's."""
        lowered = text.lower()
        self.exposed += [f"{where}: {name}" for name in _EVERYBODY if name != own and address_of(name) in lowered]


def play(folder: Path) -> Tally:
    """The whole case, over a fresh installation in `folder`."""
    with running(folder, "run") as product, hostile_site() as hostile, sync_playwright() as playwright:
        house, tally = Neighbourhood(product), Tally()
        targets = _prepare(house)
        chromium = launch(playwright)
        _attack(house, hostile, chromium, targets, tally)
        _scan(house, chromium, tally)
        _click_while_signed_in(house, chromium, targets[0], tally)
        _fifty_links(house, tally)
        for letter in house.letters():
            tally.look(f"a mail “{letter.subject}”", letter.source, letter.to.partition("@")[0])
        tally.look("what the hostile site heard", "\n".join(hostile.heard))
        chromium.close()
        return tally


def _prepare(house: Neighbourhood) -> list[str]:
    """Alice has a connect link, has invited Bob, who is a member, and Carol, who is not. What there is to hit."""
    house.set_up()
    for name in ("alice", "bob"):
        house.join(name)
    link = house.make_link("alice", "My page")
    house.invite("alice", "bob")
    house.invite("alice", "carol")
    house.rest()
    assert house.letters("carol"), "the one invitation that was pressed for did not arrive"
    url = house.product.url
    incoming = url + house.incoming("bob")
    see = house.link("carol", "/invitation/").split("/invitation/")[1].split("/")[0]
    mailed = [f"{url}/invitation/{see}{act}" for act in ("", "/accept", "/decline", "/never", "/report", "/later")]
    rooms = ["/me/invite/send", "/me/invite/preview", "/me/links", "/me/account", "/me/sign-out", "/members/start"]
    return [
        link,
        link.replace("/connect/", "/badge/"),
        incoming,
        f"{incoming}/accept",
        f"{incoming}/refuse",
        *mailed,
        *(url + room for room in rooms),
    ]


@contextmanager
def _watching(
    chromium: Chromium, house: Neighbourhood, tally: Tally, name: str = ""
) -> Iterator[tuple[BrowserContext, list[str]]]:
    """A browser, `name`'s own if given; what it is answered is looked at. Gives the requests that got through."""
    context = chromium.new_context()
    context.set_default_timeout(10_000)
    if name:
        cookies = house.browsers[name].cookies.items()
        context.add_cookies([{"name": key, "value": value, "url": house.product.url} for key, value in cookies])
    reached: list[str] = []
    answers: list[Response] = []

    def note(request: Request) -> None:
        if request.url.startswith(house.product.url):
            reached.append(f"{request.method} {request.url}")

    context.on("request", note)
    context.on("response", lambda answer: answers.append(answer))  # noqa: PLW0108  Playwright marks what it is given
    yield context, reached
    for answer in answers:
        tally.look(f"the address of {urlsplit(answer.url).path[:20]}", answer.url)
        if answer.url.startswith(house.product.url) and "text" in answer.headers.get("content-type", ""):
            tally.look(f"{name or 'a stranger'} at {urlsplit(answer.url).path[:20]}", _body(answer), name)
    context.close()


def _body(answer: Response) -> str:
    try:
        return answer.text()
    except PageError:  # a redirect, a prerendered page, or one the browser refused to show: nobody read it
        return ""


@contextmanager
def _unchanged(house: Neighbourhood, tally: Tally, what: str) -> Iterator[None]:
    """Whatever happens in the block must leave no trace in the store and send nothing."""
    house.rest()
    before, mails = house.state(), len(house.letters())
    yield
    house.rest()
    after = house.state()
    tally.changed += [f"{what}: {table}" for table in before if before[table] != after[table]]
    tally.sent += len(house.letters()) - mails


def _attack(house: Neighbourhood, hostile: HostileSite, chromium: Chromium, targets: list[str], tally: Tally) -> None:
    """Every way of the hostile site, on every target, with a signed-in member's browser and with a stranger's."""
    fields = {
        "address": address_of("victim"),
        "way": "mail",
        "relationship": "friend",
        "note": "",
        "locale": "en",
        "name": "yes",
        "label": "x",
        "answer": "yes",
        "human": "yes",
        "List-Unsubscribe": "One-Click",
    }
    for name in ("bob", ""):
        for way in WAYS:
            who = name or "a stranger"
            with _unchanged(house, tally, f"{way} opened by {who}"), _watching(chromium, house, tally, name) as here:
                context, reached = here
                page = context.new_page()
                page.goto(hostile.trap(way, targets, fields), wait_until="networkidle")
                assert len(reached) >= len(targets) or way == "prefetch", f"{way}: only {reached} came through"
                tally.attempts += len(reached)


def _scan(house: Neighbourhood, chromium: Chromium, tally: Tally) -> None:
    """A mail scanner at Carol's mail: every link by HEAD and GET, then in a browser, pressing the first button.

    It may refuse on her behalf, as it may unsubscribe her anywhere: nothing is sent, and nothing is shown to anybody.
    """
    mails = len(house.letters())
    links = [link for letter in house.letters("carol") for link in letter.links if link.startswith(house.product.url)]
    plain = house.browser()
    for link in links:
        for method in ("HEAD", "GET"):
            tally.look("a scanner's look", plain.ask(method, link).text)
            tally.attempts += 1
    with _watching(chromium, house, tally) as (context, reached):
        page = context.new_page()
        for link in links:
            page.goto(link, wait_until="networkidle")
            _press_first(page)
        tally.attempts += len(reached)
    house.rest()
    tally.sent += len(house.letters()) - mails


def _press_first(page: Page) -> None:
    buttons = page.locator("main button")
    if buttons.count():
        buttons.first.click()
        page.wait_for_load_state("networkidle")


def _click_while_signed_in(house: Neighbourhood, chromium: Chromium, link: str, tally: Tally) -> None:
    """The case itself: a member, signed in, clicks a connect link, and then a link to every act there is."""
    with _unchanged(house, tally, "a member's click"), _watching(chromium, house, tally, "bob") as (context, reached):
        page = context.new_page()
        page.goto("about:blank")
        page.goto(link, wait_until="networkidle")
        assert "Alice Holm" in page.inner_text("main"), "the page does not say whose link it is"
        tally.attempts += len(reached)


def _fifty_links(house: Neighbourhood, tally: Tally) -> None:
    """A stranger types one address into the links of several owners, as the form itself asks, button and all."""
    mails, victims = len(house.letters()), len(house.letters("victim"))
    links = []
    for number in range(OWNERS):
        house.join(f"owner{number}")
        mails += 1
        links += [house.make_link(f"owner{number}", f"Page {page}") for page in range(LINKS // OWNERS)]
    stranger = house.browser()
    for link in links:
        page = stranger.get(link)
        page = stranger.send(page, page.form_with("address"), address=address_of("victim"))
        assert page.status == 200, page.status
        tally.look("the stranger's answer", page.text)
        tally.attempts += 1
    house.rest()
    tally.victim = len(house.letters("victim"))
    tally.sent += len(house.letters()) - mails - (tally.victim - victims)


def main() -> int:
    """Play it once; 0 when nothing got out."""
    with tempfile.TemporaryDirectory(prefix="outreach-autoinvite-") as folder:
        tally = play(Path(folder) / "house")
    print(tally.line())
    tally.must_be_clean()
    return 0


if __name__ == "__main__":
    sys.exit(main())
