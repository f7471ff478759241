"""Addresses in a text however they are spelt, so that they can be cut out of it, or their writer warned. Pure.

A text is looked at through its shadow: folded letters (Unicode NFKD, no marks, nothing that is not drawn, look-alikes
as Latin ones), then with what stands encoded in it decoded (HTML, percent, quoted-printable, back-slashes), once more
while something is. Every letter of a shadow knows the place in the text it comes from.
"""

import base64
import binascii
import html
import io
import re
import unicodedata
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import unquote_to_bytes

Span = tuple[int, int]
"""Where something stands in a text: from, and up to."""

_DEEPEST = 3
_LOOK_ALIKE = str.maketrans("авекмнорстухіјѕԁһӏѵԛԝαεικνορτυχϲ。ı", "abekmhopctyxijsdhlvqwaeiknoptuxc.i")
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_UNSEEN = frozenset({"Cf", "Mn", "Me"})
_ENCODED = re.compile(
    r"&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,30});?|(?:%[0-9a-f]{2})+|=[2-7][0-9a-f]|=\r?\n|\\(?:u00|x)[0-9a-f]{2}"
)

_GAP = r"[\W_]{0,6}"
_DOTS = "dot|punkt|punt|prick|point|punto|ponto"
_ATS = r"at|pa|hos|bei|bij|chez|arroba|chiocciola|snabel\W?a|kringla|klammeraffe|apenstaartje"
_DOT = rf"{_GAP}(?:(?:{_DOTS}){_GAP})?"
_AT = rf"(?:{_GAP}@{_GAP}|[\W_]{{1,6}}(?:{_ATS})[\W_]{{1,6}})"
_TAG = r"(?:[\W_]{0,3}\+[\w.+-]{0,40})?"
_ANY = re.compile(
    r"[\w.!#$%&'*+/=?^`{|}~-]{1,80}(?:@| @ )[\w-]{1,63}(?:\.[\w-]{1,63})+"
    rf"|\b\w[\w.+-]{{0,63}}\s{{0,2}}[(\[{{<]\s?(?:@|{_ATS})\s?[)\]}}>]\s{{0,2}}\w[\w-]{{0,62}}"
    rf"(?:\s{{0,2}}(?:\.|[(\[{{<]?\s?(?:\.|{_DOTS})\s?[)\]}}>]?)\s{{0,2}}\w[\w-]{{0,62}})+"
    rf"|\b\w[\w.+-]{{0,63}}\s{{1,3}}(?:{_ATS})\s{{1,3}}\w[\w-]{{0,62}}(?:\s{{1,3}}(?:{_DOTS})\s{{1,3}}\w{{2,63}})+"
)
_NOT_SPELT = re.compile(r"[\W_]+")
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{8,}={0,2}")
_SPELT_OCTETS = bytes(range(48, 58)) + bytes(range(97, 123))
_LOWER = bytes(range(65)) + bytes(range(97, 123)) + bytes(range(91, 256))
_DROPPED = bytes(one for one in range(256) if one not in _SPELT_OCTETS and not 65 <= one <= 90)

_MOST_MEMBERS = 500
_MOST_UNPACKED = 64 * 1024 * 1024
_DEEPEST_FILE = 3
_MOST_STREAMS = 20_000
_CHUNK = 16 * 1024
_ZLIB, _GZIP = zlib.MAX_WBITS, 16 + zlib.MAX_WBITS
_DEFLATED = re.compile(rb"\x78[\x01\x5e\x9c\xda]")  # RFC 1950, as PDF, PNG and many others hold it
_HEX = re.compile(rb"<([0-9A-Fa-f\s]{16,4096})>")  # a string of PDF


class _Shadow(NamedTuple):
    """`starts` and `ends`: for each letter, the piece of the text it stands for."""

    text: str
    starts: Sequence[int]
    ends: Sequence[int]

    def span(self, found: re.Match[str]) -> Span:
        if found.start() == found.end():
            return 0, 0
        return self.starts[found.start()], self.ends[found.end() - 1]


