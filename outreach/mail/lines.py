"""Line ends and dots: a mail's octets as they go over the wire (RFC 5321 §2.3.8, §4.5.2)."""

import re

_BARE = re.compile(rb"(?<!\r)\n|\r(?!\n)")
_BARE_CR_OR_DOT = re.compile(rb"\r(?:\n\.|[^\n])")
_BARE_LF = re.compile(rb"\n(?<!\r\n)")


class Smooth(bytes):
    """A mail of which its maker knows that it `is_smooth`, so that nobody need look through it again."""


def is_smooth(data: bytes) -> bool:
    """Whether only CRLF ends its lines, the last one too, and none begins with a dot."""
    return (
        not (data.startswith(b".") or _BARE_CR_OR_DOT.search(data) or _BARE_LF.search(data))
        and data.endswith(b"\r\n")
    )  # fmt: skip


def stuffed(data: bytes) -> bytes:
    """`data` as it goes over the wire: CRLF only, leading dots doubled, one CRLF at the end.

    Bare CR or LF would let what one server reads as text be a command to the next ("SMTP smuggling").
    """
    if isinstance(data, Smooth) or is_smooth(data):
        return data
    data = _BARE.sub(b"\r\n", data)
    if not data.endswith(b"\r\n"):
        data += b"\r\n"
    data = data.replace(b"\r\n.", b"\r\n..")
    return b"." + data if data.startswith(b".") else data
