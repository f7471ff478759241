"""A marketer's Markdown as clean HTML and as plain text, with marks standing where Liquid stood.

CommonMark and tables, no raw HTML. Links lead to http, https or mailto; a field may stand in one only after the host,
so no value can choose where a link leads, and never in a picture's address, which would tell who opened the mail.
"""

import html
import re
from dataclasses import dataclass

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token

from outreach.domain.errors import InvalidInputError
from outreach.mail import plain

_LINK = re.compile(r"https?://[^/?#\s]+(?:[/?#].*)?|mailto:[^?\s]+@[^?\s]+(?:\?.*)?", re.IGNORECASE | re.DOTALL)
_BEFORE_FIELDS = re.compile(r"(?:https?://[^/?#]+[/?#]|mailto:[^?]+\?)", re.IGNORECASE)
_PICTURE = re.compile(r"https://[^/?#\s]+/\S*", re.IGNORECASE)
_MARKUP = r"<(?P<close>/?)(?P<tag>[a-z][a-z0-9]*)(?:[^>\"]|\"[^\"]*\")*>"
_VOID = {"br", "hr", "img"}
_ALLOWED = {
    "a", "blockquote", "br", "code", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "img", "li", "ol", "p", "pre",
    "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
_ATTRIBUTES = {
    "a": {"href", "title"}, "img": {"src", "alt", "title"}, "ol": {"start"}, "td": {"style"}, "th": {"style"},
}  # fmt: skip


@dataclass(frozen=True)
class Marks:
    """The words that stand for slots while Markdown and cleaning run: base, a letter, the slot's number, "z".

    Letters: "o" an output, "t" a tag, "u" an output inside a link's address. `base` occurs nowhere in the source.
    """

    base: str

    @classmethod
    def unlike(cls, *sources: str) -> "Marks":
        base = "xliqx"
        while any(base in source.lower() for source in sources):
            base += "q"
        return cls(base)

    def word(self, number: int, is_tag: bool) -> str:
        return f"{self.base}{'t' if is_tag else 'o'}{number}z"

    @property
    def pattern(self) -> re.Pattern[str]:
        """Any mark; groups: letter, number."""
        return re.compile(rf"{self.base}([otu])(\d+)z")

    @property
    def tag(self) -> str:
        return rf"{self.base}t\d+z"


def to_html(source: str, marks: Marks) -> str:
    """Clean HTML of the letter's body. Raises InvalidInputError("body")."""
    alone = re.compile(rf"^[ \t]*(?:{marks.tag}[ \t]*)+$", re.MULTILINE)
    tokens = _MARKDOWN.parse(alone.sub(lambda line: f"\n{line.group()}\n", source))
    for token in tokens:
        for inner in [token, *(token.children or ())]:
            _check(inner, marks)
    rendered = _MARKDOWN.renderer.render(tokens, _MARKDOWN.options, {})
    return nh3.clean(
        rendered,
        tags=_ALLOWED,
        attributes=_ATTRIBUTES,
        link_rel=None,
        filter_style_properties={"text-align"},
        url_schemes={"http", "https", "mailto"},
    )


def unwrap_tags(body: str, marks: Marks) -> str:
    """`body` without the paragraphs that held nothing but tags."""
    return re.sub(rf"<p>((?:\s*{marks.tag})+)\s*</p>\n?", lambda found: found[1], body)


def check_nesting(body: str, marks: Marks, openings: set[int], middles: set[int], endings: set[int]) -> None:
    """A tag and its end must stand in the same element. Raises InvalidInputError("body") where they do not."""
    elements: list[int] = []
    blocks: list[tuple[int, ...]] = []
    for count, found in enumerate(re.finditer(rf"{_MARKUP}|{marks.base}t(?P<number>\d+)z", body)):
        if found["number"] is None:
            if found["close"]:
                elements.pop()
            elif found["tag"] not in _VOID:
                elements.append(count)
            continue
        number, here = int(found["number"]), tuple(elements)
        if number in openings:
            blocks.append(here)
        elif (number in endings or number in middles) and (not blocks or blocks[-1] != here):
            raise InvalidInputError(
                "A {% tag %} begins in one paragraph, list or bold text and ends in another. "
                "Put each tag on a line of its own, or both in the same paragraph.",
                "body",
            )
        if number in endings:
            blocks.pop()


def to_text(body: str, marks: Marks) -> str:
    """The plain text of `body`; a tag that stood in a paragraph of its own leaves no blank lines behind."""
    return re.sub(
        rf"^[ \t]*((?:{marks.tag}[ \t]*)+)\n+", lambda found: found[1].replace(" ", ""), plain.to_text(body), flags=re.M
    )


def _check(token: Token, marks: Marks) -> None:
    """Judge a token's links, and tell the marks inside an address apart from those in running text."""
    for name, value in token.attrs.items():
        if not isinstance(value, str):
            continue
        if re.search(marks.tag, value) or (name == "alt" and re.search(marks.tag, token.content)):
            raise InvalidInputError("A {% tag %} cannot stand inside a link or a picture.", "body")
        if name == "href":
            token.attrs[name] = _address(value, marks)
        elif name == "src" and (not _PICTURE.fullmatch(value) or marks.base in value):
            raise InvalidInputError(
                "A picture's address must begin with https:// and hold no field: it would tell who opened the mail.",
                "body",
            )


def _address(url: str, marks: Marks) -> str:
    shown = html.unescape(url)[:60]
    if not _LINK.fullmatch(url):
        raise InvalidInputError(
            f"The link “{marks.pattern.sub('{{ … }}', shown)}” must begin with https://, http:// or mailto:.", "body"
        )
    start = url.find(marks.base)
    if start >= 0:
        before = _BEFORE_FIELDS.match(url)
        if before is None or before.end() > start:
            raise InvalidInputError(
                "A field may stand in a link only after the host, as in https://…/?a={{ … }}.", "body"
            )
    return url.replace(f"{marks.base}o", f"{marks.base}u")


def _any_link(url: str) -> bool:
    return bool(url)


def _markdown() -> MarkdownIt:
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    markdown.validateLink = _any_link  # type: ignore[method-assign]  # `_check` refuses aloud instead of ignoring
    return markdown


_MARKDOWN = _markdown()
