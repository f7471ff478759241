"""One mail as octets, ready for the relay: RFC 5322 header, multipart/alternative body, signatures. Pure.

Our own assembler because it runs once a message; the standard library's `email` is the oracle in its tests. A campaign
is composed once, as a `Form`, and then filled in for each reader; `compose` writes a mail there is only one of.
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from outreach.domain.errors import InvalidInputError
from outreach.domain.inbound_addresses import Door
from outreach.mail import dkim, headers, quoted
from outreach.mail.content import FOOTER_MARK, MASTHEAD_MARK, Filled, Prepared, fill
from outreach.mail.footer import Footer, masthead
from outreach.mail.quoted import Gap, Part
from outreach.mail.skeleton import Skeleton

MOST_OCTETS = 100_000  # larger mails are cut off by their readers' programs, footer first

_VALUE_ROOM, _TOKEN_ROOM = 32, 72  # octets on one line: most names, and every token of ours
_MARK = f"v{secrets.token_hex(12)}n"  # no value, and nothing an author writes, can hold it
_MARKED = re.compile(rf"{_MARK}(\d+)z")
_LINK = re.compile(r"https?://[!-;=?-~]+")
_AUTOMATIC = b"Auto-Submitted: auto-generated"
ONE_CLICK = b"List-Unsubscribe-Post: List-Unsubscribe=One-Click"
_BOUNCE, _REPLY, _STOP, _REPORT = (door.value for door in (Door.BOUNCE, Door.REPLY, Door.STOP, Door.REPORT))


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


@dataclass(slots=True)  # frozen ones take three times as long to make, and there is one a mail
class Returns:
    """Where mail about one message comes back to: `<door>+<ticket>@<domain>` (domain/inbound_addresses.py).

    `takes_replies`: an answer to it is read, so Reply-To leads there. `servers`: the ticket of mail servers' reports;
    empty: there is only the one, and no report is believed.
    """

    domain: str
    ticket: str = field(repr=False)
    takes_replies: bool = False
    servers: str = field(default="", repr=False)

    @property
    def mail_from(self) -> str:
        """What stands on the envelope: a bounce names its message (VERP)."""
        return f"{_BOUNCE}+{self.servers or self.ticket}@{self.domain}"


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
    returns: Returns | None = None


def compose(envelope: Envelope, content: Filled, footer: Footer | None = None) -> bytes:
    """The whole message, CRLF, lines of at most 998 octets (76 in the body).

    Campaign mail needs a `footer`; system mail brings its own. Raises InvalidInputError when the result would exceed
    100 kB, or an address or URL could not stand in a header.
    """
    if footer is None and envelope.topic is not None:
        raise InvalidInputError("Campaign mail cannot go out without its footer.", "footer")
    sender, stops = envelope.sender, envelope.topic is not None or envelope.stop_url != ""
    whole = dress(content, sender.name, footer)
    returns = envelope.returns
    replies = returns is not None and returns.takes_replies
    fields = _fields(sender, envelope.topic, whole.subject, replies=replies, stops=stops, reports=returns is not None)
    skeleton = Skeleton(fields, [whole.text], [whole.html], sender.signers)
    varying = [_to(envelope.to), *_dated(envelope.now, envelope.message_id)]
    varying += ways_back(envelope.stop_url if stops else None, returns)
    return _checked(skeleton.write(varying, (), envelope.now // 1_000_000))


class Form:
    """A campaign's mail as the readers of one promise get it from one sender: all written but their own values.

    `footer` is theirs but for its personal facts: its links end where a token goes, and its reference is not used.
    `mail_in`: the domain answers and reports come back to; empty while none do.
    """

    def __init__(self, prepared: Prepared, sender: Sender, topic: TopicList, footer: Footer, mail_in: str = "") -> None:
        self._prepared, self._sender, self._topic, self._footer = prepared, sender, topic, footer
        self._mail_in = mail_in
        self._skeleton: Skeleton | None = None
        if not prepared.is_plain:
            return
        count = len(prepared.blanks)
        self._rooms = [_VALUE_ROOM] * count + [_TOKEN_ROOM, _TOKEN_ROOM, _VALUE_ROOM]
        marks = [f"{_MARK}{key}z" for key in range(len(self._rooms))]
        whole = dress(prepared.joined(marks[:count]), sender.name, self._signed_by(*marks[count:]))
        text, html, subject = (self._cut(words) for words in (whole.text, whole.html, whole.subject))
        self._subject = subject if _MARK in whole.subject else None
        fields = _fields(
            sender,
            topic,
            None if self._subject else whole.subject,
            replies=bool(mail_in),
            stops=True,
            reports=bool(mail_in),
        )
        self._skeleton = Skeleton(fields, text, html, sender.signers)

    def write(
        self,
        to: str,
        message_id: str,
        now: int,
        *,
        why: str,
        stop: str,
        reference: str,
        fields: Mapping[str, str],
        ticket: str = "",
        servers: str = "",
    ) -> bytes:
        """One reader's mail. `why` and `stop`: the tokens of its links; `ticket`, `servers`: as `Returns` has them.

        Raises InvalidInputError as `compose` does.
        """
        stop_url = self._footer.stop_url + stop
        returns = Returns(self._mail_in, ticket, takes_replies=True, servers=servers) if self._mail_in else None
        if self._skeleton is None:
            envelope = Envelope(self._sender, to, message_id, now, self._topic, stop_url, returns)
            return compose(envelope, fill(self._prepared, fields), self._signed_by(why, stop, reference))
        values = [blank.value(fields) for blank in self._prepared.blanks]
        values += (why, stop, reference)
        varying = [_to(to), *_dated(now, message_id), *ways_back(stop_url, returns)]
        if self._subject:
            subject = "".join([values[part.key] if isinstance(part, Gap) else part for part in self._subject])
            varying.insert(1, headers.text_field("Subject", subject))
        octets = [quoted.fit(value, room) for value, room in zip(values, self._rooms, strict=True)]
        return _checked(self._skeleton.write(varying, octets, now // 1_000_000))

    def _signed_by(self, why: str, stop: str, reference: str) -> Footer:
        footer = self._footer
        return replace(
            footer, why_url=footer.why_url + why, stop_url=footer.stop_url + stop, contact_reference=reference
        )

    def _cut(self, words: str) -> list[Part]:
        """`words` in pieces, with a gap at each mark."""
        pieces: list[Part] = list(_MARKED.split(words))
        for at in range(1, len(pieces), 2):
            key = int(str(pieces[at]))
            pieces[at] = Gap(key, self._rooms[key])
        return [piece for piece in pieces if piece != ""]


def dress(content: Filled, sender_name: str, footer: Footer | None = None) -> Filled:
    """`content` with masthead and footer in their places, as its reader will see it."""
    html, text = content.html.replace(MASTHEAD_MARK, masthead(sender_name), 1), content.text
    if footer is not None:
        shown = footer.render()
        before, _, after = html.rpartition(FOOTER_MARK)
        html, text = before + shown.html + after, text.removesuffix("\n") + f"\n\n{shown.text}"
    return Filled(content.subject, content.preheader, html, text)


def message_id(ref: bytes, domain: str) -> str:
    """The Message-ID of a message, the same at every attempt: its ref at the sender's domain."""
    return f"{ref.hex()}@{domain}"