class Spellings:
    """The addresses of known people, to be found in whatever way they are written."""

    def __init__(self, addresses: Iterable[str]) -> None:
        """`addresses`: whole ones; each is also looked for without its +tag, with any other, and with its domain as
        people read it (RFC 5890)."""
        known = sorted({pair for address in addresses for pair in _pairs(address)})
        self._pattern = _either(_spelt(local, domain) for local, domain in known)
        self._squeezed = _either(_squeezed(local, domain) for local, domain in known)
        self._octets = _either(_squeezed(local, domain) for local, domain in known if (local + domain).isascii())

    def places(self, text: str) -> list[Span]:
        """Where one stands, with a sign or a word between name and domain."""
        return [shadow.span(found) for shadow in _shadows(text) for found in self._pattern.finditer(shadow.text)]

    def remain_in(self, text: str) -> bool:
        """Whether one is left if all but letters and digits is dropped; backwards, or in base64, too."""
        for shadow in _shadows(text):
            bare = _NOT_SPELT.sub("", shadow.text)
            if self._squeezed.search(bare) or self._squeezed.search(bare[::-1]):
                return True
        runs = _BASE64.findall(text) + _BASE64.findall(re.sub(r"\s+", "", text))
        return any(self._squeezed.search(_NOT_SPELT.sub("", _from_base64(run).lower())) for run in runs)

    def remain_in_octets(self, octets: bytes) -> bool:
        """The same of a file, as it is or packed: ZIP, which many kinds of documents are, also in ZIP; gzip; and what
        PDF and PNG hold deflated.
        """
        return any(
            self._octets.search(piece.translate(_LOWER, _DROPPED).decode("ascii")) for piece in _unpacked(octets)
        )


def addresses_in(text: str) -> list[Span]:
    """Where anything stands that looks like an address, whoever's."""
    return sorted({shadow.span(found) for shadow in _shadows(text) for found in _ANY.finditer(shadow.text)})


def merged(spans: Iterable[Span]) -> list[Span]:
    """The same places in order, those that touch made one."""
    whole: list[Span] = []
    for start, end in sorted(spans):
        if start == end:
            continue
        if whole and start <= whole[-1][1]:
            whole[-1] = whole[-1][0], max(end, whole[-1][1])
        else:
            whole.append((start, end))
    return whole


def _shadows(text: str) -> Iterator[_Shadow]:
    shadow = _folded(text)
    yield shadow
    for _ in range(_DEEPEST):
        decoded = _decoded(shadow)
        if decoded is None:
            return
        shadow = decoded
        yield shadow


def _folded(text: str) -> _Shadow:
    if text.isascii():
        return _Shadow(text.lower(), range(len(text)), range(1, len(text) + 1))
    letters: list[str] = []
    places: list[int] = []
    for place, one in enumerate(text):
        folded = _letters(one)
        letters.append(folded)
        places += [place] * len(folded)
    return _Shadow("".join(letters), places, [place + 1 for place in places])


@lru_cache(maxsize=8192)
def _letters(one: str) -> str:
    """What one character is taken for; empty for one that is not drawn."""
    apart = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", one).casefold())
    seen = [part for part in apart if part not in _BLANK and unicodedata.category(part) not in _UNSEEN]
    return "".join(seen).translate(_LOOK_ALIKE)


def _decoded(shadow: _Shadow) -> _Shadow | None:
    """One layer of what stands encoded in it, decoded; None where nothing does."""
    letters: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    place = 0
    for found in _ENCODED.finditer(shadow.text):
        meant = "".join(map(_letters, _meant(found[0])))
        if meant == found[0]:
            continue
        letters += [shadow.text[place : found.start()], meant]
        starts += [*shadow.starts[place : found.start()], *[shadow.starts[found.start()]] * len(meant)]
        ends += [*shadow.ends[place : found.start()], *[shadow.ends[found.end() - 1]] * len(meant)]
        place = found.end()
    if place == 0:
        return None
    rest = shadow.text[place:], shadow.starts[place:], shadow.ends[place:]
    return _Shadow("".join([*letters, rest[0]]), [*starts, *rest[1]], [*ends, *rest[2]])


def _meant(encoded: str) -> str:
    if encoded[0] == "&":
        return html.unescape(encoded)
    if encoded[0] == "%":
        return unquote_to_bytes(encoded).decode("utf-8", "replace")
    if encoded[1] in "\r\n":
        return ""
    return chr(int(encoded[-2:], 16))


