"""What one of two connected people wrote, made fit to be passed on to the other: a new mail from the parts of theirs.

No header passes but the subject. Their addresses are cut out of everything, whoever's out of quoted lines and
signatures, and links of ours out of quotes, for they would act for their reader; with them goes what we put below an
earlier mail, or each would carry those of all before it. Whatever still looks like an address is a doubt, for the
writer to decide about. Pictures from elsewhere are dropped: they tell who looked, and when.
"""

import html
import mimetypes
import re
from bisect import bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from operator import itemgetter

import nh3

from outreach.domain import addresses
from outreach.mail import own_words, plain
from outreach.mail.disguises import Span, Spellings, addresses_in, merged
from outreach.mail.inbound import mime
from outreach.mail.inbound.charsets import decode
from outreach.mail.inbound.mime import Part
from outreach.mail.others_words import zones

MARK = "[…]"
"""Stands where something was cut out."""

_TAGS = {
    "a", "b", "blockquote", "br", "code", "dd", "div", "dl", "dt", "em", "h1", "h2", "h3", "h4", "h5", "h6", "hr", "i",
    "li", "ol", "p", "pre", "s", "span", "strong", "sub", "sup", "table", "tbody", "td", "th", "thead", "tr", "u", "ul",
}  # fmt: skip
_IN_LINE = {"a", "b", "code", "em", "i", "s", "span", "strong", "sub", "sup", "u"}
_SILENT = {"head", "math", "noscript", "object", "script", "style", "svg", "template", "title"}
_TAG = re.compile(r'<(/?)([a-z][a-z0-9]*)((?:[^<>"]|"[^"]*")*)>')
_HREF = re.compile(r' href="([^"]*)"')
_FAR_PICTURE = re.compile(
    r"""<(?:img|input|video|source)\b[^>]{0,2000}?\b(?:src|poster)\s*=\s*["']?\s*(?:https?:)?//""", re.IGNORECASE
)
_ROUND = re.compile(r"[<(\[]?(?:mailto:)?\Z", re.IGNORECASE)
_RULE_OF_OURS = re.compile(r"<hr>\s*(?:<p>(?:\s|</?a[^>]*>|·)*</p>\s*)+")  # what is left of a notice
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u2028-\u202e\u2060-\u206f\ufeff]")
_NOT_IN_NAMES = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"/\\|?*\u2028-\u202e\u2066-\u2069]+')

_SIGNATURES = frozenset({"application/pgp-signature", "application/pkcs7-signature", "application/x-pkcs7-signature"})
_TELLING = frozenset(
    {
        "application/ics",
        "application/ms-tnef",
        "application/pgp-keys",
        "application/pkcs7-mime",
        "application/vnd.ms-outlook",
        "application/vnd.ms-tnef",
        "application/x-pkcs7-mime",
        "text/calendar",
        "text/directory",
        "text/vcard",
        "text/x-vcalendar",
        "text/x-vcard",
    }
)
_TELLING_NAMES = (".eml", ".ics", ".mbox", ".msg", ".p7m", ".pst", ".vcf", "winmail.dat")


@dataclass(frozen=True)
class Attached:
    """A file that goes along. `name`: fit to be shown; `octets`: decoded."""

    name: str
    media_type: str
    octets: bytes = field(repr=False)


@dataclass(frozen=True)
class Doubt:
    """What still looks like an address. `kind`: address, disguise or file; `shown`: masked, or the file's name."""

    kind: str
    shown: str = ""


@dataclass(frozen=True, kw_only=True)
class Cleaned:
    """A mail's words as they would be passed on. `html`: a fragment, or empty where it had none that can be trusted.

    `left_out`: names of files of kinds that name people; `has_cuts`: MARK stands in it; `lost_pictures`: it would have
    loaded some from elsewhere. With `doubts` it goes on only if its writer says so.
    """

    subject: str = field(repr=False)
    text: str = field(repr=False)
    html: str = field(default="", repr=False)
    files: tuple[Attached, ...] = ()
    left_out: tuple[str, ...] = ()
    has_cuts: bool = False
    lost_pictures: bool = False
    doubts: tuple[Doubt, ...] = ()


