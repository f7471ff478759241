"""A mail's parts (RFC 2045, 2046), out of any octets: never deeper, more or longer than the limits here.

A reader of our own and not the standard library's, because that one's cost grows with depth times lines, and its
recursion ends in an error. This one notes where parts begin and end, copies a part only when it is decoded, and
searches each octet once for each level it lies in.
"""

import binascii
import re
from collections.abc import Iterator
from functools import cached_property

from outreach.mail.inbound import fields
from outreach.mail.inbound.charsets import decode
from outreach.mail.inbound.fields import Fields

MOST_OCTETS = 32 * 1024 * 1024
MOST_PARTS = 200
DEEPEST = 10
MOST_TEXT = 200_000
"""Characters of one part's text that are read."""

_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,80}/[a-z0-9!#$&^_.+-]{1,80}")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")
_WHOLE_MAILS = frozenset({"message/rfc822", "message/global", "message/news"})
_MOST_BOUNDARY = 250  # RFC 2046 §5.1.1 asks for 70


class Part:
    """One part. `parts`: those inside, the one mail inside where it holds one."""

    def __init__(self, octets: bytes, start: int, end: int, header: Fields, media_type: str) -> None:
        self.fields = header
        self.media_type = media_type
        self.parts: list[Part] = []
        self.parameters = header.parameters("content-type")[1]
        self._octets, self._start, self._end = octets, start, end

    @property
    def is_multipart(self) -> bool:
        return self.media_type.startswith("multipart/")

    @property
    def holds_a_mail(self) -> bool:
        return self.media_type in _WHOLE_MAILS

    @cached_property
    def disposition(self) -> tuple[str, dict[str, str]]:
        """Content-Disposition (RFC 2183): its word and its parameters."""
        return self.fields.parameters("content-disposition")

    @property
    def file_name(self) -> str:
        """As given, decoded; empty where there is none."""
        return fields.in_words(self.disposition[1].get("filename", "") or self.parameters.get("name", ""))

    def body(self, most: int | None = None) -> bytes:
        """Decoded octets; of no more than `most` encoded ones."""
        end = self._end if most is None else min(self._end, self._start + most)
        raw = self._octets[self._start : end]
        encoding = self.fields.get("content-transfer-encoding").strip().lower()
        if encoding == "base64":
            return _from_base64(raw)
        return binascii.a2b_qp(raw) if encoding == "quoted-printable" else raw

    @cached_property
    def text(self) -> str:
        """The body as text, of at most MOST_TEXT characters."""
        return decode(self.body(4 * MOST_TEXT), self.parameters.get("charset", ""))[:MOST_TEXT]

    def walk(self, *, into_mails: bool = False) -> Iterator["Part"]:
        """This part and those inside it, in order; into mails inside only if asked."""
        waiting = [self]
        while waiting:
            part = waiting.pop()
            yield part
            if part is self or into_mails or not part.holds_a_mail:
                waiting += reversed(part.parts)


def parse(octets: bytes) -> Part:
    """The mail's outermost part, those inside hanging on it."""
    octets = octets[:MOST_OCTETS]
    if b"\n" not in octets:
        octets = octets.replace(b"\r", b"\n")
    return _Reader(octets).part(0, len(octets), "text/plain", 0)


class _Reader:
    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._made = 0

    def part(self, start: int, end: int, usual: str, depth: int) -> Part:
        """The part between these places, `usual` its media type if it names none."""
        self._made += 1
        header, body = fields.parse(self._octets, start, end)
        claimed = header.parameters("content-type")[0]
        media_type = claimed if _TYPE.fullmatch(claimed) else ("text/plain" if claimed else usual)
        part = Part(self._octets, body, end, header, media_type)
        if depth < DEEPEST:
            if part.is_multipart:
                part.parts = self._inside(part, body, end, depth)
            elif part.holds_a_mail:
                part.parts = self._mail(part, body, end, depth)
        return part

    def _inside(self, part: Part, start: int, end: int, depth: int) -> list[Part]:
        boundary = part.parameters.get("boundary", "").rstrip().encode()
        if not 0 < len(boundary) <= _MOST_BOUNDARY:
            return []
        usual = "message/rfc822" if part.media_type == "multipart/digest" else "text/plain"
        made: list[Part] = []
        for piece_start, piece_end in self._pieces(b"\n--" + boundary, start, end):
            if self._made >= MOST_PARTS:
                break
            made.append(self.part(piece_start, piece_end, usual, depth + 1))
        return made

    def _pieces(self, mark: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Where the parts between lines of `mark` lie (RFC 2046 §5.1.1); the last may lack its closing line."""
        octets, begun = self._octets, -1
        place = max(0, start - 1)
        while (found := octets.find(mark, place, end)) >= 0:
            line_end = octets.find(b"\n", found + 1, end)
            rest = octets[found + len(mark) : end if line_end < 0 else line_end].strip()
            place = found + len(mark)
            if rest not in {b"", b"--"}:
                continue
            if begun >= 0:
                yield begun, max(begun, found - (octets[found - 1 : found] == b"\r"))
            if rest or line_end < 0:
                return
            begun = line_end + 1
            place = line_end
        if begun >= 0:
            yield begun, end

    def _mail(self, part: Part, start: int, end: int, depth: int) -> list[Part]:
        if self._made >= MOST_PARTS:
            return []
        if part.fields.get("content-transfer-encoding").strip().lower() not in {"base64", "quoted-printable"}:
            return [self.part(start, end, "text/plain", depth + 1)]
        inner = _Reader(part.body())  # forbidden by RFC 2046 §5.2.1, and done
        inner._made = self._made
        made = inner.part(0, len(inner._octets), "text/plain", depth + 1)
        self._made = inner._made
        return [made]


def _from_base64(raw: bytes) -> bytes:
    try:
        return binascii.a2b_base64(raw)
    except binascii.Error:
        clean = _NOT_BASE64.sub(b"", raw)
        clean = clean[: len(clean) // 4 * 4]
        return binascii.a2b_base64(clean)