def _pairs(address: str) -> Iterator[tuple[str, str]]:
    """(name, domain) of the spellings of one address, folded."""
    local, _, domain = address.strip().strip("<>").rpartition("@")
    local = local.strip('"')
    if not local or not domain:
        return
    domains = {domain}
    with suppress(UnicodeError):
        domains.add(domain.encode("ascii").decode("idna"))
    for name in {local, local.partition("+")[0] or local}:
        for one in domains:
            yield _folded(name).text, _folded(one).text


def _spelt(local: str, domain: str) -> str:
    tag = "" if "+" in local else _TAG
    return rf"(?<![^\W_]){_loosely(local)}{tag}{_AT}{_loosely(domain)}(?![^\W_])"


def _loosely(name: str) -> str:
    """A name whose letters may stand apart, and whose dots may be words."""
    pieces = [_NOT_SPELT.sub("", piece) for piece in name.split(".")]
    loose = [_GAP.join(map(re.escape, piece)) for piece in pieces if piece]
    return _DOT.join(loose) or re.escape(name)


def _squeezed(local: str, domain: str) -> str:
    dots = f"(?:{_DOTS})?"
    names = [
        dots.join(re.escape(piece) for piece in (_NOT_SPELT.sub("", part) for part in name.split(".")) if piece)
        for name in (local, domain)
    ]
    ats = _ATS.replace(r"\W?", "")
    return f"{names[0]}(?:{ats})?{names[1]}"


def _either(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(sorted(set(patterns))) or r"(?!)")


def _from_base64(run: str) -> str:
    bare = run.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(bare[: len(bare) // 4 * 4] + _padded(bare[len(bare) // 4 * 4 :])).decode("latin-1")
    except binascii.Error:
        return ""


def _padded(rest: str) -> str:
    return rest + "=" * (-len(rest) % 4) if len(rest) > 1 else ""


class _Room:
    """How many octets may still be unpacked of one file, and how many streams tried, however deep."""

    def __init__(self) -> None:
        self.left = _MOST_UNPACKED
        self.tries = _MOST_STREAMS


def _unpacked(octets: bytes, room: _Room | None = None, depth: int = 0) -> Iterator[bytes]:
    room = room or _Room()
    yield octets
    if depth == _DEEPEST_FILE:
        return
    if octets.startswith(b"PK"):
        pieces = _members(octets, room)
    elif octets.startswith(b"\x1f\x8b"):
        pieces = iter([_inflated(octets, 0, room, _GZIP)[0]])
    else:
        yield b"".join(bytes.fromhex(_even(found)) for found in _HEX.findall(octets)[:_MOST_STREAMS])
        pieces = _streams(octets, room)
    for piece in pieces:
        yield from _unpacked(piece, room, depth + 1)


def _members(octets: bytes, room: _Room) -> Iterator[bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(octets)) as packed:
            for member in packed.infolist()[:_MOST_MEMBERS]:
                yield member.filename.encode()
                if member.flag_bits & 1 or member.file_size > room.left:
                    continue
                with packed.open(member) as file:
                    piece = file.read(room.left)
                room.left -= len(piece)
                yield piece
    except (zipfile.BadZipFile, zlib.error, OSError, ValueError, NotImplementedError, RuntimeError, EOFError):
        return


def _streams(octets: bytes, room: _Room) -> Iterator[bytes]:
    """What unpacks anywhere in it, from where a deflated stream may begin; what only looks like one ends at once."""
    place = 0
    while room.tries and room.left and (found := _DEFLATED.search(octets, place)):
        room.tries -= 1
        piece, end = _inflated(octets, found.start(), room, _ZLIB)
        place = max(end, found.end()) if piece else found.end()
        if piece:
            yield piece


def _inflated(octets: bytes, start: int, room: _Room, kind: int) -> tuple[bytes, int]:
    """(what unpacks from `start` on, where it ends), as far as it is whole and there is room."""
    unpacker, pieces, place = zlib.decompressobj(kind), [], start
    with suppress(zlib.error):
        while place < len(octets) and room.left and not unpacker.eof:
            chunk = octets[place : place + _CHUNK]
            pieces.append(unpacker.decompress(chunk, room.left))
            room.left -= len(pieces[-1])
            place += len(chunk)
        return b"".join(pieces), place - len(unpacker.unused_data)
    return b"".join(pieces), start


def _even(digits: bytes) -> str:
    """PDF lets the last 0 be left out (ISO 32000-1, 7.3.4.3)."""
    bare = b"".join(digits.split()).decode("ascii")
    return bare + "0" * (len(bare) % 2)
