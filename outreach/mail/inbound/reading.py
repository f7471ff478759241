"""Reads any mail that came in: its kind, what it is about, what a person wrote in it. Pure, bounded, never raises.

The order matters, and goes from what is surest to what is left: complaint, report on delivery by RFC 3464, receipt,
bounce in a mail system's own words, wish to stop, challenge, automatic answer; a person's reply is the rest. A person
may quote or pass on any of the former: a report counts only where it is the mail itself, and words only from a mail
system.
"""

import re
from dataclasses import dataclass
from functools import cached_property

from outreach.domain import addresses
from outreach.domain.inbound_addresses import Door
from outreach.mail.inbound import automatic, bodies, delivery, feedback, mime, notices, old_bounces, quotes, stopping
from outreach.mail.inbound.fields import Fields
from outreach.mail.inbound.incoming import Incoming, Kind
from outreach.mail.inbound.mime import Part
from outreach.mail.inbound.traces import Traces

_TICKET = re.compile(r"(?<!\w)[0-9a-f]{56}(?!\w)", re.IGNORECASE)
_HALF = re.compile(r"@[\w-]+(?:\.[\w-]+)+")  # what masking leaves of a@b@c
_SHORTEST_LOCAL = 3
_MOST_RAW, _MOST_SHOWN = 1500, 500
_MOST_SUBJECT = 500
_A_MAIL_HAS = (
    "from",
    "to",
    "subject",
    "date",
    "message-id",
    "received",
    "return-path",
    "content-type",
    "mime-version",
    "reply-to",
)


def read(octets: bytes, *, door: str, now: int, mail_from: str | None = None) -> Incoming:
    """What `octets`, a whole mail as it was taken in, turn out to be. `door`: a Door's value, or anything else.

    `now`: UTC microseconds; a date after it is not believed. `mail_from`: the envelope's sender; an empty one says that
    a machine wrote (RFC 5321 §4.5.5). None where it is not known, then a Return-Path field counts. Never raises: what
    cannot be understood is UNREADABLE.
    """
    try:
        return understand(octets, door=door, now=now, mail_from=mail_from)
    except Exception:  # whatever a stranger sends, the intake goes on
        return Incoming(kind=Kind.UNREADABLE, is_automatic=True)


def understand(octets: bytes, *, door: str, now: int, mail_from: str | None = None) -> Incoming:
    """The same without the net below it."""
    mail = mime.parse(octets)
    letter = _Letter(mail, door, now)
    if not any(name in mail.fields for name in _A_MAIL_HAS):
        return letter.is_a(Kind.UNREADABLE)
    if mail_from is not None:
        mail.fields = mail.fields.below("return-path", f"<{mail_from}>")
    return _complaint(letter) or _report(letter) or _own_words(letter) or _written(letter)


@dataclass
class _Letter:
    mail: Part
    door: str
    now: int

    @property
    def header(self) -> Fields:
        return self.mail.fields

    @cached_property
    def subject(self) -> str:
        return self.header.words("subject")[:_MOST_SUBJECT]

    @cached_property
    def words(self) -> str:
        return bodies.words(self.mail)

    @cached_property
    def own_and_quoted(self) -> tuple[str, str]:
        return quotes.cut(self.words)

    def is_a(
        self,
        kind: Kind,
        *,
        told: delivery.Told | feedback.Told | None = None,
        traces: Traces | None = None,
        recipients: tuple[str, ...] = (),
        is_automatic: bool = True,
        shows: bool = False,
    ) -> Incoming:
        """The answer. `shows`: what a person or their program wrote belongs to it."""
        traces = traces or Traces()
        names = told.names if isinstance(told, delivery.Told) else ()
        date = self.header.date()
        own, quoted = self.own_and_quoted if shows else ("", "")
        return Incoming(
            kind=kind,
            status=told.status if isinstance(told, delivery.Told) else "",
            diagnostic=_scrubbed(told.diagnostic, (*names, *_readers(self.mail))) if told else "",
            reporting=told.reporting if told else "",
            tickets=tuple(traces.tickets),
            message_ids=tuple(traces.message_ids),
            recipients=recipients,
            subject=self.subject,
            text=own,
            quoted=quoted,
            is_automatic=is_automatic,
            attachments=bodies.attachments(self.mail) if kind is Kind.REPLY else (),
            from_address=self.header.address("from") or self.header.address("sender"),
            date=min(date, self.now) if date is not None else None,
        )


def _complaint(letter: _Letter) -> Incoming | None:
    traces = Traces()
    told = feedback.judge(letter.mail, at_report_door=letter.door == Door.REPORT, traces=traces)
    return letter.is_a(told.kind, told=told, traces=traces) if told else None