@dataclass(frozen=True)
class _Body:
    """The words found so far. `html`: None where no part had any."""

    text: str | None = None
    html: str | None = None


@dataclass(frozen=True)
class _Cut:
    """A text after the knife."""

    text: str
    has_cuts: bool
    doubts: tuple[Doubt, ...]


def clean(octets: bytes, *, known: Collection[str], mail_in: str, public_url: str) -> Cleaned:
    """A mail as it came, made fit to be passed on. Never raises.

    `known`: the addresses of both people, and whatever else the writer's mail names itself by; `mail_in`: the domain of
    relay addresses; `public_url`: where our own links lead.
    """
    mail = mime.parse(octets)
    files: list[Part] = []
    body = _gathered(mail, files)
    knife = _Knife(known, mail_in, public_url)
    subject = knife.cut(mail.fields.words("subject")[:500])
    source = body.html or ""
    page, page_text, page_cut = _cut_html(source, knife) if source else ("", "", _Cut("", False, ()))
    text = knife.cut(_tidied(body.text)) if body.text is not None else page_cut
    written = text.text if body.text is not None else plain.to_text(page)
    gone = knife.spellings.remain_in
    kept, left_out, file_doubts = _files(files, knife)
    doubts = [*subject.doubts, *text.doubts, *page_cut.doubts, *file_doubts]
    if any(gone(one) for one in (subject.text, written, page, page_text)):
        doubts.append(Doubt("disguise"))
    return Cleaned(
        subject=subject.text,
        text=written.strip("\n") + "\n",
        html=page,
        files=kept,
        left_out=left_out,
        has_cuts=subject.has_cuts or text.has_cuts or page_cut.has_cuts,
        lost_pictures=_FAR_PICTURE.search(source) is not None,
        doubts=tuple(dict.fromkeys(doubts)),
    )


class _Knife:
    """Finds what has to go."""

    def __init__(self, known: Collection[str], mail_in: str, public_url: str) -> None:
        self.spellings = Spellings(known)
        ours = [rf"(?:mailto:)?[\w.+-]{{1,80}}@{re.escape(mail_in)}(?![\w-]|\.\w)"] if mail_in else []
        ours.append(rf"{re.escape(public_url)}(?:/[^\s<>\"']*)?")
        self._ours = re.compile("|".join(ours), re.IGNORECASE)

    def cut(self, text: str, others: Iterable[Span] = ()) -> _Cut:
        """`text` without what has to go. `others`: places known to hold others' words."""
        spans, doubts = self.spans(text, others)
        return _Cut(_without(text, spans), _shows(spans), doubts)

    def spans(self, text: str, others: Iterable[Span] = ()) -> tuple[list[Span], tuple[Doubt, ...]]:
        """What to cut, as `_without` takes it, and what is left to doubt."""
        ours = [found.span() for found in self._ours.finditer(text)]
        notices = own_words.places(text)
        gone = merged([*self.spellings.places(text), *ours])
        theirs = merged([*zones(text), *others])
        found = [one for one in addresses_in(text) if not _touches(one, gone) and not _touches(one, notices)]
        gone = merged([*gone, *(one for one in found if _touches(one, theirs))])
        doubts = (Doubt("address", _masked(text[slice(*one)])) for one in found if not _touches(one, theirs))
        cuts = [_rounded(text, one) for one in gone if not _touches(one, notices)]
        cuts += [(-1 - start, end) for start, end in notices]
        return sorted(cuts, key=_start), tuple(dict.fromkeys(doubts))

    def suits(self, link: str) -> bool:
        """Whether a link names nobody and is none of ours."""
        return not (
            self._ours.search(link)
            or self.spellings.places(link)
            or self.spellings.remain_in(link)
            or addresses_in(link)
        )


