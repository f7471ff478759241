"""Octets out, replies in: the line to a relay, in clear or under TLS, and who hears what comes back on it."""

import asyncio
import ssl
from collections.abc import Sequence
from typing import Protocol

from outreach.mail.replies import Reply, ReplyReader


class RelayError(Exception):
    """This relay cannot be used now. `code`: what it answered, None if it did not."""

    def __init__(self, text: str, code: int | None = None) -> None:
        super().__init__(text)
        self.code = code


class LostError(Exception):
    """The connection ended, stalled or spoke nonsense while a reply was awaited."""


class Listener(Protocol):
    """Who is told what happens on a wire, in its loop's thread, each thing as it happens."""

    def heard(self, replies: Sequence[Reply]) -> None:
        """Replies came, at least one."""

    def writable(self) -> None:
        """The kernel has taken what had piled up."""

    def lost(self) -> None:
        """The wire is closed, by either side; said once."""


class Wire(asyncio.Protocol):
    """One connection. It stands in `others` from its first instant to its last.

    While it has no `listener` (greeting, TLS, sign-in), replies are awaited one by one.
    """

    def __init__(self, others: "set[Wire]") -> None:
        self._others = others
        self.closed = False
        self.is_paused = False
        self.trouble = "The connection to the relay was lost."
        self.listener: Listener | None = None
        self._transport: asyncio.Transport | None = None
        self._reader = ReplyReader()
        self._early: list[Reply] = []
        self._waiter: asyncio.Future[None] | None = None
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self._loop.create_future()

    @property
    def has_unread(self) -> bool:
        """Whether the relay said something nobody has asked for yet."""
        return bool(self._early) or not self._reader.is_empty

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a stream's is always a Transport
        self._others.add(self)

    def data_received(self, data: bytes) -> None:
        if self.closed:
            return
        replies = self._reader.feed(data)
        if self.listener is None:
            self._early += replies
        elif replies:
            self.listener.heard(replies)
        if self._reader.fault and not self.closed:
            self.abort(f"The relay did not speak SMTP: {self._reader.fault}.")
        elif self._early:
            self._wake()

    def connection_lost(self, _exc: Exception | None) -> None:
        self._others.discard(self)
        if not self.ended.done():
            self.ended.set_result(None)
        if not self.closed:
            self.closed = True
            self._tell()

    def pause_writing(self) -> None:
        self.is_paused = True

    def resume_writing(self) -> None:
        self.is_paused = False
        if self.listener is not None and not self.closed:
            self.listener.writable()

    def write(self, octets: bytes) -> None:
        if self._transport is not None and not self.closed:
            self._transport.write(octets)

    async def reply(self, seconds: float) -> Reply:
        """The next reply. Raises LostError when it does not come; the connection is then closed."""
        if not self._early and not self.closed:
            self._waiter = self._loop.create_future()
            timer = self._loop.call_later(seconds, self.abort, "The relay did not answer in time.")
            try:
                await self._waiter
            finally:
                timer.cancel()
                self._waiter = None
        if not self._early:
            raise LostError(self.trouble)
        return self._early.pop(0)

    async def start_tls(self, context: ssl.SSLContext, host: str, seconds: float) -> None:
        """Go on under TLS. Whatever was sent ahead in clear is refused (CVE-2011-0411)."""
        if self.has_unread or self._transport is None:
            raise RelayError("The relay sent more than its answer before TLS began.")
        async with asyncio.timeout(seconds):
            transport = await self._loop.start_tls(self._transport, self, context, server_hostname=host)
        if transport is None:
            raise RelayError("The relay ended the connection while TLS began.")
        self._transport = transport

    def abort(self, why: str = "") -> None:
        """End it at once. The listener hears of it before this returns."""
        if self.closed:
            return
        self.trouble = why or self.trouble
        self.closed = True
        if self._transport is not None:
            self._transport.abort()
        self._tell()

    def close(self) -> None:
        """End it once what was written is out. Nobody is told: it is the listener who closes."""
        if self._transport is not None and not self.closed:
            self.closed = True
            self._transport.close()

    def drop(self) -> None:
        """End it for good, whatever is still to be written."""
        self.closed = True
        if self._transport is not None:
            self._transport.abort()

    def _tell(self) -> None:
        if self.listener is not None:
            self.listener.lost()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
