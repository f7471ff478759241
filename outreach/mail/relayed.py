"""A mail between two connected people as octets: made new from its cleaned parts, from and to relay addresses. Pure.

multipart/mixed (RFC 2046 §5.1.3) around the words and the files; all of its header is ours. It comes from the address
at which its reader answers, is signed by the sender's keys, and bears a mark by which it is known if it comes back.
One press stops such mails (RFC 8058), as of every mail of ours; what it presses is its reader's alone.
"""

import base64
import hashlib
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import quote

from outreach.mail import dkim, headers, plain, quoted
from outreach.mail.cleaning import Attached, Cleaned
from outreach.mail.compose import ONE_CLICK, Returns, ways_back

LOOP_MARK = "X-Loop"
"""Holds the domain of relay addresses in every mail passed on; one that comes in with it is not taken."""

_LINE = 76
_PIECE = 60
_SIGNS = re.compile(r"%..|.")
_ID = re.compile(r"[!-;=?-~]{3,200}")


@dataclass(frozen=True)
class Letter:
    """What stands around the words. Message-IDs without brackets; `answers`: those it goes on from, oldest first.

    `name` and `address`: From, whom it comes from and where the answer goes; `to`: its reader's own address. `notice`:
    a clean HTML fragment put below the words. `second`: UTC Unix time. `stop_url`: the RFC 8058 address;
    `returns`: where a wish to stop and a complaint may come by mail.
    """

    name: str = field(repr=False)
    address: str = field(repr=False)
    to: str = field(repr=False)
    message_id: str
    second: int
    notice: str
    answers: tuple[str, ...] = ()
    signers: tuple[dkim.Signer, ...] = field(default=(), repr=False)
    stop_url: str = field(default="", repr=False)
    returns: Returns | None = None


def compose(letter: Letter, mail: Cleaned) -> bytes:
    """The whole mail, CRLF, no line longer than 78 octets. Raises InvalidInputError for what cannot be an address."""
    mark = b"=_outreach" + secrets.token_hex(12).encode()
    parts = [_words(letter, mail, mark + b"w")]
    parts += [_file(one) for one in mail.files]
    if len(parts) == 1:
        kind, body = parts[0]
    else:
        kind, body = _multipart("mixed", mark, parts)
    fields = [*_fields(letter, mail), b"MIME-Version: 1.0", *kind]
    signatures = b""
    if letter.signers:
        digest = hashlib.sha256(body).digest()
        signatures = dkim.Signing(letter.signers, fields).sign([], digest, letter.second)
    return b"".join((signatures, b"\r\n".join(fields), b"\r\n\r\n", body))


def _fields(letter: Letter, mail: Cleaned) -> list[bytes]:
    domain = letter.address.rpartition("@")[2]
    fields = [
        headers.mailbox_field("From", letter.name, letter.address),
        b"To: " + headers.checked_address(letter.to).encode(),
        headers.text_field("Subject", mail.subject),
        headers.date_field(letter.second),
        headers.raw_field("Message-ID", f"<{letter.message_id}>"),
    ]
    answers = [one for one in letter.answers if _ID.fullmatch(one)][-20:]
    if answers:
        fields.append(b"In-Reply-To: <" + answers[-1].encode() + b">")
        fields.append(b"References: " + b"\r\n ".join(b"<" + one.encode() + b">" for one in answers))
    if letter.stop_url:
        returns = None if letter.returns is None else replace(letter.returns, takes_replies=False)
        fields += [*ways_back(letter.stop_url, returns), ONE_CLICK]
    fields.append(headers.raw_field(LOOP_MARK, domain))
    return fields


def _words(letter: Letter, mail: Cleaned, mark: bytes) -> tuple[list[bytes], bytes]:
    """The words, with the notice below them, in one shape or in two."""
    text = f"{mail.text.rstrip()}\n\n-- \n{plain.to_text(letter.notice)}"
    written = _quoted("plain", text)
    if not mail.html:
        return written
    page = f"<!DOCTYPE html>\n<html><body>\n{mail.html}\n<hr>\n{letter.notice}\n</body></html>\n"
    return _multipart("alternative", mark, [written, _quoted("html", page)])


def _quoted(kind: str, text: str) -> tuple[list[bytes], bytes]:
    octets = b"".join(one for one in quoted.lay_out([text]) if isinstance(one, bytes))
    if not octets.endswith(b"\r\n"):
        octets += b"\r\n"
    return [
        f"Content-Type: text/{kind}; charset=utf-8".encode(),
        b"Content-Transfer-Encoding: quoted-printable",
    ], octets


def _file(one: Attached) -> tuple[list[bytes], bytes]:
    """RFC 2183."""
    encoded = base64.b64encode(one.octets)
    lines = [encoded[at : at + _LINE] for at in range(0, len(encoded), _LINE)]
    fields = [
        f"Content-Type: {one.media_type}".encode(),
        b"Content-Transfer-Encoding: base64",
        f"Content-Disposition: attachment;\r\n {_file_name(one.name)}".encode(),
    ]
    return fields, b"\r\n".join([*lines, b""])


def _file_name(name: str) -> str:
    """RFC 2231 §4 for a name beyond ASCII, or long; in pieces after §3 where one line cannot hold it."""
    if name.isascii() and len(name) <= _PIECE:
        return f'filename="{name}"'
    pieces = ["utf-8''"]
    for sign in _SIGNS.findall(quote(name, safe="", errors="replace")):
        if len(pieces[-1]) + len(sign) > _PIECE:
            pieces.append("")
        pieces[-1] += sign
    if len(pieces) == 1:
        return f"filename*={pieces[0]}"
    return ";\r\n ".join(f"filename*{at}*={one}" for at, one in enumerate(pieces))


def _multipart(kind: str, mark: bytes, parts: Sequence[tuple[list[bytes], bytes]]) -> tuple[list[bytes], bytes]:
    pieces = [b"--%s\r\n%s\r\n\r\n%s" % (mark, b"\r\n".join(fields), body) for fields, body in parts]
    fields = [b'Content-Type: multipart/%s;\r\n boundary="%s"' % (kind.encode(), mark)]
    return fields, b"".join([*pieces, b"--%s--\r\n" % mark])
