"""A Maildir as a mail reader sees it: which letters are there, newest first, and one letter in full.

Lists read headers only, and only of the letters on the page, so ten thousand letters cost no more than fifty.
"""

import email
import os
import re
import secrets
import time
from dataclasses import dataclass
from email import policy
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import EmailMessage
from itertools import islice
from pathlib import Path

from outreach.domain.errors import NotFoundError

_HEADER_OCTETS = 16_384
_KEY = re.compile(r"[0-9]{16}\.[0-9a-f]{8}")
_UNFOLD = re.compile(rb"\r?\n(?=[ \t])")


@dataclass(frozen=True)
class Line:
    """A letter in a list. `received`: UTC microseconds."""

    key: str
    received: int
    sender: str
    to: str
    subject: str


@dataclass(frozen=True)
class Letter:
    """A letter in full. `source`: as it came over the wire, envelope first."""

    key: str
    received: int
    sender: str
    to: str
    subject: str
    headers: tuple[tuple[str, str], ...]
    text: str
    html: str
    source: str


def keep(folder: Path, mail_from: str, recipients: list[str], content: bytes) -> str:
    """Write one letter, whole or not at all, with its envelope as headers. Returns its key."""
    key = f"{time.time_ns() // 1000:016d}.{secrets.token_hex(4)}"
    to = ", ".join(recipients)
    envelope = f"X-Envelope-From: <{mail_from}>\r\nX-Envelope-To: {to}\r\n".encode()
    draft = folder / "tmp" / key
    draft.write_bytes(envelope + content)
    draft.rename(folder / "new" / key)
    return key


def prepare(folder: Path) -> None:
    """Make the folders of an empty Maildir where they are missing; only we may look in."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    for part in (folder, folder / "tmp", folder / "new", folder / "cur"):
        part.mkdir(exist_ok=True, mode=0o700)


def page(folder: Path, first: int, count: int) -> tuple[list[Line], int]:
    """`count` letters from number `first` (0 is the newest), and how many there are in all."""
    keys = _keys(folder)
    return [line for key in keys[first : first + count] if (line := _line(folder, key))], len(keys)


def find(folder: Path, words: str, count: int) -> list[Line]:
    """The newest letters to the address `words`, typed in full, or with `words` in the subject."""
    wanted = words.strip().casefold()
    lines = (line for key in _keys(folder) if (line := _line(folder, key)))
    return list(
        islice((line for line in lines if wanted == line.to.casefold() or wanted in line.subject.casefold()), count)
    )


def read(folder: Path, key: str) -> Letter:
    """Raises NotFoundError."""
    if not _KEY.fullmatch(key):
        raise NotFoundError("There is no such letter.")
    try:
        octets = _path(folder, key).read_bytes()
    except FileNotFoundError:
        raise NotFoundError("There is no such letter.") from None
    message = email.message_from_bytes(octets, policy=policy.default)
    return Letter(
        key=key,
        received=_received(key),
        sender=_shown(message, "From"),
        to=_shown(message, "X-Envelope-To"),
        subject=_shown(message, "Subject"),
        headers=tuple((name, str(value)) for name, value in message.items()),
        text=_body(message, "plain"),
        html=_body(message, "html"),
        source=octets.decode("utf-8", "replace").replace("\r\n", "\n"),
    )


def burn(folder: Path, address: str) -> int:
    """Destroy every letter to this address, and every one it sent. Returns how many."""
    wanted = address.casefold()
    lines = [line for key in _keys(folder) if (line := _line(folder, key))]
    theirs = [line.key for line in lines if wanted in (line.to.casefold(), line.sender.casefold())]
    for key in theirs:
        _path(folder, key).unlink(missing_ok=True)
    return len(theirs)


def _keys(folder: Path) -> list[str]:
    keys: list[str] = []
    for name in ("new", "cur"):
        try:
            keys += (entry.partition(":")[0] for entry in os.listdir(folder / name))  # noqa: PTH208  names are enough
        except FileNotFoundError:
            continue
    return sorted((key for key in keys if _KEY.fullmatch(key)), reverse=True)


def _path(folder: Path, key: str) -> Path:
    fresh = folder / "new" / key
    if fresh.exists():
        return fresh
    return next((folder / "cur").glob(f"{key}:*"), fresh)


def _line(folder: Path, key: str) -> Line | None:
    try:
        with _path(folder, key).open("rb") as file:
            head = file.read(_HEADER_OCTETS)
    except FileNotFoundError:
        return None
    fields: dict[bytes, bytes] = {}
    for row in _UNFOLD.sub(b"", head.partition(b"\r\n\r\n")[0]).splitlines():
        name, _, value = row.partition(b":")
        fields.setdefault(name.lower(), value.strip())
    return Line(
        key=key,
        received=_received(key),
        sender=_decoded(fields.get(b"from", b"")),
        to=fields.get(b"x-envelope-to", b"").decode("utf-8", "replace"),
        subject=_decoded(fields.get(b"subject", b"")),
    )


def _received(key: str) -> int:
    return int(key.partition(".")[0])


def _decoded(value: bytes) -> str:
    text = value.decode("utf-8", "replace")
    if "=?" not in text:
        return text
    try:
        return str(make_header(decode_header(text)))
    except (HeaderParseError, LookupError, UnicodeError):
        return text


def _shown(message: EmailMessage, name: str) -> str:
    return str(message.get(name, ""))


def _body(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    if part is None:
        return ""
    payload = part.get_payload(decode=True)
    octets = payload if isinstance(payload, bytes) else b""
    try:
        return octets.decode(part.get_content_charset("utf-8"), "replace").replace("\r\n", "\n")
    except LookupError:
        return octets.decode("utf-8", "replace").replace("\r\n", "\n")
