"""Everybody opens every page: each route with real arguments, then whatever the pages lead to; nothing is pressed."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, urljoin, urlsplit

import structlog
from flask import Flask
from flask.testing import FlaskClient
from structlog.testing import capture_logs
from werkzeug.exceptions import HTTPException

from outreach.app import create_app
from outreach.hosts import LOOPBACK
from outreach.services.context import Context
from tests.guards.material import Material, gather, rules
from tests.guards.pages import Page
from tests.guards.store import Watch
from tests.guards.visitors import WHO, browser

OF_A_KIND = 3  # links followed that differ only in their values
BEYOND = {
    "/nothing-here": "a page nobody built",
    "/stop/not-a-token": "a broken link",
    "/campaigns/" + "0" * 32: "a campaign nobody made",
}


@dataclass(frozen=True)
class Visit:
    """One answer. `wrote`: what the store gained or lost meanwhile; `logged`: the lines logged meanwhile."""

    who: str
    method: str
    url: str
    endpoint: str
    status: int
    headers: tuple[tuple[str, str], ...]
    body: str
    wrote: tuple[str, ...]
    logged: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.who}: {self.method} {self.url} -> {self.status}"

    @property
    def is_page(self) -> bool:
        return any(name == "Content-Type" and value.startswith("text/html") for name, value in self.headers)


@dataclass
class _Crawl:
    app: Flask
    watch: Watch
    lines: list[str]
    seen: Counter[tuple[str, ...]] = field(default_factory=Counter)
    visits: list[Visit] = field(default_factory=list)

    def everything(self, who: str, paths: list[str]) -> None:
        """`paths` by GET and HEAD, then the links found on the pages, and theirs."""
        client = browser(self.app, who)
        self.watch.changes()
        asked = set(paths)
        waiting = list(paths)
        for path in paths:
            self._visit(client, who, "HEAD", path)
        while waiting:
            visit = self._visit(client, who, "GET", waiting.pop(0))
            for link in _onward(visit):
                if link not in asked and self._is_wanted(who, link):
                    asked.add(link)
                    waiting.append(link)

    def _is_wanted(self, who: str, url: str) -> bool:
        parts = urlsplit(url)
        kind = (who, self._endpoint(parts.path), *sorted(name for name, _ in parse_qsl(parts.query)))
        self.seen[kind] += 1
        return self.seen[kind] <= OF_A_KIND

    def _endpoint(self, path: str) -> str:
        try:
            endpoint, _ = self.app.url_map.bind("127.0.0.1").match(path, method="GET")
        except HTTPException:
            return ""
        return str(endpoint)

    def _visit(self, client: FlaskClient, who: str, method: str, url: str) -> Visit:
        self.lines.clear()
        answer = client.open(url, method=method)
        visit = Visit(
            who=who,
            method=method,
            url=url,
            endpoint=self._endpoint(urlsplit(url).path),
            status=answer.status_code,
            headers=tuple(answer.headers),
            body=answer.get_data().decode(errors="replace"),  # tiles are no text
            wrote=tuple(self.watch.changes()),
            logged=tuple(self.lines),
        )
        answer.close()
        self.visits.append(visit)
        return visit


def crawl(ctx: Context, everybody: Sequence[str] = WHO, material: Material | None = None) -> list[Visit]:
    """Every visit of everybody. Raises LookupError for a route whose arguments nobody knows."""
    app = create_app(ctx)
    material = material or gather(ctx)
    paths = [path for rule in rules(app) if "GET" in (rule.methods or ()) for path in material.fill(app, rule)]
    watch = Watch(Path(ctx.settings.database.removeprefix("sqlite:///")))
    with listening() as lines:
        walk = _Crawl(app, watch, lines)
        for who in everybody:
            walk.everything(who, [*dict.fromkeys(paths), *BEYOND])
    watch.close()
    return walk.visits


@contextmanager
def listening() -> Iterator[list[str]]:
    """Every line logged, ours before anything is masked in it and the libraries', as text."""

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{record.name} {self.format(record)}")

    lines: list[str] = []

    def keep(_logger: object, _name: str, line: structlog.typing.EventDict) -> structlog.typing.EventDict:
        lines.append(repr(line))
        raise structlog.DropEvent

    handler = Keep()
    logging.getLogger().addHandler(handler)
    try:
        with capture_logs(processors=[keep]):
            yield lines
    finally:
        logging.getLogger().removeHandler(handler)


def _onward(visit: Visit) -> Iterator[str]:
    """The pages of ours a visit leads to."""
    found = [value for name, value in visit.headers if name == "Location"]
    if visit.is_page and visit.method == "GET":
        page = Page(visit.body)
        found += [
            *page.links,
            *(url for url in page.loads if not page.forms or url not in {f.action for f in page.forms}),
        ]
    for link in found:
        parts = urlsplit(urljoin(f"http://127.0.0.1{visit.url}", link))
        if parts.scheme == "http" and parts.hostname in LOOPBACK and not parts.path.startswith("/static/"):
            yield parts.path + (f"?{parts.query}" if parts.query else "")
