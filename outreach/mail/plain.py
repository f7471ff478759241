"""The plain text of a piece of our HTML, so that both parts of a mail say the same. Links show where they lead."""

import re

from inscriptis import get_text
from inscriptis.model.config import ParserConfig

_ANCHOR = re.compile(r'<a\b(?:[^>"]|"[^"]*")*?\bhref="(?P<url>[^"]*)"(?:[^>"]|"[^"]*")*>(?P<text>.*?)</a>', re.DOTALL)
_LISTS = re.compile(r"<(/?)(?:ul|ol)\b[^>]*>")
_LOOKS = ParserConfig(display_images=True)


def to_text(fragment: str) -> str:
    """`fragment` is clean HTML; the text ends in one line feed."""
    flat = _ANCHOR.sub(_link_in_words, fragment)
    flat = flat.replace("<pre><code>", "<pre>").replace("</code></pre>", "</pre>").replace("<hr>", "<p>* * *</p>")
    text = get_text(f"<html><body>{_apart(flat)}</body></html>", _LOOKS)
    lines = [line.rstrip() for line in text.strip("\n").splitlines()]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n") + "\n"


def _link_in_words(found: re.Match[str]) -> str:
    url, text = found["url"], found["text"].strip()
    shown = url.removeprefix("mailto:")
    return text if re.sub(r"<[^>]*>", "", text) in {url, shown} else f"{text} &lt;{shown}&gt;"


def _apart(fragment: str) -> str:
    """An empty paragraph after each outermost list, so that a blank line follows it."""
    depth = 0
    pieces, end = [], 0
    for found in _LISTS.finditer(fragment):
        depth += -1 if found[1] else 1
        if depth == 0:
            pieces.append(fragment[end : found.end()] + "<p></p>")
            end = found.end()
    return "".join([*pieces, fragment[end:]])
