"""Somebody who types the same into every field of every form they find, and sends it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

from flask import Flask
from werkzeug.exceptions import HTTPException

from tests.guards.crawl import Visit
from tests.guards.visitors import browser, csrf_token

_CHOSEN = {"hidden", "radio", "checkbox", "submit", "button", "file", "number", "date", "time", "datetime-local"}
SPARED = {"member.close_account", "member.sign_out", "account.sign_out", "room.leave"}
"""What would end the room that is looked at."""
READ = {f"officer.{name}" for name in ("read_contact", "read_appeal", "read_request", "proof_now")}
READ |= {"conversations.open_one"}
"""Presses that show what a box held."""


@dataclass
class Filled:
    """A form and what is sent. `typed`: the names of fields that take any text."""

    action: str
    method: str
    values: dict[str, str] = field(default_factory=dict)
    typed: set[str] = field(default_factory=set)


class Forms(HTMLParser):
    """The forms of a page: what it chose stays, the first of what can be chosen is, and the rest takes text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.forms: list[Filled] = []
        self._select = ""
        self._is_inside = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._is_inside = True
            self.forms.append(Filled(has.get("action", ""), has.get("method", "get").lower()))
        if not self._is_inside:
            return
        form, name = self.forms[-1], has.get("name", "")
        if tag == "select":
            self._select = name
        elif tag == "option" and self._select:
            form.values.setdefault(self._select, has.get("value", ""))
        elif name and (tag == "button" or has.get("type") in _CHOSEN):
            form.values.setdefault(name, has.get("value", ""))
        elif name and tag in {"input", "textarea"}:
            form.typed.add(name)

    def handle_endtag(self, tag: str) -> None:
        self._is_inside &= tag != "form"
        self._select = "" if tag == "select" else self._select


def press(app: Flask, visits: list[Visit], words: str) -> Iterator[Visit]:
    """What each kind of form on these pages answers to each who can see it, and the page it leads to."""
    seen: set[tuple[str, ...]] = set()
    for visit in visits:
        if not visit.is_page or visit.method != "GET" or visit.status != 200:
            continue
        for form in Forms(visit.body).forms:
            url = urlsplit(urljoin(visit.url, form.action))
            endpoint = _endpoint(app, url.path, form.method.upper())
            kind = (visit.who, endpoint, *sorted(form.typed | set(form.values)))
            if not (form.typed or endpoint in READ) or endpoint in {"", *SPARED} or kind in seen:
                continue
            seen.add(kind)
            yield from _send(app, visit.who, endpoint, url.path, form, words)


def _send(app: Flask, who: str, endpoint: str, path: str, form: Filled, words: str) -> Iterator[Visit]:
    client = browser(app, who)
    values = form.values | dict.fromkeys(form.typed, words)
    if form.method == "post":
        answer = client.post(path, data=values | {"csrf_token": csrf_token(client)})
    else:
        answer = client.get(path, query_string=values)
    yield _visit(who, form.method.upper(), path, endpoint, answer)
    if "Location" in answer.headers and answer.headers["Location"].startswith(("/", "http://127.0.0.1")):
        onward = urlsplit(answer.headers["Location"])
        yield _visit(who, "GET", onward.path, endpoint, client.get(onward.path, query_string=onward.query))


def _visit(who: str, method: str, url: str, endpoint: str, answer: object) -> Visit:
    headers, status, data = (getattr(answer, name) for name in ("headers", "status_code", "data"))
    return Visit(who, method, url, endpoint, status, tuple(headers), data.decode(errors="replace"), (), ())


def _endpoint(app: Flask, path: str, method: str) -> str:
    try:
        return str(app.url_map.bind("127.0.0.1").match(path, method=method)[0])
    except HTTPException:
        return ""
