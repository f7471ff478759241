"""Every page without parameters opens for every role it names, in one piece and well formed."""

from collections.abc import Callable
from html.parser import HTMLParser

from flask import Flask

from outreach.domain.actors import Role
from tests.factories import World
from tests.web.conftest import Browser

_VOID = {"meta", "link", "input", "br", "img", "hr", "path", "rect", "circle", "line", "polyline", "use", "source"}
_FOR_PROGRAMS = "published_log."  # no pages, and nothing before the log is published first
_MAY_STAY_OPEN = {"option", "li", "dt", "dd", "p", "tr", "td", "th", "tbody", "thead"}


class _Tags(HTMLParser):
    """Refuses tags that cross, inline scripts, inline styles and handlers."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.labelled: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = dict(attrs)
        assert "style" not in names, (tag, attrs)
        assert tag != "style" and not any(name.startswith("on") for name in names), (tag, attrs)
        if tag == "script":
            assert names.get("src") or names.get("nonce") or "json" in (names.get("type") or "")
        if "id" in names:
            self.ids.append(names["id"] or "")
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID:
            return
        while self.open and self.open[-1] in _MAY_STAY_OPEN and tag != self.open[-1]:
            self.open.pop()
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> crosses another"


def check_page(html: str) -> None:
    """Assert that a page is well formed and needs nothing the content policy forbids."""
    tags = _Tags()
    tags.feed(html)
    assert not tags.open, tags.open
    assert len(tags.ids) == len(set(tags.ids)), "an id occurs twice"


def test_every_plain_page_opens_for_whom_it_names(
    app: Flask, world: World, signed_in: Callable[..., Browser], client: Browser
) -> None:
    world.topic()
    browsers = {role.value: signed_in(role.value) for role in Role}
    seen = 0
    for rule in app.url_map.iter_rules():
        actors: frozenset[str] = getattr(app.view_functions[rule.endpoint], "actors", frozenset())
        if rule.arguments or "GET" not in (rule.methods or ()) or rule.endpoint.startswith(_FOR_PROGRAMS):
            continue
        for role, browser in [*browsers.items(), ("visitor", client)]:
            if role not in actors and not (actors & {"staff"} and role != "visitor"):
                continue
            answer = browser.get(rule.rule)
            assert answer.status_code in {200, 303}, (rule.rule, role, answer.status_code)
            if answer.status_code == 200 and answer.mimetype == "text/html":
                check_page(answer.get_data(as_text=True))
                seen += 1
    assert seen > 15
