"""What a report tells of the mail it is about: our tickets and Message-IDs in what it gives back of it."""

import re
from collections.abc import Iterable

from outreach.mail.inbound.fields import Fields

_TICKET = re.compile(r"(?<![a-z0-9])(bounce|reply|stop|report)(?:\+|=2b|%2b)([0-9a-f]{56})(?![0-9a-f])", re.IGNORECASE)
_BARE = re.compile(r"(?<![0-9a-z])[0-9a-f]{56}(?![0-9a-z])", re.IGNORECASE)
_MESSAGE_ID_LINE = re.compile(r"^[>\s]{0,4}message-id:\s{0,4}<([^<>\s]{1,250})>", re.IGNORECASE | re.MULTILINE)
_ENVELOPE_ID = re.compile(r"[^\s<>@]{1,250}@[^\s<>@]{1,250}")
_HEX = re.compile(r"\+([0-9A-F]{2})")
_ABOUT = ("message-id", "original-message-id", "x-ms-exchange-message-id")
_MOST = 20


class Traces:
    """Gathers, each once, in the order found, never more than twenty."""

    def __init__(self) -> None:
        self.tickets: list[str] = []
        self.message_ids: list[str] = []

    def of_original(self, header: Fields) -> None:
        """The header of the mail that came back."""
        for name, value in header:
            self._tickets(value)
            if name == "cfbl-feedback-id":  # RFC 9477 §3.3: ours is the ticket alone
                self._keep(self.tickets, [f"report+{found.lower()}" for found in _BARE.findall(value)])
        for name in _ABOUT:
            self._keep(self.message_ids, header.message_ids(name))

    def of_report(self, header: Fields) -> None:
        """Fields a server wrote about it: Original-Envelope-Id (RFC 3464 §2.2.1) is the Message-ID we gave it."""
        for name, value in header:
            self._tickets(value)
            if name == "original-envelope-id":
                envelope = _HEX.sub(lambda found: chr(int(found[1], 16)), value).strip("<> ")
                if _ENVELOPE_ID.fullmatch(envelope):
                    self._keep(self.message_ids, [envelope])
        for name in ("original-message-id", "x-original-message-id"):
            self._keep(self.message_ids, header.message_ids(name))

    def of_text(self, text: str) -> None:
        """A mail that came back as mere text."""
        self._tickets(text)
        self._keep(self.message_ids, _MESSAGE_ID_LINE.findall(text))

    def of_answer(self, header: Fields) -> None:
        """In-Reply-To and References of something that answers."""
        for name in ("in-reply-to", "references"):
            self._keep(self.message_ids, reversed(header.message_ids(name)))

    def _tickets(self, text: str) -> None:
        found = _TICKET.findall(text[:200_000])
        self._keep(self.tickets, [f"{door}+{ticket}".lower() for door, ticket in found])

    @staticmethod
    def _keep(kept: list[str], found: Iterable[str]) -> None:
        for one in found:
            if len(kept) >= _MOST:
                return
            if one not in kept:
                kept.append(one)
