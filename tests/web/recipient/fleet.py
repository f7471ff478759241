"""Scanners and people before a confirmation mail, as tests play them.

A scanner takes the octets of the mail: it follows every link of every part, shown or not, and presses every button of
every form it meets, some at once, some after minutes; each step comes from another machine and browser. It runs the
scripts of a page, of which ours have none. A person sees what their program shows, follows one link and presses one
button.
"""

import email
import email.policy
import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from urllib.parse import urljoin, urlsplit

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.datastructures import MultiDict

from tests.guards.pages import Form, Page

_URL = re.compile(r"https?://[^\s<>\"]+")
_MACHINES = ("192.0.2.1", "198.51.100.20", "203.0.113.30", "2001:db8::7")
PROGRAMS = ("Mozilla/5.0 (compatible; LinkGuard/3.1)", "Mozilla/5.0 Chrome/126.0", "curl/8.6.0", "")
CLIENTS = ("Firefox/127.0", "Safari/17.5 (iPhone)", "Thunderbird/115", "Lynx/2.9.0", "")
"""What people read with; the last one tells nothing of itself."""


@dataclass(frozen=True)
class Mail:
    """One mail. `shown`: the links a person sees, by what is written on them; `every`: those its octets hold."""

    shown: dict[str, str]
    every: tuple[str, ...]


def opened(octets: bytes) -> Mail:
    """What is in a mail for either."""
    read = email.message_from_bytes(octets, policy=email.policy.default)
    assert isinstance(read, EmailMessage)
    html, plain = (read.get_body((kind,)) for kind in ("html", "plain"))
    assert html is not None
    assert plain is not None
    markup, text = html.get_content(), plain.get_content()
    hidden = re.sub(r"<div[^>]*\bhidden\b[^>]*>.*?</div>", "", markup, flags=re.DOTALL)
    shown = {
        re.sub(r"<[^>]+>", "", words).strip(): url
        for url, words in re.findall(r'<a[^>]*href="([^"]+)"[^>]*>(.*?)</a>', hidden)
    }
    headers = [url for value in read.get_all("List-Unsubscribe", []) for url in _URL.findall(str(value))]
    every = [*Page(markup).links, *_URL.findall(text), *headers]
    return Mail(shown, tuple(dict.fromkeys(url for url in every if url.startswith("http"))))


def scan(app: Flask, mail: Mail, number: int, *, presses: str = "yes") -> None:
    """Scanner `number` at work: all links twice, and the buttons with `presses` on the forms behind them.

    A fleet that presses “no” and “stop” as well answers no, which nobody can tell from a person's; this one does not.
    """
    forms: list[tuple[FlaskClient, str, Form]] = []
    for step, url in enumerate((*mail.every, *reversed(mail.every))):
        client = app.test_client()
        where = {"REMOTE_ADDR": _MACHINES[(number + step) % len(_MACHINES)]}
        agent = {"User-Agent": PROGRAMS[(number + step) % len(PROGRAMS)]}
        client.head(_path(url), environ_base=where, headers=agent)
        answer = client.get(_path(url), environ_base=where, headers=agent)
        forms += [(client, urljoin(url, form.action), form) for form in Page(answer.text).forms]
    for client, url, form in forms:
        _press(client, url, form, presses)


def _press(client: FlaskClient, url: str, form: Form, presses: str) -> None:
    """Press, and press what the answer offers, thrice: a box that must be ticked by hand stays as it is."""
    for _ in range(3):
        button = next((one for one in form.buttons if one[1] == presses), None)
        if button is None:
            return
        answer = client.post(_path(url), data=MultiDict([*form.fields, button]))
        again = [one for one in Page(answer.text).forms if any(made[1] == presses for made in one.buttons)]
        if not again:
            return
        form = again[0]


def _path(url: str) -> str:
    parts = urlsplit(url)
    return parts.path + (f"?{parts.query}" if parts.query else "")


@dataclass(frozen=True)
class Outcome:
    """What a person's press led to."""

    was_challenged: bool
    is_confirmed: bool


def answer_as_a_person(app: Flask, mail: Mail, agent: str, words: Sequence[str]) -> Outcome:
    """Follow the one link, press yes, and tick the box where one is asked for. `words`: what the link may be called."""
    client, headers = app.test_client(), {"User-Agent": agent}
    url = next(url for label, url in mail.shown.items() if label in words)
    page = Page(client.get(_path(url), headers=headers).text)
    (form,) = [form for form in page.forms if any(value == "yes" for _, value in form.buttons)]
    data = MultiDict([*form.fields, ("answer", "yes")])
    said = client.post(_path(url), data=data, headers=headers).text
    was_challenged = 'id="human"' in said
    if was_challenged:
        said = client.post(_path(url), data=data | {"human": "yes"}, headers=headers).text
    return Outcome(was_challenged, "<h1>Confirmed</h1>" in said)
