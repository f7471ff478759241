"""Somebody else's web site, on another site than the product's, whose pages do to a link what the web of 2007 did.

Each page hits its targets the moment it opens: as images, in frames that are not seen, by forms that submit
themselves, by script with the visitor's cookies, and by asking the browser to fetch ahead. It notes what reaches it.
"""

import html
import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WAYS = ("image", "frame", "form", "script", "prefetch")


@dataclass
class HostileSite:
    """Its pages by path, and all that was sent to it: request lines, headers and bodies."""

    port: int
    pages: dict[str, str] = field(default_factory=dict)
    heard: list[str] = field(default_factory=list)

    def trap(self, way: str, targets: Sequence[str], fields: dict[str, str]) -> str:
        """A page that hits every target in one way; returns its address. `fields`: what forms and scripts post."""
        path = f"/{way}-{len(self.pages)}"
        self.pages[path] = _PAGES[way](targets, fields)
        return f"http://localhost:{self.port}{path}"


def _images(targets: Sequence[str], _fields: dict[str, str]) -> str:
    return "".join(f'<img src="{html.escape(one)}" alt="" width="1" height="1">' for one in targets)


def _frames(targets: Sequence[str], _fields: dict[str, str]) -> str:
    return "".join(f'<iframe src="{html.escape(one)}" hidden></iframe>' for one in targets)


def _forms(targets: Sequence[str], fields: dict[str, str]) -> str:
    inputs = "".join(
        f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
        for name, value in fields.items()
    )
    forms = "".join(
        f'<iframe name="f{number}" hidden></iframe>'
        f'<form method="post" action="{html.escape(one)}" target="f{number}">{inputs}</form>'
        for number, one in enumerate(targets)
    )
    return forms + "<script>for (const one of document.forms) one.submit()</script>"


def _scripts(targets: Sequence[str], fields: dict[str, str]) -> str:
    return f"""<script>
      const body = new URLSearchParams({json.dumps(fields)});
      for (const one of {json.dumps(list(targets))}) {{
        fetch(one, {{mode: "no-cors", credentials: "include"}}).catch(() => 0);
        fetch(one, {{mode: "no-cors", credentials: "include", method: "POST", body}}).catch(() => 0);
        navigator.sendBeacon(one, body);
      }}
    </script>"""


def _ahead(targets: Sequence[str], _fields: dict[str, str]) -> str:
    links = "".join(
        f'<link rel="{rel}" href="{html.escape(one)}">' for one in targets for rel in ("prefetch", "preload")
    )
    return f"""{links}<script type="speculationrules">{json.dumps({"prerender": [{"urls": list(targets)}]})}</script>"""


_PAGES = {"image": _images, "frame": _frames, "form": _forms, "script": _scripts, "prefetch": _ahead}


@contextmanager
def hostile_site() -> Iterator[HostileSite]:
    """Running until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.heard.append(f"{self.requestline}\n{self.headers}")
            page = site.pages.get(self.path)
            self.send_response(404 if page is None else 200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Referrer-Policy", "unsafe-url")
            self.end_headers()
            self.wfile.write(f"<!doctype html><title>Look at this</title>{page or ''}".encode())

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site = HostileSite(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
