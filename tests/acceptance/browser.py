"""What stands between people and the product: a reverse proxy's headers, cookies, pages and the forms in them."""

import http.client
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from html.parser import HTMLParser
from urllib.parse import urlencode, urljoin, urlsplit

_FORM = "application/x-www-form-urlencoded"
_guard = threading.Lock()
_idle: dict[int, list[http.client.HTTPConnection]] = {}


@dataclass
class Control:
    """An input, select or textarea. `on`: a box ticked; `options`: a select's values."""

    name: str
    kind: str
    value: str = ""
    on: bool = False
    options: list[str] = field(default_factory=list)


@dataclass
class Button:
    name: str
    value: str
    words: str = ""


@dataclass
class Form:
    action: str
    method: str
    controls: list[Control] = field(default_factory=list)
    buttons: list[Button] = field(default_factory=list)

    @property
    def names(self) -> set[str]:
        return {control.name for control in self.controls}

    def fill(self, values: Mapping[str, str | Sequence[str]], button: Button | None) -> list[tuple[str, str]]:
        """What a browser sends. Every name in `values` must be a control of the form."""
        missing = set(values) - self.names
        assert not missing, f"the form {self.action} has no {sorted(missing)}, only {sorted(self.names)}"
        sent = [(c.name, c.value) for c in self.controls if c.name not in values and (c.on or not _is_box(c))]
        for name, value in values.items():
            sent += [(name, one) for one in ([value] if isinstance(value, str) else value)]
        if button is not None and button.name:
            sent.append((button.name, button.value))
        return sent


def _is_box(control: Control) -> bool:
    return control.kind in {"checkbox", "radio"}


class _Forms(HTMLParser):
    """Reads the forms of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._open: Form | None = None
        self._text: Control | Button | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._open = Form(values.get("action", ""), values.get("method", "get").lower())
            self.forms.append(self._open)
        elif self._open is not None:
            self._control(self._open, tag, values)

    def _control(self, form: Form, tag: str, values: dict[str, str]) -> None:
        name, kind = values.get("name", ""), values.get("type", "text")
        if tag == "input" and kind not in {"submit", "button"}:
            value = values.get("value", "on" if kind == "checkbox" else "")
            form.controls.append(Control(name, kind, value, "checked" in values))
        elif tag == "textarea":
            self._text = Control(name, tag)
            form.controls.append(self._text)
        elif tag == "select":
            form.controls.append(Control(name, tag))
        elif tag == "option" and form.controls and form.controls[-1].kind == "select":
            select = form.controls[-1]
            select.options.append(values.get("value", ""))
            if "selected" in values or len(select.options) == 1:
                select.value = values.get("value", "")
        elif tag in {"button", "input"}:
            self._text = Button(name, values.get("value", ""))
            form.buttons.append(self._text)

    def handle_data(self, data: str) -> None:
        if isinstance(self._text, Button):
            self._text.words += data
        elif self._text is not None:
            self._text.value += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = None
        if tag in {"textarea", "button"}:
            self._text = None


@dataclass(frozen=True)
class Page:
    """An answer. `url` is the public one that was asked for."""

    url: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def location(self) -> str:
        return next((value for name, value in self.headers if name.lower() == "location"), "")

    @cached_property
    def forms(self) -> list[Form]:
        parser = _Forms()
        parser.feed(self.text)
        return parser.forms

    def form_with(self, *names: str) -> Form:
        """The first form that has all these controls or buttons."""
        for form in self.forms:
            if set(names) <= form.names | {button.name for button in form.buttons}:
                return form
        held = [sorted(form.names) for form in self.forms]
        raise AssertionError(f"{self.status} {urlsplit(self.url).path[:30]}: no form with {names}, only {held}")

    def form_to(self, ending: str) -> Form:
        """The first form whose action ends so."""
        for form in self.forms:
            if form.action.endswith(ending):
                return form
        raise AssertionError(f"{self.status}: no form to …{ending}, only {[form.action for form in self.forms]}")


class Browser:
    """One person's browser, somewhere on a network, in front of a reverse proxy of the product's."""

    def __init__(self, public_url: str, port: int, *, ip: str = "192.0.2.1", language: str = "en") -> None:
        self.public_url, self.port, self.ip, self.language = public_url, port, ip, language
        self.cookies: dict[str, str] = {}

    def get(self, url: str) -> Page:
        return self.follow(self.ask("GET", url))

    def ask(self, method: str, url: str, body: bytes | None = None, headers: Iterable[tuple[str, str]] = ()) -> Page:
        """One request, as the proxy passes it on; redirects are not followed."""
        url = urljoin(f"{self.public_url}/", url)
        parts = urlsplit(url)
        sent = {
            "Host": parts.netloc,
            "X-Forwarded-For": self.ip,
            "X-Forwarded-Proto": "https",
            "Accept-Language": self.language,
            "User-Agent": "Mozilla/5.0 (rehearsal)",
            **dict(headers),
        }
        if self.cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        status, answered, content = _exchange(self.port, method, target, body, sent)
        for name, value in answered:
            if name.lower() == "set-cookie":
                key, _, rest = value.partition("=")
                self.cookies[key] = rest.partition(";")[0]
        return Page(url, status, answered, content)

    def follow(self, page: Page) -> Page:
        """Where a redirect leads."""
        while page.status in {301, 302, 303, 307, 308}:
            page = self.ask("GET", urljoin(page.url, page.location))
        return page

    def send(self, page: Page, form: Form, button: Button | None = None, /, **values: str | Sequence[str]) -> Page:
        """Submit a form of `page`, and follow where it leads."""
        return self.follow(self.post(page, form, button, **values))

    def post(self, page: Page, form: Form, button: Button | None = None, /, **values: str | Sequence[str]) -> Page:
        """Submit a form of `page`; the answer itself."""
        pressed = button or next(iter(form.buttons), None)
        body = urlencode(form.fill(values, pressed)).encode()
        headers = [("Content-Type", _FORM), ("Origin", self.public_url)]
        return self.ask(form.method.upper(), urljoin(page.url, form.action) if form.action else page.url, body, headers)


def _exchange(
    port: int, method: str, target: str, body: bytes | None, headers: dict[str, str]
) -> tuple[int, tuple[tuple[str, str], ...], bytes]:
    """Over an open connection; a second try only where the first met a connection closed meanwhile."""
    while True:
        connection = _take(port)
        is_reused = connection is not None
        connection = connection or http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request(method, target, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        except (http.client.BadStatusLine, ConnectionError):
            connection.close()
            if not is_reused:
                raise
            continue
        except BaseException:
            connection.close()
            raise
        with _guard:
            _idle.setdefault(port, []).append(connection)
        return answer.status, tuple(answer.getheaders()), content


def _take(port: int) -> http.client.HTTPConnection | None:
    with _guard:
        return _idle[port].pop() if _idle.get(port) else None


def hang_up(port: int) -> None:
    """Close what is kept open to a product that ends."""
    with _guard:
        for connection in _idle.pop(port, []):
            connection.close()
