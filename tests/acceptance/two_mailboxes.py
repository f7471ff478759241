"""Two people's mail servers: one SMTP sink that files a Maildir for each, and mail as their programmes write it."""

import asyncio
import email
import mailbox
import smtplib
from collections.abc import Sequence
from dataclasses import dataclass, field
from email import policy
from email.message import EmailMessage
from email.utils import make_msgid
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

from outreach.mail.receiving import Conversation, Receiver

File = tuple[str, str, bytes]
"""Name, media type and octets."""


class Sink(Receiver):
    """Takes every mail and files it under its recipient's name."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        super().__init__("sink", "127.0.0.1", 0, self._converse)

    def maildir(self, address: str) -> mailbox.Maildir:
        return mailbox.Maildir(self._folder / address.partition("@")[0], create=True)

    def newest(self, address: str) -> EmailMessage:
        """The mail that came last."""
        box = self.maildir(address)
        key = max(box.keys(), key=lambda one: int(box.get_bytes(one).partition(b"\n")[0].rpartition(b" ")[2]))
        return email.message_from_bytes(box.get_bytes(key), policy=policy.default)

    def _converse(self, loop: asyncio.AbstractEventLoop, others: set[Conversation]) -> Conversation:
        return Conversation(self, others, enable_SMTPUTF8=True, hostname="sink.example", loop=loop)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802  aiosmtpd's name
        for address in envelope.rcpt_tos:
            box = self.maildir(address)
            box.add(b"X-Number: %d\r\n" % len(box) + (envelope.original_content or b""))
        return "250 2.0.0 Filed"


@dataclass
class Writer:
    """One of the two. `signature` stands below everything they write; `quotes` is how their programme quotes."""

    name: str
    address: str
    to: str
    signature: str
    quotes: str
    sent: list[EmailMessage] = field(default_factory=list)

    def write(
        self, text: str, answered: EmailMessage | None, files: Sequence[tuple[str, str, bytes]] = ()
    ) -> EmailMessage:
        """A mail as their programme makes it, with an HTML part that says the same."""
        mail = EmailMessage()
        mail["From"], mail["To"] = f"{self.name} <{self.address}>", self.to
        mail["Subject"] = "Frön & zaden" if answered is None else f"Re: {answered['Subject']}"
        mail["Message-ID"] = make_msgid(domain=self.address.rpartition("@")[2])
        mail["Reply-To"] = self.address
        mail["X-Originating-Email"] = self.address
        if answered is not None:
            mail["In-Reply-To"] = answered["Message-ID"]
            mail["References"] = " ".join(filter(None, [answered["References"], answered["Message-ID"]]))
        body = f"{text}\n\n{self.signature}\n{'' if answered is None else self._quoted(answered)}"
        mail.set_content(body, cte="quoted-printable")
        lines = body.replace("&", "&amp;").replace("<", "&lt;").replace("\n", "<br>\n")
        page = f'<div dir="auto">{lines}<a href="mailto:{self.address}">{self.name}</a><img src="https://t.example/1"></div>'
        mail.add_alternative(page, subtype="html", cte="base64")
        for name, kind, octets in files:
            maintype, _, subtype = kind.partition("/")
            mail.add_attachment(octets, maintype=maintype, subtype=subtype, filename=name)
        self.sent.append(mail)
        return mail

    def send(self, mail: EmailMessage, port: int) -> None:
        """Through their provider, which vouches for them, to the listener."""
        domain = self.address.rpartition("@")[2]
        told = f"Authentication-Results: in.localhost; dkim=pass header.d={domain}\r\n".encode()
        with smtplib.SMTP("127.0.0.1", port) as client:
            client.sendmail(self.address, [self.to], told + mail.as_bytes(policy=policy.SMTP))

    def _quoted(self, answered: EmailMessage) -> str:
        part = answered.get_body(("plain",))
        old = "" if part is None else str(part.get_content())
        told = self.quotes.format(
            sender=answered["From"], me=f"{self.name} <{self.address}>", subject=answered["Subject"]
        )
        mark = "> " if told.startswith("\n") else ""
        return told + "".join(f"{mark}{line}\n" for line in old.splitlines())
