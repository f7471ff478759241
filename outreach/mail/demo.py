"""The demo mailbox: a real SMTP server on this machine that keeps every letter in a Maildir and sends none on.

It stands in for a relay until one is configured, so that a new installation can be tried whole.
"""

import asyncio
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

from outreach.config import Settings
from outreach.domain.errors import SettingsError
from outreach.mail import maildir
from outreach.mail.receiving import Conversation, Receiver

HOST = "127.0.0.1"
_MOST_OCTETS = 10_000_000
_MAILS_A_CONNECTION = 1_000_000_000


class DemoServer(Receiver):
    """Listens on this machine only, at the port the settings name, from `start` to `stop`."""

    def __init__(self, settings: Settings) -> None:
        if settings.demo_mailbox is None:
            raise SettingsError("relays: the demo mailbox is off while a relay is configured")
        self._folder = settings.demo_mailbox
        super().__init__("demo-mailbox", HOST, settings.demo_smtp_port, self._converse)

    def start(self) -> None:
        """Raises OSError when the port is taken."""
        maildir.prepare(self._folder)
        super().start()

    def _converse(self, loop: asyncio.AbstractEventLoop, others: set[Conversation]) -> Conversation:
        return Conversation(
            _Keeper(self._folder),
            others,
            data_size_limit=_MOST_OCTETS,
            enable_SMTPUTF8=True,
            hostname="demo.mailbox",
            ident="Outreach demo mailbox",
            command_call_limit=_MAILS_A_CONNECTION,
            loop=loop,
        )


class _Keeper:
    """What aiosmtpd asks when a letter has arrived."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802  aiosmtpd's name
        content = envelope.original_content or b""
        maildir.keep(self._folder, envelope.mail_from or "", envelope.rcpt_tos, content)
        return "250 2.0.0 Kept in the demo mailbox"
