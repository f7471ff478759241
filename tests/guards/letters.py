"""The mails of a demo mailbox, as whoever holds one could read it."""

import email
import re
from dataclasses import dataclass
from email import policy
from email.message import EmailMessage
from pathlib import Path

from tests.guards.pages import Page

_TO = re.compile(rb"X-Envelope-To: (\S+)")
_URL = re.compile(r"https?://[^\s<>\"]+")


@dataclass(frozen=True)
class Letter:
    """One mail. `links`: every http address in its headers and both parts, in order."""

    to: str
    sender: str
    subject: str
    is_campaign: bool
    links: tuple[str, ...]
    source: str


def read_letters(mailbox: Path, *, every: int = 1, holding: bytes = b"") -> list[Letter]:
    """The mails of the Maildir, newest first; of many, each `every`th, or those in whose source `holding` occurs."""
    paths = sorted((mailbox / "new").iterdir(), reverse=True)[::every]
    return [_read(path) for path in paths if holding in path.read_bytes()]


def recipients(mailbox: Path) -> set[str]:
    """Every address that was ever mailed."""
    heads = (path.read_bytes().partition(b"\r\n\r\n")[0] for path in (mailbox / "new").iterdir())
    return {found.group(1).decode() for head in heads if (found := _TO.search(head))}


def _read(path: Path) -> Letter:
    octets = path.read_bytes()
    mail = email.message_from_bytes(octets, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    found = [url for value in mail.get_all("List-Unsubscribe", []) for url in _URL.findall(value)]
    for kind in ("plain", "html"):
        part = mail.get_body((kind,))
        text = part.get_content() if part else ""
        found += Page(text).links if kind == "html" else _URL.findall(text)
    return Letter(
        to=str(mail["X-Envelope-To"]),
        sender=str(mail["From"]),
        subject=str(mail["Subject"]),
        is_campaign="List-Id" in mail,
        links=tuple(dict.fromkeys(found)),
        source=octets.decode("utf-8", "replace"),
    )
