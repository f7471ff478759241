"""One mail as octets, ready for the relay: RFC 5322 header, multipart/alternative body, signatures. Pure.

Our own assembler because it runs once a message; the standard library's `email` is the oracle in its tests.
"""

import binascii
from dataclasses import dataclass, field

from outreach.domain.errors import InvalidInputError
from outreach.mail import dkim, headers
from outreach.mail.content import FOOTER_MARK, MASTHEAD_MARK, Filled
from outreach.mail.footer import Footer, masthead

MOST_OCTETS = 100_000  # larger mails are cut off by their readers' programs, footer first

# "=" never stands before "_" in quoted-printable text, so no part can hold the boundary (RFC 2045 §6.7).
_BOUNDARY = b"=_outreach"
_PART = (
    b"--" + _BOUNDARY + b"\r\nContent-Type: text/%s; charset=utf-8\r\n"
    b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
)
_PLAIN, _HTML, _END = _PART % b"plain", _PART % b"html", b"--" + _BOUNDARY + b"--\r\n"
_MIME = (b"MIME-Version: 1.0", b'Content-Type: multipart/alternative; boundary="' + _BOUNDARY + b'"')
_AUTOMATIC = b"Auto-Submitted: auto-generated"
_ONE_CLICK = b"List-Unsubscribe-Post: List-Unsubscribe=One-Click"


@dataclass(frozen=True)
class Sender:
    """The brand a mail comes from: what From shows, and the keys it is signed with."""

    name: str
    address: str
    signers: tuple[dkim.Signer, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class TopicList:
    """The topic a campaign mail belongs to. `ref` names it for ever (RFC 2919), `name` is for people."""

    ref: str
    name: str
    feedback: str = ""  # what Feedback-ID counts together, such as the campaign's ref


@dataclass(frozen=True)
class Envelope:
    """One mail's own facts. `message_id`: without the angle brackets, stable per message. `now`: UTC microseconds.

    With `topic` it is campaign mail and `stop_url`, the RFC 8058 address, is required; without, it is system mail and
    says `Auto-Submitted: auto-generated` (RFC 3834), with a `stop_url` only where one press ends such mail.
    """

    sender: Sender
    to: str = field(repr=False)
    message_id: str
    now: int
    topic: TopicList | None = None
    stop_url: str = field(default="", repr=False)
    reply_to: str = field(default="", repr=False)


def compose(envelope: Envelope, content: Filled, footer: Footer | None = None) -> bytes:
    """The whole message, CRLF, lines of at most 998 octets (76 in the body).

    Campaign mail needs a `footer`; system mail brings its own. Raises InvalidInputError when the result would exceed
    100 kB, or an address or URL could not stand in a header.
    """
    if footer is None and envelope.topic is not None:
        raise InvalidInputError("Campaign mail cannot go out without its footer.", "footer")
    whole = dress(content, envelope.sender.name, footer)
    body = b"".join((_PLAIN, _quoted(whole.text), _HTML, _quoted(whole.html), _END))
    fields = _fields(envelope, content.subject)
    signatures = dkim.sign(fields, body, envelope.sender.signers, envelope.now // 1_000_000)
    message = b"\r\n".join((*signatures, *fields, b"", body))
    if len(message) > MOST_OCTETS:
        raise InvalidInputError("This mail is larger than 100 kB; shorten it or use smaller fields.", "body")
    return message


def dress(content: Filled, sender_name: str, footer: Footer | None = None) -> Filled:
    """`content` with masthead and footer in their places, as its reader will see it."""
    html, text = content.html.replace(MASTHEAD_MARK, masthead(sender_name), 1), content.text
    if footer is not None:
        shown = footer.render()
        before, _, after = html.rpartition(FOOTER_MARK)
        html, text = before + shown.html + after, f"{text.rstrip()}\n\n{shown.text}"
    return Filled(content.subject, content.preheader, html, text)


def message_id(ref: bytes, domain: str) -> str:
    """The Message-ID of a message, the same at every attempt: its ref at the sender's domain."""
    return f"{ref.hex()}@{domain}"


def _fields(envelope: Envelope, subject: str) -> list[bytes]:
    sender, topic = envelope.sender, envelope.topic
    fields = [
        headers.mailbox_field("From", sender.name, sender.address),
        b"To: " + headers.checked_address(envelope.to).encode(),
        headers.text_field("Subject", subject),
        headers.date_field(envelope.now // 1_000_000),
        headers.raw_field("Message-ID", f"<{envelope.message_id}>"),
    ]
    if envelope.reply_to:
        fields.append(headers.mailbox_field("Reply-To", "", envelope.reply_to))
    if topic is None:
        fields.append(_AUTOMATIC)
        fields.extend(_stop_fields(envelope.stop_url) if envelope.stop_url else ())
    else:
        fields.extend(_list_fields(topic, sender.address.rpartition("@")[2], envelope.stop_url))
    fields.extend(_MIME)
    return fields


def _list_fields(topic: TopicList, domain: str, stop_url: str) -> list[bytes]:
    """RFC 8058 §3.1, RFC 2919 §3, and the Feedback-ID Gmail counts complaints by."""
    fields = [*_stop_fields(stop_url), headers.list_id_field(topic.name, f"{topic.ref}.{domain}")]
    if topic.feedback:
        fields.append(headers.raw_field("Feedback-ID", f"{topic.feedback}:{topic.ref}:campaign:{domain}"))
    return fields


def _stop_fields(stop_url: str) -> list[bytes]:
    if not stop_url.startswith(("https://", "http://")) or any(mark in stop_url for mark in " <>"):
        raise InvalidInputError("This mail cannot go out without its unsubscribe address.", "stop_url")
    return [headers.raw_field("List-Unsubscribe", f"<{stop_url}>"), _ONE_CLICK]


def _quoted(text: str) -> bytes:
    """Quoted-printable octets that end in one CRLF (RFC 2045 §6.7)."""
    octets = text.replace("\r\n", "\n").replace("\r", "\n").encode("utf-8", "replace")
    if not octets.endswith(b"\n"):
        octets += b"\n"
    return binascii.b2a_qp(octets).replace(b"\n", b"\r\n")
