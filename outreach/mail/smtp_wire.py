"""Octets out, replies in: the line to a relay, in clear or under TLS, and the two ways it can fail us."""

import asyncio
import ssl
from collections.abc import Sequence

from outreach.mail.replies import Reply, ReplyError, ReplyReader


class RelayError(Exception):
    """This relay cannot be used now. `code`: what it answered, None if it did not."""

    def __init__(self, text: str, code: int | None = None) -> None:
        super().__init__(text)
        self.code = code


class LostError(Exception):
    """The connection ended, stalled or spoke nonsense. `replies`: what had arrived of those awaited."""

    def __init__(self, text: str, replies: Sequence[Reply]) -> None:
        super().__init__(text)
        self.replies = list(replies)


class Wire(asyncio.Protocol):
    """Octets out, replies in. One reader at a time. It stands in `others` from its first instant to its last."""

    def __init__(self, others: "set[Wire]") -> None:
        self._others = others
        self.closed = False
        self.trouble = "The connection to the relay was lost."
        self._transport: asyncio.Transport | None = None
        self._reader = ReplyReader()
        self._replies: list[Reply] = []
        self._wanted = 1  # the greeting may come before anybody waits for it
        self._waiter: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a stream's is always a Transport
        self._others.add(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._replies += self._reader.feed(data)
        except ReplyError as error:
            self.abort(f"The relay did not speak SMTP: {error}.")
            return
        if not self._wanted and self._replies:
            self.abort("The relay ended the connection.")  # 421 while idle: nothing else is unasked for
        elif len(self._replies) >= self._wanted:
            self._wake(self._waiter)

    def connection_lost(self, _exc: Exception | None) -> None:
        self.closed = True
        self._others.discard(self)
        self._wake(self.ended)
        self._wake(self._waiter)
        self._wake(self._writable)

    def pause_writing(self) -> None:
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        self._wake(self._writable)
        self._writable = None

    def write(self, octets: bytes) -> None:
        if self._transport is not None and not self.closed:
            self._transport.write(octets)

    async def drain(self, seconds: float) -> None:
        """Wait until the kernel has taken what was written. Raises LostError."""
        if self._writable is not None and not self.closed:
            self._wanted = 1  # a relay may answer before it has read everything
            try:
                await asyncio.wait_for(asyncio.shield(self._writable), seconds)
            except TimeoutError:
                self.abort("The relay stopped taking data.")
        if self.closed:
            raise LostError(self.trouble, [])

    async def replies(self, count: int, seconds: float) -> list[Reply]:
        """The next `count` replies. Raises LostError when they do not come; the connection is then closed."""
        if len(self._replies) < count and not self.closed:
            self._wanted = count
            self._waiter = self._loop.create_future()
            timer = self._loop.call_later(seconds, self.abort, "The relay did not answer in time.")
            try:
                await self._waiter
            finally:
                timer.cancel()
                self._wanted, self._waiter = 0, None
        taken, self._replies = self._replies[:count], self._replies[count:]
        if len(taken) < count:
            raise LostError(self.trouble, taken)
        return taken

    async def start_tls(self, context: ssl.SSLContext, host: str, seconds: float) -> None:
        """Go on under TLS. Whatever was sent ahead in clear is refused (CVE-2011-0411)."""
        if self._replies or not self._reader.is_empty or self._transport is None:
            raise RelayError("The relay sent more than its answer before TLS began.")
        async with asyncio.timeout(seconds):
            transport = await self._loop.start_tls(self._transport, self, context, server_hostname=host)
        if transport is None:
            raise RelayError("The relay ended the connection while TLS began.")
        self._transport = transport

    def abort(self, why: str = "") -> None:
        self.trouble = why or self.trouble
        self.closed = True
        if self._transport is not None:
            self._transport.abort()
        self._wake(self._waiter)
        self._wake(self._writable)

    def close(self) -> None:
        if self._transport is not None and not self.closed:
            self.closed = True
            self._transport.close()

    @staticmethod
    def _wake(waiter: asyncio.Future[None] | None) -> None:
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
