"""What stands under every campaign mail: who sends, why, how often, how to stop, address, reference."""

import html
import secrets
from dataclasses import dataclass, field
from functools import lru_cache

from outreach import translations
from outreach.mail import layout

_WHY, _STOP, _REFERENCE = (f"w{secrets.token_hex(12)}" for _ in range(3))


@dataclass(frozen=True)
class Shown:
    """The footer as it stands in each part."""

    html: str
    text: str


@dataclass(frozen=True)
class Footer:
    """`topic`, `cap_n` and `cap_window` (seconds) are those of the text this person agreed to.

    `contact_reference`: what staff find a person by without their address. `answers_url`: the page that tells what this
    topic's readers said and what was done; empty while there is none.
    """

    sender_name: str
    postal_address: str
    controller: str
    topic: str
    cap_n: int
    cap_window: int
    locale: str
    why_url: str = field(repr=False)
    stop_url: str = field(repr=False)
    contact_reference: str = field(repr=False)
    answers_url: str = ""

    def render(self) -> Shown:
        html_pieces, text_pieces = _pieces(
            self.sender_name,
            self.postal_address,
            self.controller,
            self.topic,
            self.cap_n,
            self.cap_window,
            self.locale,
            self.answers_url,
        )
        values = {_WHY: self.why_url, _STOP: self.stop_url, _REFERENCE: self.contact_reference}
        return Shown(
            "".join([html.escape(values[piece]) if piece in values else piece for piece in html_pieces]),
            "".join([values.get(piece, piece) for piece in text_pieces]),
        )


@lru_cache(maxsize=256)
def masthead(sender_name: str) -> str:
    """The sender's name as it stands above a letter."""
    return html.escape(sender_name)


@lru_cache(maxsize=256)
def _pieces(
    sender_name: str,
    postal_address: str,
    controller: str,
    topic: str,
    cap_n: int,
    cap_window: int,
    locale: str,
    answers_url: str,
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """All but the person's own three values, cut where those go: (html, text)."""
    facts = {
        "sender": sender_name,
        "postal_address": postal_address,
        "controller": controller,
        "topic": topic,
        "cap_n": cap_n,
        "cap_window": cap_window,
        "why_url": _WHY,
        "stop_url": _STOP,
        "reference": _REFERENCE,
        "answers_url": answers_url,
        "lang": translations.closest(locale) or translations.LOCALES[0],
    }
    shown_html = layout.inline_fragment(layout.render("footer.html", locale, facts))
    shown_text = layout.render("footer.txt", locale, facts)
    return _cut(shown_html), _cut(shown_text)


def _cut(shown: str) -> tuple[str, ...]:
    for mark in (_WHY, _STOP, _REFERENCE):
        shown = shown.replace(mark, f"\0{mark}\0")
    return tuple(shown.split("\0"))
