"""Taking mail by SMTP (RFC 5321) or LMTP (RFC 2033): aiosmtpd on a thread of its own. Others say what becomes."""

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from aiosmtpd.smtp import SMTP, syntax

_T = TypeVar("_T")


class Conversation(SMTP):
    """aiosmtpd's server for one client. `others`: all that are open, this one among them while it is."""

    def __init__(self, handler: object, others: "set[Conversation]", **options: Any) -> None:
        super().__init__(handler, **options)
        self._others = others

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._others.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._others.discard(self)
        super().connection_lost(error)

    def end(self) -> None:
        """Hang up; under TLS without waiting for the client's last word."""
        if self.transport is not None:
            self.transport.close()
        if self._original_transport is not None:
            self._original_transport.close()

    @property
    def is_under_tls(self) -> bool:
        return self.session is not None and self.session.ssl is not None

    @syntax("STARTTLS", when="tls_context")
    async def smtp_STARTTLS(self, arg: str) -> None:  # noqa: N802  aiosmtpd's
        """RFC 3207 §4, once. aiosmtpd forgets what was said before, and what came behind the command in clear."""
        if self.is_under_tls:
            await self.push("503 5.5.1 This is under TLS already")
            return
        await super().smtp_STARTTLS(arg)


Answer = Callable[[asyncio.AbstractEventLoop, set[Conversation]], Conversation]
"""Makes what talks to one client, on this loop, beside these others."""


class Receiver:
    """Listens at one address from `start` to `stop`. `answer` is asked for each client; `port` 0 takes a free one."""

    def __init__(self, name: str, host: str, port: int, answer: Answer) -> None:
        self._host, self._port, self._answer = host, port, answer
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=name, daemon=True)
        self._server: asyncio.Server | None = None
        self._open: set[Conversation] = set()

    @property
    def port(self) -> int:
        """The port that is listened at."""
        return int(self._server.sockets[0].getsockname()[1]) if self._server is not None else self._port

    def start(self) -> None:
        """Raises OSError when the port is taken."""
        logging.getLogger("mail.log").setLevel(logging.CRITICAL)  # aiosmtpd logs addresses; ours holds none
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
        return await self._loop.create_server(
            lambda: self._answer(self._loop, self._open), self._host, self._port, backlog=512
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
