"""The demo mailbox: a real SMTP server on this machine that keeps every letter in a Maildir and sends none on.

It stands in for a relay until one is configured, so that a new installation can be tried whole.
"""

import asyncio
import logging
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from aiosmtpd.smtp import SMTP, Envelope, Session

from outreach.config import Settings
from outreach.domain.errors import SettingsError
from outreach.mail import maildir

HOST = "127.0.0.1"
_MOST_OCTETS = 10_000_000
_MAILS_A_CONNECTION = 1_000_000_000
_T = TypeVar("_T")


class DemoServer:
    """Listens on this machine only, at the port the settings name, from `start` to `stop`."""

    def __init__(self, settings: Settings) -> None:
        if settings.demo_mailbox is None:
            raise SettingsError("relays: the demo mailbox is off while a relay is configured")
        self._folder = settings.demo_mailbox
        self._port = settings.demo_smtp_port
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="demo-mailbox", daemon=True)
        self._server: asyncio.Server | None = None
        self._open: set[_Conversation] = set()

    def start(self) -> None:
        """Raises OSError when the port is taken."""
        logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd logs addresses; ours holds none
        maildir.prepare(self._folder)
        self._thread.start()
        try:
            self._server = self._ask(self._listen())
        except OSError:
            self.stop()
            raise

    def stop(self) -> None:
        """End every conversation and give the port back."""
        self._ask(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _ask(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _listen(self) -> asyncio.Server:
        keeper = _Keeper(self._folder)
        return await self._loop.create_server(
            lambda: _Conversation(keeper, self._open, self._loop), HOST, self._port, backlog=512
        )

    async def _end(self) -> None:
        if self._server is not None:
            self._server.close()
        for conversation in list(self._open):
            conversation.end()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)


class _Keeper:
    """What aiosmtpd asks when a letter has arrived."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802  aiosmtpd's name
        content = envelope.original_content or b""
        maildir.keep(self._folder, envelope.mail_from or "", envelope.rcpt_tos, content)
        return "250 2.0.0 Kept in the demo mailbox"


class _Conversation(SMTP):
    """aiosmtpd's server for one client, without a limit on the letters one connection may bring."""

    def __init__(self, keeper: _Keeper, others: "set[_Conversation]", loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            keeper,
            data_size_limit=_MOST_OCTETS,
            enable_SMTPUTF8=True,
            hostname="demo.mailbox",
            ident="Outreach demo mailbox",
            command_call_limit=_MAILS_A_CONNECTION,
            loop=loop,
        )
        self._others = others

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._others.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._others.discard(self)
        super().connection_lost(error)

    def end(self) -> None:
        if self.transport is not None:
            self.transport.close()
