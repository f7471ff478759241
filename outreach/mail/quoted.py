"""Quoted-printable with gaps (RFC 2045 §6.7): fixed text is encoded once, and values are set in later, however long.

No line is longer than 76 octets and no soft line break falls inside an encoded octet, whatever the values are: a gap
has room for so many octets on its line, what follows is broken as if all of them were used, and a value that needs
more stands on lines of its own.
"""

import binascii
from collections.abc import Sequence
from dataclasses import dataclass

LINE = 76
_MOST = LINE - 1  # leaves a place for the "=" of a soft line break
_SOFT = b"=\r\n"
_EQUALS = ord("=")


@dataclass(frozen=True)
class Gap:
    """Where value number `key` goes. `room`: the octets it may take within its line, at most 75."""

    key: int
    room: int


Part = str | Gap


def quote(text: str) -> bytes:
    """`text` as quoted-printable octets without soft line breaks; hard ones are single line feeds.

    Spaces before a line break and at the end are encoded, so they last whatever is put behind them.
    """
    octets = text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace")
    return binascii.b2a_qp(octets).replace(b"=\n", b"")


def lay_out(parts: Sequence[Part]) -> list[bytes | Gap]:
    """Texts as octets with CRLF, broken so that whatever `fit` makes of a value may stand in the gaps between them."""
    laid: list[bytes | Gap] = []
    column = 0
    for place, part in enumerate(parts):
        if isinstance(part, Gap):
            if column + part.room > _MOST:
                laid.append(_SOFT)
                column = 0
            column += part.room
            laid.append(part)
        else:
            quoted = quote(part)
            if quoted.endswith(b"=20") and _runs_on(parts[place + 1 :]):
                quoted = quoted[:-3] + b" "
            octets, column = _broken(quoted, column)
            laid.append(octets)
    return laid


def fit(value: str, room: int) -> bytes:
    """A value without line breaks, for a gap of this room: as it is, or on lines of its own."""
    if value.isascii() and value.isprintable() and "=" not in value and not value.endswith(" "):
        octets = value.encode()
    else:
        octets = quote(value)
    if len(octets) <= room:
        return octets
    return b"".join((_SOFT, _broken(octets, 0)[0], _SOFT))


def _runs_on(rest: Sequence[Part]) -> bool:
    """Whether the line goes on behind a gap, so that a space before it is not the line's last if the value is empty."""
    after = rest[1] if len(rest) > 1 else ""
    return isinstance(after, str) and after[:1] not in {"", "\n", "\r"}


def _broken(quoted: bytes, column: int) -> tuple[bytes, int]:
    """With soft line breaks where lines that begin at `column` need them, and the column after the last octet."""
    *lines, last = quoted.split(b"\n")
    broken: list[bytes] = []
    for line in lines:
        broken.append(line if column + len(line) <= LINE else _soften(line, column, LINE))
        column = 0
    end = column + len(last)
    if end > _MOST:
        last = _soften(last, column, _MOST)
        end = len(last) - last.rindex(b"\n") - 1
    broken.append(last)
    return b"\r\n".join(broken), end


def _soften(line: bytes, column: int, most: int) -> bytes:
    """`line` broken so that every piece has 75 octets and the last at most `most`."""
    pieces = []
    start, size = 0, len(line)
    while size - start > most - column:
        end = start + _MOST - column
        if line[end - 1] == _EQUALS:
            end -= 1
        elif line[end - 2] == _EQUALS:
            end -= 2
        end = max(end, start)
        pieces.append(line[start:end])
        start, column = end, 0
    pieces.append(line[start:])
    return _SOFT.join(pieces)
