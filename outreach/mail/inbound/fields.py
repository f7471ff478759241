"""Header fields as they come: found in octets, unfolded, their words, parameters, addresses and dates read leniently.

RFC 5322 §2.2, RFC 2047 (encoded words), RFC 2231 (parameters). Whatever is malformed is passed over, nothing raises,
and every pattern works on a bounded piece.
"""

import binascii
import re
from collections.abc import Iterator, Sequence
from email.utils import mktime_tz, parsedate_tz
from urllib.parse import unquote_to_bytes

from outreach.mail.inbound.charsets import decode

_MOST_OCTETS = 256 * 1024  # of a header
_MOST_FIELDS = 1000
_LONGEST = 4000  # characters of a value that are looked at
_NAME = re.compile(rb"([!-9;-~]{1,100})[ \t]*:")
_WORD = re.compile(r"=\?([!->@-~]{1,60})\?([bBqQ])\?([^?]{0,1000})\?=")
_BETWEEN_WORDS = re.compile(r"(\?=)\s+(?==\?[!->@-~]{1,60}\?[bBqQ]\?)")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_PARAMETER = re.compile(r';\s*([^\s=;"]{1,60})\s*=\s*("(?:[^"\\]|\\.)*"|[^;\s]*)')
_SECTION = re.compile(r"([^*]+)(?:\*(\d{1,2}))?(\*)?")
_IN_ANGLES = re.compile(r"<([^<>\s@]{1,64}@[^<>\s@]{1,255})>")
_BARE_ADDRESS = re.compile(r"[^\s<>()\[\],;:\"@]{1,64}@[^\s<>()\[\],;:\"'@]{1,255}")
_MESSAGE_ID = re.compile(r"<([^<>\s]{1,250})>")


class Fields:
    """The fields of one header, in order; where a name occurs twice the first counts."""

    def __init__(self, found: Sequence[tuple[str, bytes]] = ()) -> None:
        self._found = found

    def __bool__(self) -> bool:
        return bool(self._found)

    def __contains__(self, name: str) -> bool:
        return any(name == one for one, _ in self._found)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """(name in lower case, value unfolded)."""
        return ((name, _unfolded(value)) for name, value in self._found)

    def below(self, name: str, value: str) -> "Fields":
        """These, with one on top of them that counts instead of any other of its name."""
        return Fields([(name, value.encode("utf-8", "replace")), *self._found])

    def get(self, name: str) -> str:
        """The value, unfolded, not decoded; empty where there is none. `name` in lower case."""
        return next((_unfolded(value) for one, value in self._found if one == name), "")

    def all(self, name: str) -> list[str]:
        """Every value of that name."""
        return [_unfolded(value) for one, value in self._found if one == name]

    def words(self, name: str) -> str:
        """The value as a reader would see it, on one line."""
        return in_words(self.get(name))

    def address(self, name: str) -> str:
        """The first address in the field, or empty."""
        value = self.get(name)
        found = _IN_ANGLES.search(value)
        if found:
            return found[1]
        bare = _BARE_ADDRESS.search(value)
        return bare[0].rstrip(".") if bare else ""

    def message_ids(self, name: str) -> list[str]:
        """Message-IDs in the field, without brackets."""
        return _MESSAGE_ID.findall(self.get(name))

    def parameters(self, name: str) -> tuple[str, dict[str, str]]:
        """The word before the first semicolon and the parameters (RFC 2231), names in lower case."""
        value = self.get(name)
        return value.partition(";")[0].strip().lower(), _parameters(value)

    def date(self) -> int | None:
        """`Date` in UTC microseconds."""
        try:
            parsed = parsedate_tz(self.get("date")[:100])
            seconds = mktime_tz(parsed) if parsed else -1
        except (ValueError, IndexError, TypeError, OverflowError):
            return None
        return seconds * 1_000_000 if 0 <= seconds < 2**40 else None