def _report(letter: _Letter) -> Incoming | None:
    """A report on delivery (RFC 3464), or on what became of a mail on a screen (RFC 8098)."""
    traces = Traces()
    groups = delivery.find(letter.mail)
    if groups and not _passed_on(letter):
        traces.of_answer(letter.header)
        told = delivery.judge(groups, notices.split(letter.words)[0], delivery.originals(letter.mail), traces)
        return letter.is_a(told.kind, told=told, traces=traces, recipients=told.names)
    if automatic.is_receipt(letter.mail):
        return letter.is_a(Kind.AUTO_REPLY, traces=traces)
    return None


def _passed_on(letter: _Letter) -> bool:
    """Whether a person put a report into a mail of their own."""
    if letter.mail.media_type == "multipart/report":
        return False
    is_machine = automatic.says_so(letter.header) or automatic.is_daemon(letter.header)
    return not is_machine and automatic.ANSWER_PREFIX.match(letter.subject) is not None


def _own_words(letter: _Letter) -> Incoming | None:
    """A mail system's bounce in its own words, or in a report that lost its MIME structure."""
    notice, copy = notices.split(letter.words)
    given_back = delivery.originals(letter.mail)
    told = old_bounces.judge(letter.header, letter.subject, letter.words, gives_back=bool(given_back))
    if told is None:
        return None
    traces = Traces()
    groups = delivery.find_in_text(letter.words)
    recipients: tuple[str, ...] = ()
    if any("action" in one or "status" in one for one in groups):
        told = delivery.judge(groups, notice, given_back, traces)
        recipients = told.names
    for header in given_back:
        traces.of_original(header)
    traces.of_text(copy or letter.words)
    traces.of_answer(letter.header)
    return letter.is_a(told.kind, told=told, traces=traces, recipients=recipients)


def _written(letter: _Letter) -> Incoming:
    """What is left: written by a person, or in a person's name."""
    header, subject = letter.header, letter.subject
    traces = Traces()
    traces.of_answer(header)
    machine = automatic.says_so(header)
    own, quoted = letter.own_and_quoted
    if automatic.is_challenge(header, subject, letter.words):
        return letter.is_a(Kind.CHALLENGE, traces=traces, shows=True)
    away = automatic.is_away(subject) and not automatic.ANSWER_PREFIX.match(subject)
    bare = re.sub(automatic.ANSWER_PREFIX, "", subject, count=1)
    if letter.door == Door.STOP and not (away and not stopping.asks_to_stop(bare, own)):
        return letter.is_a(Kind.UNSUBSCRIBE, traces=traces, is_automatic=machine, shows=True)
    if machine or away:
        if automatic.is_daemon(header):
            return letter.is_a(Kind.UNREADABLE, traces=traces, shows=True)
        return letter.is_a(Kind.AUTO_REPLY, traces=traces, shows=True)
    if stopping.asks_to_stop(bare, own):
        return letter.is_a(Kind.UNSUBSCRIBE, traces=traces, is_automatic=False, shows=True)
    if not (own or quoted or subject.strip() or bodies.attachments(letter.mail)):
        return letter.is_a(Kind.UNREADABLE, traces=traces)
    return letter.is_a(Kind.REPLY, traces=traces, is_automatic=False, shows=True)


def _readers(mail: Part) -> tuple[str, ...]:
    """Whom the mails that came back were written to."""
    return tuple(one for header in delivery.originals(mail)[:3] if (one := header.address("to").lower()))


def _scrubbed(text: str, names: tuple[str, ...]) -> str:
    """One line of at most 500 characters; tickets, local parts of `names` where they stand alone, addresses masked."""
    line = " ".join(re.sub(r"[\x00-\x1f\x7f-\x9f]+", " ", text[: 2 * _MOST_RAW]).split())
    line = _TICKET.sub(addresses.DOT, _cut(line, _MOST_RAW))
    for name in names[:10]:
        local = name.partition("@")[0]
        if len(local) >= _SHORTEST_LOCAL:
            line = re.sub(rf"(?<![\w.]){re.escape(local)}(?![\w.]*@)(?!\w)", addresses.DOT, line, flags=re.IGNORECASE)
    return _cut(_HALF.sub(f"@{addresses.DOT}", addresses.scrub(line)), _MOST_SHOWN)


def _cut(line: str, most: int) -> str:
    """At a space, so that no address loses the half by which it is known."""
    return line if len(line) <= most else line[:most].rpartition(" ")[0]