def _gathered(part: Part, files: list[Part]) -> _Body:
    """The words of a part and those inside it (RFC 2046 §5.1); its files are added to `files`."""
    if part.is_multipart:
        bodies = [_gathered(one, files) for one in part.parts]
        if part.media_type == "multipart/alternative":
            return _Body(
                next((one.text for one in bodies if one.text is not None and one.html is None), None)
                or next((one.text for one in bodies if one.text is not None), None),
                next((one.html for one in reversed(bodies) if one.html is not None), None),
            )
        return _together(bodies)
    word, _ = part.disposition
    is_words = part.media_type in {"text/plain", "text/html"} and word != "attachment" and not part.file_name
    content = decode(part.body(), part.parameters.get("charset", "")) if is_words else ""
    if not is_words or len(content) > mime.MOST_TEXT:
        files.append(part)
        return _Body()
    return _Body(html=content) if part.media_type == "text/html" else _Body(text=content)


def _together(bodies: Sequence[_Body]) -> _Body:
    """One after the other, in both shapes where any has HTML."""
    filled = [one for one in bodies if one != _Body()]
    if len(filled) < 2:
        return filled[0] if filled else _Body()
    pages = [one.html if one.html is not None else f"<pre>{html.escape(one.text or '')}</pre>" for one in filled]
    has_html = any(one.html is not None for one in filled)
    texts = [one.text for one in filled if one.text is not None]
    is_whole = len(texts) == len(filled)
    return _Body("\n".join(texts) if is_whole else None, "\n".join(pages) if has_html else None)


def _cut_html(source: str, knife: _Knife) -> tuple[str, str, _Cut]:
    """(the page, its bare text, what was done): only plain mark-up, links that name nobody, words cut across marks."""
    clean = nh3.clean(
        source,
        tags=_TAGS,
        clean_content_tags=_SILENT,
        attributes={"a": {"href"}},
        url_schemes={"http", "https"},
        link_rel="noopener noreferrer",
    )
    pieces: list[str] = []
    places: list[int | None] = []  # where a piece of text begins in the bare text; None for a mark
    bare: list[str] = []
    quoted: list[Span] = []
    length = quotes = quote_start = 0
    for piece, tag in _pieces(clean):
        if tag is None:
            words = html.unescape(piece)
            places.append(length)
            pieces.append(words)
            bare.append(words)
            length += len(words)
            continue
        pieces.append(_link(piece, knife) if tag[2] == "a" else piece)
        places.append(None)
        if tag[2] not in _IN_LINE:
            bare.append("\n")
            length += 1
        if tag[2] == "blockquote":
            quotes += -1 if tag[1] else 1
            if quotes == 1 and not tag[1]:
                quote_start = length
            elif quotes == 0:
                quoted.append((quote_start, length))
    text = "".join(bare)
    spans, doubts = knife.spans(text, quoted)
    page = "".join(
        piece if place is None else html.escape(_without(piece, _within(spans, place, len(piece))), quote=False)
        for piece, place in zip(pieces, places, strict=True)
    )
    left = _without(text, spans)
    if any(start < 0 for start, _ in spans):
        page = _RULE_OF_OURS.sub("", page)
    return page, left, _Cut(left, _shows(spans), doubts)


def _pieces(page: str) -> Iterator[tuple[str, re.Match[str] | None]]:
    """Texts and marks in turn."""
    end = 0
    for found in _TAG.finditer(page):
        if found.start() > end:
            yield page[end : found.start()], None
        yield found[0], found
        end = found.end()
    if end < len(page):
        yield page[end:], None


def _link(mark: str, knife: _Knife) -> str:
    href = _HREF.search(mark)
    return mark if href is None or knife.suits(html.unescape(href[1])) else "<a>"