def _fields(
    sender: Sender, topic: TopicList | None, subject: str | None, *, replies: bool, stops: bool, reports: bool
) -> list[bytes | str]:
    """The header in its order, by name where each mail has its own value. `subject`: None where it varies."""
    fields: list[bytes | str] = [
        headers.mailbox_field("From", sender.name, sender.address),
        "To",
        "Subject" if subject is None else headers.text_field("Subject", subject),
        "Date",
        "Message-ID",
    ]
    if replies:
        fields.append("Reply-To")
    if topic is None:
        fields.append(_AUTOMATIC)
    if stops:
        fields += ["List-Unsubscribe", ONE_CLICK]
    if topic is not None:
        fields += _list_fields(topic, sender.address.rpartition("@")[2])
    if stops and reports:
        fields += ["CFBL-Address", "CFBL-Feedback-ID"]
    return fields


def _list_fields(topic: TopicList, domain: str) -> list[bytes]:
    """RFC 2919 §3, and the Feedback-ID Gmail counts complaints by."""
    fields = [headers.list_id_field(topic.name, f"{topic.ref}.{domain}")]
    if topic.feedback:
        fields.append(headers.raw_field("Feedback-ID", f"{topic.feedback}:{topic.ref}:campaign:{domain}"))
    return fields


def _to(address: str) -> bytes:
    return b"To: " + headers.checked_address(address).encode()


def _dated(now: int, message_id: str) -> tuple[bytes, bytes]:
    return headers.date_field(now // 1_000_000), headers.raw_field("Message-ID", f"<{message_id}>")


def ways_back(stop_url: str | None, returns: Returns | None) -> list[bytes]:
    """The varying fields of `_fields` by which a reader, or their provider, comes back, in its order.

    `stop_url`: None where the mail has none. Reports: RFC 9477 §5.1 and §5.2.
    """
    fields = []
    if returns is not None and returns.takes_replies:
        fields.append(f"Reply-To: {_REPLY}+{returns.ticket}@{returns.domain}".encode())
    if stop_url is not None:
        fields.append(_unsubscribe(stop_url, returns))
    if stop_url is not None and returns is not None:
        servers = returns.servers or returns.ticket
        fields.append(f"CFBL-Address: {_REPORT}+{servers}@{returns.domain}; report=arf".encode())
        fields.append(f"CFBL-Feedback-ID: {servers}".encode())
    return fields


def _unsubscribe(stop_url: str, returns: Returns | None) -> bytes:
    """RFC 8058 §3.1: the HTTPS address first, for one click; a mailto (RFC 2369 §3.2) may follow."""
    if not _LINK.fullmatch(stop_url):
        raise InvalidInputError("This mail cannot go out without its unsubscribe address.", "stop_url")
    by_mail = "" if returns is None else f", <mailto:{_STOP}+{returns.ticket}@{returns.domain}>"
    return headers.raw_field("List-Unsubscribe", f"<{stop_url}>{by_mail}")


def _checked(octets: bytes) -> bytes:
    if len(octets) > MOST_OCTETS:
        raise InvalidInputError("This mail is larger than 100 kB; shorten it or use smaller fields.", "body")
    return octets
