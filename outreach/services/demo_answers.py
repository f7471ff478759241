"""The way back, tried out: what a reader of the demo mailbox, or their provider, sends, as real mails by SMTP.

Each goes to the door for mail that comes in, as it would from outside, and is acted on within a second or two.
"""

import smtplib
from collections.abc import Callable
from dataclasses import dataclass
from email import message_from_string
from email.message import EmailMessage, Message
from email.mime.base import MIMEBase
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from email.policy import SMTP
from email.utils import make_msgid, parseaddr

from outreach.domain.errors import ConflictError, InvalidInputError
from outreach.services.context import Context
from outreach.services.demo_mailbox import Letter, read_letter

LONGEST_REPLY = 10_000
_PROVIDER = "demo.mailbox"
_SECONDS = 10.0
_DOORS = {"reply": "Reply-To", "spam": "CFBL-Address", "bounce": "X-Envelope-From"}


@dataclass(frozen=True)
class _Post:
    """A mail and its envelope."""

    mail_from: str
    to: str
    mail: Message


def ways_back(ctx: Context, letter: Letter) -> frozenset[str]:
    """What its reader can do with this letter: "reply", "spam", "bounce"."""
    return frozenset(act for act in _DOORS if _door(ctx, letter, act))


def answer_letter(ctx: Context, key: str, act: str, words: str = "") -> None:
    """Send what its reader, or their provider, would. `act`: see `ways_back`; `words`: of a reply.

    Raises NotFoundError without such a letter or a demo mailbox, InvalidInputError (field "words") for a reply without
    words, ConflictError where the letter has no such way back or the door does not take it.
    """
    letter = read_letter(ctx, key)
    to = _door(ctx, letter, act)
    if not to:
        raise ConflictError("This letter names no address for that.")
    if act == "reply" and not 0 < len(words.strip()) <= LONGEST_REPLY:
        raise InvalidInputError(f"Write 1 to {LONGEST_REPLY:,} characters. Nothing was sent.", "words")
    _send(ctx, _WRITE[act](ctx, letter, to, words))


def _door(ctx: Context, letter: Letter, act: str) -> str:
    """Where such an answer to this letter goes; empty where nowhere."""
    value = _field(letter, _DOORS[act]).partition(";")[0].strip("<> ")
    if act == "reply" and not value:
        value = parseaddr(_field(letter, "From"))[1]  # of somebody connected: their relay address
    return value if value.rpartition("@")[2].lower() == ctx.settings.mail_in.lower() else ""


def _reply(ctx: Context, letter: Letter, to: str, words: str) -> _Post:
    mail = EmailMessage(policy=SMTP)
    mail["Authentication-Results"] = _vouched(ctx, letter.to.rpartition("@")[2])
    mail["From"], mail["To"] = letter.to, to
    mail["Subject"] = letter.subject if letter.subject.lower().startswith("re:") else f"Re: {letter.subject}"
    mail["Message-ID"] = make_msgid(domain=_PROVIDER)
    mail["In-Reply-To"] = _field(letter, "Message-ID")
    quoted = "".join(f"> {line}\n" for line in letter.text.splitlines()[:40])
    mail.set_content(f"{words.strip()}\n\n{quoted}")
    return _Post(letter.to, to, mail)


def _spam(ctx: Context, letter: Letter, to: str, _words: str) -> _Post:
    """A complaint in ARF (RFC 5965), as RFC 9477 §3.5 has it."""
    told = "Feedback-Type: abuse\nUser-Agent: Outreach-demo-mailbox/1\nVersion: 1\n"
    provider = letter.to.rpartition("@")[2]
    mail = _report(ctx, letter, "feedback-report", told, provider)
    mail["From"], mail["To"] = f"Demo mailbox <complaints@{provider}>", to
    mail["Subject"] = f"Complaint: {letter.subject}"
    return _Post(f"complaints@{provider}", to, mail)


def _bounce(ctx: Context, letter: Letter, to: str, _words: str) -> _Post:
    """A delivery report (RFC 3464) that there is no such mailbox, from the null sender (RFC 5321 §4.5.5)."""
    told = (
        f"Reporting-MTA: dns; {_PROVIDER}\n\nFinal-Recipient: rfc822; {letter.to}\nAction: failed\nStatus: 5.1.1\n"
        "Diagnostic-Code: smtp; 550 5.1.1 There is no such mailbox\n"
    )
    mail = _report(ctx, letter, "delivery-status", told)
    mail["From"], mail["To"] = f"Mail Delivery System <MAILER-DAEMON@{_PROVIDER}>", to
    mail["Subject"] = "Undelivered Mail Returned to Sender"
    mail["Auto-Submitted"] = "auto-replied"
    return _Post("", to, mail)


_WRITE: dict[str, Callable[[Context, Letter, str, str], _Post]] = {"reply": _reply, "spam": _spam, "bounce": _bounce}


def _report(ctx: Context, letter: Letter, kind: str, told: str, provider: str = _PROVIDER) -> MIMEMultipart:
    """multipart/report (RFC 6522): in words, for machines, and the header of the mail it is about."""
    mail = MIMEMultipart("report", report_type=kind, policy=SMTP)
    mail["Authentication-Results"] = _vouched(ctx, provider)
    mail["Message-ID"] = make_msgid(domain=_PROVIDER)
    mail.attach(MIMEText("A report about a mail, sent by hand from the demo mailbox.\n", policy=SMTP))
    machine = MIMEBase("message", kind, policy=SMTP)
    machine.set_payload([message_from_string(block + "\n") for block in told.split("\n\n")])
    mail.attach(machine)
    shown = "".join(f"{name}: {value}\n" for name, value in letter.headers if not name.startswith("X-Envelope-"))
    mail.attach(MIMEText(shown, "rfc822-headers", "utf-8", policy=SMTP))
    return mail


def _vouched(ctx: Context, domain: str) -> str:
    """RFC 8601: what a mail server beside us would have found; believed of the demo mailbox alone."""
    name = ctx.settings.inbound_authserv or ctx.settings.mail_in
    return f"{name}; dkim=pass header.d={domain}"


def _send(ctx: Context, post: _Post) -> None:
    settings = ctx.settings
    client = smtplib.LMTP if settings.inbound_protocol == "lmtp" else smtplib.SMTP
    try:
        with client(settings.inbound_host, settings.inbound_port, timeout=_SECONDS) as door:
            door.sendmail(post.mail_from, [post.to], post.mail.as_bytes())
    except smtplib.SMTPRecipientsRefused as error:
        ((code, words),) = error.recipients.values()
        raise ConflictError(f"The door answered: {code} {words.decode('utf-8', 'replace')}") from None
    except smtplib.SMTPResponseException as error:
        said = error.smtp_error.decode("utf-8", "replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
        raise ConflictError(f"The door answered: {error.smtp_code} {said}") from None
    except (OSError, smtplib.SMTPException):
        raise ConflictError("The door for mail that comes in is closed: it is open while the engine runs.") from None


def _field(letter: Letter, name: str) -> str:
    return next((value for one, value in letter.headers if one.lower() == name.lower()), "")
