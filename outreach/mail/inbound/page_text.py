"""The plain text of an HTML body somebody sent us: words only, no scripts, no addresses of links, quotes marked by ">".

For reading, and for cutting quotes off; never for showing as HTML. One pass over the octets whatever they are.
"""

import html
import re

_MOST = 400_000
_DEEPEST_QUOTE = 20
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9:]{0,30})((?:\"[^\"<]{0,2000}\"|'[^'<]{0,2000}'|[^<>\"']){0,200})/?>")
_UNSEEN = frozenset({"head", "script", "style", "title", "template", "svg", "object", "select", "noembed", "noframes"})
_BLOCKS = frozenset({"address", "article", "aside", "blockquote", "center", "dd", "div", "dl", "dt", "fieldset"})
_BLOCKS |= {"figcaption", "figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main"}
_BLOCKS |= {"nav", "ol", "p", "pre", "section", "table", "tbody", "tfoot", "thead", "tr", "ul"}
_PARAGRAPHS = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "table", "ul", "ol"})
_SIGNATURE = re.compile(
    r"""(?:class|id)\s*=\s*["']?[^"'>]{0,80}(?:gmail_signature|moz-signature|AppleMailSignature|"""
    r"""ms-outlook-mobile-signature|protonmail_signature_block|\bSignature\b)""",
    re.IGNORECASE,
)
_ALT = re.compile(r"""\balt\s*=\s*(?:"([^"]{0,200})"|'([^']{0,200})')""", re.IGNORECASE)


def to_text(page: str) -> str:
    """Lines as a reader sees them; those of a blockquote begin with "> ", a signature's with a line of "-- "."""
    writer = _Writer()
    page = page[:_MOST]
    place = 0
    while place < len(page):
        opening = page.find("<", place)
        if opening < 0:
            writer.words(page[place:])
            break
        writer.words(page[place:opening])
        place = _after(page, opening, writer)
    return writer.text()


def _after(page: str, opening: int, writer: "_Writer") -> int:
    """Where reading goes on behind what begins with this "<"."""
    if page.startswith("<!--", opening):
        end = page.find("-->", opening + 4)
        return len(page) if end < 0 else end + 3
    if page.startswith(("<!", "<?"), opening):
        end = page.find(">", opening)
        return len(page) if end < 0 else end + 1
    tag = _TAG.match(page, opening)
    if tag is None:
        writer.words("<")
        return opening + 1
    name = tag[2].lower()
    if name in _UNSEEN and not tag[1]:
        return _behind(page, name, tag.end())
    if tag[1]:
        writer.close(name)
    else:
        writer.open(name, tag[3])
    return tag.end()


def _behind(page: str, name: str, place: int) -> int:
    """Behind the end tag of an element whose content nobody sees; at the page's end where it has none."""
    closing = re.compile(rf"</{name}\b[^<>]{{0,100}}>", re.IGNORECASE).search(page, place)
    return closing.end() if closing else len(page)


class _Writer:
    def __init__(self) -> None:
        self._lines: list[str] = []
        self._line: list[str] = []
        self._quotes = 0
        self._pre = 0

    def words(self, raw: str) -> None:
        if not raw:
            return
        text = html.unescape(raw).replace("\xa0", " ")
        if self._pre:
            first, *others = text.split("\n")
            self._line.append(first)
            for one in others:
                self._end_line()
                self._line.append(one)
        else:
            self._line.append(re.sub(r"[ \t\r\n\f]+", " ", text))

    def open(self, name: str, attributes: str) -> None:
        if name in _BLOCKS:
            self._end_block(name)
        if name == "br":
            self._end_line()
        elif name == "li":
            self._line.append("* ")
        elif name in {"td", "th"}:
            self._line.append(" ")
        elif name == "img":
            alt = _ALT.search(attributes[:2000])
            self.words((alt[1] or alt[2] or "") if alt else "")
        elif name == "blockquote":
            self._quotes += 1
        elif name == "pre":
            self._pre += 1
        if name in {"div", "table", "p", "pre"} and attributes and _SIGNATURE.search(attributes[:2000]):
            self._end_block(name)
            self._line.append("-- ")
            self._end_line()

    def close(self, name: str) -> None:
        if name in _BLOCKS:
            self._end_block(name)
        if name == "blockquote":
            self._quotes = max(0, self._quotes - 1)
        elif name == "pre":
            self._pre = max(0, self._pre - 1)

    def text(self) -> str:
        self._end_block("p")
        return re.sub(r"\n{3,}", "\n\n", "\n".join(self._lines)).strip("\n")

    def _end_block(self, name: str) -> None:
        if "".join(self._line).strip():
            self._end_line()
        self._line = []
        if name in _PARAGRAPHS and self._lines and self._lines[-1].strip("> "):
            self._end_line()

    def _end_line(self) -> None:
        line = "".join(self._line)
        line = line if line == "-- " else (line.rstrip() if self._pre else " ".join(line.split()))
        self._line = []
        self._lines.append("> " * min(self._quotes, _DEEPEST_QUOTE) + line)