def parse(octets: bytes, start: int, end: int) -> tuple[Fields, int]:
    """The header that begins at `start`, and where the body begins: behind the empty line, or where no field is."""
    found: list[tuple[str, bytes]] = []
    pieces: list[bytes] = []
    name = ""
    end = min(end, start + _MOST_OCTETS)
    place = start
    while place < end:
        stop = octets.find(b"\n", place, end)
        after = end if stop < 0 else stop + 1
        line = octets[place:after].rstrip(b"\r\n")
        if not line:
            place = after
            break
        if line[:1] in b" \t" and name:
            pieces.append(line)
        elif (start_of := _NAME.match(line)) is not None:
            _keep(found, name, pieces)
            name, pieces = start_of[1].decode("ascii").lower(), [line[start_of.end() :]]
        elif place > start or not line.startswith((b"From ", b">From ")):
            break
        place = after
    _keep(found, name, pieces)
    return Fields(found), place


def groups(text: str) -> list[Fields]:
    """Blocks of fields with empty lines between, as in message/delivery-status (RFC 3464 §2.1)."""
    octets = text.encode()
    made: list[Fields] = []
    place = 0
    while place < len(octets) and len(made) < 200:
        fields, after = parse(octets, place, len(octets))
        if fields:
            made.append(fields)
        if after == place:  # no field here: on to the next line
            after = octets.find(b"\n", place) + 1 or len(octets)
        place = after
    return made


def in_words(value: str) -> str:
    """RFC 2047 encoded words decoded; one line without control characters."""
    value = _BETWEEN_WORDS.sub(r"\1", value[:_LONGEST])
    shown: list[str] = []
    run, charset, place = b"", "", 0
    for word in _WORD.finditer(value):
        claimed = word[1].partition("*")[0]  # RFC 2231 §5: a language may follow
        if run and (word.start() > place or claimed != charset):
            shown.append(decode(run, charset))
            run = b""
        shown.append(value[place : word.start()])
        run, charset, place = run + _word(word), claimed, word.end()
    shown += [decode(run, charset), value[place:]]
    return " ".join(_CONTROLS.sub(" ", "".join(shown)).split())


def _keep(found: list[tuple[str, bytes]], name: str, pieces: list[bytes]) -> None:
    if name and len(found) < _MOST_FIELDS:
        found.append((name, b"\n".join(pieces)))


def _unfolded(value: bytes) -> str:
    return decode(value[: 4 * _LONGEST]).replace("\n", "")[:_LONGEST].strip()


def _word(word: re.Match[str]) -> bytes:
    octets = word[3].encode()
    try:
        if word[2] in "qQ":
            return binascii.a2b_qp(octets, header=True)
        return binascii.a2b_base64(octets + b"=" * (-len(octets) % 4))
    except binascii.Error:
        return octets


def _parameters(value: str) -> dict[str, str]:
    plain: dict[str, str] = {}
    sections: dict[str, dict[int, tuple[str, bool]]] = {}
    for name, raw in _PARAMETER.findall(value):
        text = re.sub(r"\\(.)", r"\1", raw[1:-1]) if raw.startswith('"') and len(raw) > 1 else raw
        parts = _SECTION.fullmatch(name.lower())
        if parts is None or not (parts[2] or parts[3]):
            plain.setdefault(name.lower(), text)
        else:
            sections.setdefault(parts[1], {}).setdefault(int(parts[2] or 0), (text, bool(parts[3])))
    return {name: _joined(pieces) for name, pieces in sections.items()} | plain


def _joined(pieces: dict[int, tuple[str, bool]]) -> str:
    """RFC 2231 §3, §4: continued pieces, percent-encoded where a star says so, the charset before the first."""
    charset, octets = "", b""
    for place, number in enumerate(sorted(pieces)):
        text, encoded = pieces[number]
        if encoded and place == 0 and text.count("'") >= 2:
            charset, _, text = text.split("'", 2)
        octets += unquote_to_bytes(text) if encoded else text.encode()
    return decode(octets, charset)