def _within(spans: Sequence[Span], start: int, length: int) -> list[Span]:
    """The parts of `spans` in a piece that begins at `start`, as places in it, those begun before it without a mark."""
    whole = ((_start(one), one[1], one[0] < start) for one in spans)
    inside = ((max(a, start) - start, min(b, start + length) - start, is_rest) for a, b, is_rest in whole)
    return [(-1 - a if is_rest else a, b) for a, b, is_rest in inside if a < b]


def _without(text: str, spans: Iterable[Span]) -> str:
    """A negative beginning, -1 - place: cut without a mark."""
    pieces, end = [], 0
    for start, after in spans:
        pieces += [text[end : _start((start, after))], MARK if start >= 0 else ""]
        end = after
    return "".join([*pieces, text[end:]])


def _start(span: Span) -> int:
    return span[0] if span[0] >= 0 else -1 - span[0]


def _shows(spans: Iterable[Span]) -> bool:
    """Whether a mark stands for one of these."""
    return any(start >= 0 for start, _ in spans)


def _rounded(text: str, span: Span) -> Span:
    """With brackets around it, and the name of what kind of link it is."""
    before = _ROUND.search(text, max(0, span[0] - 9), span[0])
    start = before.start() if before else span[0]
    is_open = start < span[0] and text[start] in "<(["
    closes = is_open and text[span[1] : span[1] + 1] in {">", ")", "]"}
    if is_open and not closes:
        start += 1
    return start, span[1] + closes


def _files(parts: Sequence[Part], knife: _Knife) -> tuple[tuple[Attached, ...], tuple[str, ...], list[Doubt]]:
    """(those that go along, names of those left out, doubts)."""
    kept: list[Attached] = []
    left_out: list[str] = []
    doubts: list[Doubt] = []
    for number, part in enumerate(parts, 1):
        if part.media_type in _SIGNATURES:
            continue  # it is of the mail as it was, and may name its signer
        name = _file_name(part, number, knife)
        if _tells(part):
            left_out.append(name)
            continue
        octets = part.body()
        is_text = part.media_type.startswith("text/")
        text = decode(octets, part.parameters.get("charset", "")) if is_text else ""
        names_them = knife.spellings.remain_in_octets(octets) or knife.spellings.remain_in(text)
        if names_them or addresses_in(text):
            doubts.append(Doubt("file", name))
        kept.append(Attached(name, part.media_type, octets))
    return tuple(kept), tuple(left_out), doubts


def _tells(part: Part) -> bool:
    is_mail = part.media_type.startswith("message/") or part.holds_a_mail
    return is_mail or part.media_type in _TELLING or part.file_name.lower().endswith(_TELLING_NAMES)


def _file_name(part: Part, number: int, knife: _Knife) -> str:
    """As given, without a path and without anybody's address; with a number where nothing is left."""
    given = _NOT_IN_NAMES.sub("_", part.file_name.replace("\\", "/").rpartition("/")[2])
    spans = merged([*knife.spellings.places(given), *addresses_in(given)])
    name = _without(given, [(-1 - start, end) for start, end in spans]).strip(" ._")
    ending = given.rpartition(".")[2]
    if name and "." not in name and mimetypes.guess_type(f"x.{ending}")[0] is not None:
        name += f".{ending}"
    if not name or knife.spellings.remain_in(name):
        kind = part.media_type.rpartition("/")[2]
        name = f"file-{number}.{kind if kind.isalnum() else 'bin'}"
    return name if len(name) <= 100 else f"{name[:80]}…{name[-15:]}"


def _tidied(text: str) -> str:
    return _CONTROLS.sub("", text.replace("\r\n", "\n"))


def _touches(span: Span, others: Sequence[Span]) -> bool:
    """`others` in order, none touching the next."""
    at = bisect_right(others, span[0], key=itemgetter(1))
    return at < len(others) and others[at][0] < span[1]


def _masked(found: str) -> str:
    bare = found.strip(" .<>")
    return addresses.mask(bare) if bare.count("@") == 1 else addresses.DOT
