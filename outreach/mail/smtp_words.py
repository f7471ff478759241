"""What we say of one mail before its content: its envelope as commands (RFC 5321, 1870, 3461, 6152, 6531)."""

import re
from collections.abc import Mapping

from outreach.mail.transport import Parcel

_SAFE = re.compile(r"[^\x00-\x20\x7f<>@]+@[^\x00-\x20\x7f<>@]+")
_XTEXT = re.compile(r"[^!-*,-<>-~]")
_MESSAGE_ID = re.compile(rb"^message-id:\s*<([!-;=?-~]{1,90})>", re.IGNORECASE | re.MULTILINE)
_HEAD = 8192  # where a Message-ID is looked for


class UnfitError(Exception):
    """This mail cannot be offered to this relay; the text says why and holds no address."""


class Envelopes:
    """Writes the commands of mails for a relay that offers `offers`. `dsn`: ask for reports where it offers them."""

    def __init__(self, offers: Mapping[str, str], *, dsn: bool) -> None:
        self._size = "SIZE" in offers
        self._eight = "8BITMIME" in offers
        self._utf8 = "SMTPUTF8" in offers
        self._dsn = dsn and "DSN" in offers
        self._sender = "\n"  # never an address

    def commands(self, parcel: Parcel) -> bytes:
        """MAIL, RCPT and DATA, a line each. Raises UnfitError."""
        sender, recipient, data = parcel.mail_from, parcel.rcpt_to, parcel.data
        if sender != self._sender:
            if sender and not _SAFE.fullmatch(sender):
                raise UnfitError("This is not an address that can be handed to a relay.")
            self._sender = sender
        if not _SAFE.fullmatch(recipient):
            raise UnfitError("This is not an address that can be handed to a relay.")
        more = f" SIZE={len(data)}" if self._size else ""
        if not data.isascii():
            if not self._eight:
                raise UnfitError("The relay does not offer 8BITMIME, which this mail needs.")
            more += " BODY=8BITMIME"
        if not (recipient.isascii() and sender.isascii()):
            if not self._utf8:
                raise UnfitError("The relay does not offer SMTPUTF8, which this address needs.")
            more += " SMTPUTF8"
        asked = ""
        if self._dsn:
            more += _envelope_id(data)
            asked = " NOTIFY=FAILURE,DELAY" + (f" ORCPT=rfc822;{xtext(recipient)}" if recipient.isascii() else "")
        return f"MAIL FROM:<{sender}>{more}\r\nRCPT TO:<{recipient}>{asked}\r\nDATA\r\n".encode()


def _envelope_id(data: bytes) -> str:
    """Headers only in reports, and the mail's own Message-ID to know them by (RFC 3461 §4.3, §4.4)."""
    found = _MESSAGE_ID.search(data, 0, _HEAD)
    envelope = xtext(found[1].decode()) if found else ""
    return f" RET=HDRS ENVID={envelope}" if 0 < len(envelope) <= 100 else " RET=HDRS"


def xtext(text: str) -> str:
    """ASCII as RFC 3461 §4 writes it: `+`, `=` and what is not printable as +HH."""
    return _XTEXT.sub(lambda found: f"+{ord(found[0]):02X}", text)
