"""What people do, many at a time: sign up, answer, withdraw; and the scanner that touches every link before them."""

import time
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.client import HTTPException
from threading import Lock
from typing import TypeVar

from tests.acceptance.browser import Browser, Button, Form, Page
from tests.acceptance.office import TITLES
from tests.acceptance.people import Answer, Person
from tests.acceptance.postman import Letter, wait_for
from tests.acceptance.product import MINUTE, Product
from tests.acceptance.running import Running

AT_ONCE = 12
ONE_CLICK = b"List-Unsubscribe=One-Click"
_FORM = [("Content-Type", "application/x-www-form-urlencoded")]
_Item = TypeVar("_Item")
_Made = TypeVar("_Made")


def together(act: Callable[[_Item], _Made], items: Iterable[_Item]) -> list[_Made]:
    """Let many act at once; the first failure of any of them is ours."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        return list(pool.map(act, items))


@dataclass
class Crowd:
    """The people, each in one browser. `stopped`: when (time.monotonic()) somebody's withdrawal was answered 200."""

    here: Running
    people: list[Person]
    sent: int = 0
    stopped: dict[str, float] = field(default_factory=dict)
    answers: set[tuple[str, int, bytes]] = field(default_factory=set)
    _lock: Lock = field(default_factory=Lock)

    def __post_init__(self) -> None:
        self.product = self.here.product
        self._browsers = {one.to: self.product.browser(ip=one.ip, language=one.locale) for one in self.people}

    def browser(self, person: Person) -> Browser:
        return self._browsers[person.to]

    def sign_up(self) -> None:
        """Everybody opens the form and sends it, those who misspell their address once more; the web dies meanwhile."""
        forms = together(self._open_form, self.people)
        self.product.move_clock(MINUTE)
        corrected = together(self._misspell, zip(self.people, forms, strict=True))
        self.product.move_clock(MINUTE)
        with ThreadPoolExecutor(1) as aside:
            killing = aside.submit(self._kill_web_in_the_middle)
            together(self._send_form, zip(self.people, corrected, strict=True))
            killing.result()

    def _kill_web_in_the_middle(self) -> None:
        wait_for("half the people", lambda: self.sent >= len(self.people) // 2, every=0.02)
        self.here.kill_web()

    def _open_form(self, person: Person) -> Page:
        page = self.browser(person).get(f"/sign-up/{person.topics[0]}")
        assert page.status == 200, f"the sign-up page answers {page.status}"
        return page

    def _misspell(self, asked: tuple[Person, Page]) -> Page:
        """The page to correct it on, for those who do."""
        person, page = asked
        if not person.misspelt:
            return page
        wrong = self._submit(person, page, person.misspelt)
        assert wrong.status == 422, f"a wrong address was answered {wrong.status}"
        assert 'id="address-error"' in wrong.text, "a wrong address was not named at once"
        return wrong

    def _send_form(self, asked: tuple[Person, Page]) -> None:
        person, page = asked
        self.note(self.browser(person), self._submit(person, page, person.typed))

    def _submit(self, person: Person, page: Page, address: str) -> Page:
        form = page.form_with("address")
        return self._insist(lambda: self.browser(person).post(page, form, address=address, topics=person.topics))

    def _insist(self, act: Callable[[], Page]) -> Page:
        """Where the server dies over it, do it again, as people do."""
        for _ in range(5):
            try:
                return act()
            except (OSError, HTTPException):
                self.here.wait_for_web()
        raise AssertionError("the web does not stay up")

    def note(self, browser: Browser, answer: Page) -> None:
        """Keep what the door said: the redirect and the page it leads to, whole."""
        assert answer.status == 303, f"signing up was answered {answer.status}"
        page = self._insist(lambda: browser.follow(answer))
        assert page.status == 200
        with self._lock:
            self.sent += 1
            self.answers.add((browser.language, answer.status, answer.body + page.body))

    def press(self, letters: Iterable[tuple[Person, Letter]]) -> None:
        """Everybody answers their confirmation mail, each in their own way."""
        together(lambda one: self._answer(*one), letters)

    def _answer(self, person: Person, letter: Letter) -> None:
        link = letter.link("/confirm/")
        browser = self.browser(person)
        match person.answer:
            case Answer.YES:
                done = self.say_yes(person, browser.get(link))
                assert done.status == 200, f"a press was answered {done.status}"
                if person.presses_twice:
                    self._press_again(person, link, done)
            case Answer.NO:
                page = browser.get(link)
                browser.send(page, page.form_with("answer"), _named(page.form_with("answer"), "no"))
            case Answer.NEVER:
                page = browser.get(f"{link.partition('?')[0]}/never")
                browser.send(page, page.form_to("/never"))

    def say_yes(self, person: Person, page: Page, **more: str) -> Page:
        """Tick what is wanted and press yes."""
        form = page.form_with("answer", "topics")
        offered = [control.value for control in form.controls if control.name == "topics"]
        titles = {TITLES[topic][person.locale] for topic in person.ticked}
        labels = [f'for="topic-{place}"><b>' for place in range(1, len(offered) + 1)]
        read = [page.text.partition(label)[2].partition("<")[0] for label in labels]
        wanted = [ref for ref, title in zip(offered, read, strict=True) if len(offered) == 1 or title in titles]
        answered = self.browser(person).send(page, form, _named(form, "yes"), topics=wanted, **more)
        if 'id="human"' not in answered.text or "human" in more:
            return answered
        form = answered.form_with("answer", "topics")  # a scanner was at the mail before: tick the box, press again
        return self.browser(person).send(answered, form, _named(form, "yes"), topics=wanted, human="yes")

    def _press_again(self, person: Person, link: str, done: Page) -> None:
        again = self.browser(person).get(link)
        assert again.status == 200
        assert again.body != done.body, "a second use reads like the first"
        assert person.locale != "en" or "already confirmed" in again.text, "it does not say “already confirmed”"
        assert "answer" not in {button.name for form in again.forms for button in form.buttons}, "it asks again"

    def withdraw(self, letters: Iterable[tuple[Person, Letter]]) -> None:
        """One-click without cookies from somebody's mail server, or the button on the page."""
        together(lambda one: self._withdraw(*one), letters)

    def _withdraw(self, person: Person, letter: Letter) -> None:
        if person.withdraws == "one-click":
            server = self.product.browser(ip="203.0.113.25")
            answer = server.ask("POST", letter.one_click, ONE_CLICK, _FORM)
        else:
            browser = self.browser(person)
            page = browser.get(letter.one_click)
            answer = browser.post(page, page.form_to("/press"))
        assert answer.status == (200 if person.withdraws == "one-click" else 303), f"stopping: {answer.status}"
        self.stopped[person.to] = time.monotonic()


def scan(product: Product, urls: Collection[str]) -> None:
    """What a security scanner does with mail: GET and HEAD, every link, following redirects, from elsewhere."""

    def touch(url: str) -> None:
        browser = product.browser(ip="198.51.100.66")
        for method in ("HEAD", "GET"):
            page = browser.ask(method, url)
            assert page.status < 500, f"{method} {url.split('/')[3]}: {page.status}"
            browser.follow(page)

    together(touch, urls)


def _named(form: Form, value: str) -> Button:
    return next(button for button in form.buttons if button.value == value)
