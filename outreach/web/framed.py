"""Mails shown in frames: as documents of their own in a sandbox, or within the very page that was posted.

In the latter its styles are let through by hash, and nothing else: a frame with `srcdoc` inherits the page's
content policy (W3C CSP 3 §7.8), which forbids styles on elements. Naming the mail's own by their SHA-256 keeps that so
for everything else, typed words included.
"""

from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser

from flask import Response

from outreach.web import security

# The mail runs no script, sends no form, reaches no host and may not be framed by others (CVE-2025-58430).
_POLICY = (
    "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'"
)


def mail_alone(html: str) -> Response:
    """A mail's HTML part as a document of its own, for a frame of one of our pages."""
    response = Response(html, mimetype="text/html")
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def allow_styles_of(html: str) -> None:
    """Let this response's frames draw `html` with its style sheets and style attributes."""
    hashes = " ".join(sorted({f"'sha256-{_hash(style)}'" for style in _Styles(html).found}))
    security.allow(style_src=f"'self' 'unsafe-hashes' {hashes}")


def _hash(style: str) -> str:
    return b64encode(sha256(style.encode()).digest()).decode()


class _Styles(HTMLParser):
    """Every style attribute and style sheet of a document, as the browser hashes them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self._is_sheet = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._is_sheet = tag == "style"
        self.found += [value for name, value in attrs if name == "style" and value]

    def handle_data(self, data: str) -> None:
        if self._is_sheet:
            self.found.append(data)

    def handle_endtag(self, tag: str) -> None:
        self._is_sheet = self._is_sheet and tag != "style"
