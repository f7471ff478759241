"""Header fields on the wire: RFC 5322 folding and RFC 2047 encoded words. Nothing given can start a second field."""

import base64
import re
import time
from functools import lru_cache

from outreach.domain.errors import InvalidInputError

LINE = 76  # RFC 2047 §2: no line that holds an encoded word is longer
_WORD_OVERHEAD = len("=?utf-8?b??=")
_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_MANY_SPACES = re.compile(" +")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]+")
_NOT_IN_ADDRESS = re.compile(r"[\x00-\x20\x7f-\x9f<>(),;:\\\"\[\]\u2028\u2029]")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def one_line(text: str) -> str:
    """`text` with every control character and line break turned into a space, and what UTF-8 cannot hold into "?"."""
    if text.isascii() and text.isprintable():
        return text
    return _BREAKS.sub(" ", text).encode("utf-8", "replace").decode()


@lru_cache(maxsize=512)
def text_field(name: str, value: str) -> bytes:
    """An unstructured field such as Subject, without its last CRLF."""
    value = one_line(value)
    if _is_plain(value):
        return _fold(f"{name}: {value}").encode()
    return f"{name}: {_encoded(value, LINE - len(name) - 2)}".encode()


@lru_cache(maxsize=512)
def mailbox_field(name: str, display: str, address: str) -> bytes:
    """A field of one mailbox: `Name: Display <address>`. Raises InvalidInputError on a malformed address.

    A non-ASCII local part stays UTF-8 (RFC 6532): such mail needs a relay that offers SMTPUTF8.
    """
    bare = checked_address(address)
    display = _MANY_SPACES.sub(" ", one_line(display)).strip(" ")
    if not display:
        return f"{name}: {bare}".encode()
    return f"{name}: {_phrase(display, LINE - len(name) - 2)}\r\n <{bare}>".encode()


def checked_address(address: str) -> str:
    """`address` unless something in it could be read as more than one address. Raises InvalidInputError."""
    local, at, domain = address.rpartition("@")
    if not at or not local or not domain or "@" in local or len(address.encode("utf-8", "replace")) > 320:
        raise InvalidInputError("This is not an address mail can be sent to.", "address")
    if _NOT_IN_ADDRESS.search(address) or not domain.isascii():
        raise InvalidInputError("This is not an address mail can be sent to.", "address")
    try:
        address.encode()
    except UnicodeEncodeError:
        raise InvalidInputError("This is not an address mail can be sent to.", "address") from None
    return address


@lru_cache(maxsize=64)
def list_id_field(display: str, identifier: str) -> bytes:
    """`List-Id: Display <identifier>` (RFC 2919 §3)."""
    if not re.fullmatch(r"[A-Za-z0-9.-]{3,255}", identifier):
        raise InvalidInputError("List-Id: not a DNS-like name", "List-Id")
    display = _MANY_SPACES.sub(" ", one_line(display)).strip(" ")
    start = f"{_phrase(display, LINE - 9)}\r\n " if display else ""
    return f"List-Id: {start}<{identifier}>".encode()


def raw_field(name: str, value: str) -> bytes:
    """A field of our own making, such as a URI in brackets. Raises InvalidInputError if it is not one ASCII line."""
    if not value.isascii() or not value.isprintable() or len(value) > 900:
        raise InvalidInputError(f"{name}: not a header value", name)
    return f"{name}: {value}".encode()


@lru_cache(maxsize=64)
def date_field(second: int) -> bytes:
    """`Date:` for a UTC Unix second (RFC 5322 §3.3)."""
    moment = time.gmtime(second)
    clock = f"{moment.tm_hour:02}:{moment.tm_min:02}:{moment.tm_sec:02}"
    day = f"{_DAYS[moment.tm_wday]}, {moment.tm_mday:02} {_MONTHS[moment.tm_mon - 1]} {moment.tm_year:04}"
    return f"Date: {day} {clock} +0000".encode()


def _is_plain(value: str) -> bool:
    return (
        value.isascii()
        and "=?" not in value
        and value == value.strip()
        and "  " not in value
        and all(len(word) < LINE for word in value.split(" "))
    )


def _fold(line: str) -> str:
    """Break at spaces so that lines stay within 76 where they can; unfolding gives back the same text."""
    if len(line) <= LINE:
        return line
    lines, words = [], line.split(" ")
    current = words[0]
    for index, word in enumerate(words[1:], 1):
        if index > 1 and len(current) + 1 + len(word) > LINE:
            lines.append(current)
            current = ""
        current = f"{current} {word}"
    return "\r\n".join([*lines, current])


def _phrase(display: str, room: int) -> str:
    if len(display) < room and _ATOMS.fullmatch(display) and _is_plain(display):
        return display
    if len(display) < room - 10 and display.isascii() and "=?" not in display:
        return '"' + display.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return _encoded(display, room)


def _encoded(text: str, room: int) -> str:
    """RFC 2047 base64 words, split between characters, each on a line of its own."""
    words, chunk = [], b""
    limit = _octets(room)
    for character in text:
        octets = character.encode()
        if chunk and len(chunk) + len(octets) > limit:
            words.append(chunk)
            chunk, limit = b"", _octets(LINE - 1)
        chunk += octets
    words.append(chunk)
    return "\r\n ".join(f"=?utf-8?b?{base64.b64encode(word).decode()}?=" for word in words)


def _octets(room: int) -> int:
    """How many octets fit, as base64, in an encoded word of at most `room` characters."""
    return max(4, (min(room, 75) - _WORD_OVERHEAD) // 4 * 3)
