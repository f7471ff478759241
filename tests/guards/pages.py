"""What a reader and a browser would take from a page: its links, its forms, what it loads, what stands in it."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

ADDRESS = re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+(?:@|%40)[\w-]+(?:\.[\w-]+)+")

_LOADS = {"script": "src", "img": "src", "iframe": "src", "link": "href", "source": "src", "form": "action"}


@dataclass
class Form:
    """A form as it would be sent. `buttons`: the pairs of which one is pressed."""

    action: str
    method: str
    fields: list[tuple[str, str]] = field(default_factory=list)
    buttons: list[tuple[str, str]] = field(default_factory=list)


class Page(HTMLParser):
    """One document, read once."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.forms: list[Form] = []
        self.inline: list[str] = []
        self._form: Form | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = {name: value or "" for name, value in attrs}
        if tag == "a" and "href" in has:
            self.links.append(has["href"])
        if tag in _LOADS and _LOADS[tag] in has:
            self.loads.append(has[_LOADS[tag]])
        self.inline += [f"<{tag} {name}>" for name in has if name == "style" or name.startswith("on")]
        if tag == "style" or (tag == "script" and "src" not in has):
            self.inline.append(f"<{tag}>")
        self._handle_form(tag, has)

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._form = None

    def _handle_form(self, tag: str, has: dict[str, str]) -> None:
        if tag == "form":
            self._form = Form(has.get("action", ""), has.get("method", "get").lower())
            self.forms.append(self._form)
        elif self._form is not None and tag == "button":
            self._form.buttons.append((has.get("name", ""), has.get("value", "")))
        elif self._form is not None and tag == "input" and has.get("name") and _is_sent(has):
            self._form.fields.append((has["name"], has.get("value", "")))


def _is_sent(has: dict[str, str]) -> bool:
    return has.get("type") not in {"checkbox", "radio"} or "checked" in has


def urls_in(page: Page) -> list[str]:
    """Every address a page leads to or loads from."""
    return [*page.links, *page.loads]
