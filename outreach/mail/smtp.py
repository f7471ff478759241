"""Hands mail to one relay over kept, pipelined connections, on an event loop of its own."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from outreach.config import Relay
from outreach.mail.smtp_batch import Batch, Flight
from outreach.mail.smtp_opening import Timeouts
from outreach.mail.smtp_pool import WINDOW_SECONDS, Pool
from outreach.mail.transport import Journal, Outcome, Parcel, Stop

try:
    import uvloop
except ImportError:  # without it the same, in more time
    new_event_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
else:
    new_event_loop = uvloop.new_event_loop

_T = TypeVar("_T")


class LoopThread:
    """An event loop that runs in a thread of its own until it is ended.

    An exception nobody foresaw in it is raised in every call that waits, so that none waits for ever.
    """

    def __init__(self) -> None:
        self.loop = new_event_loop()
        self.loop.set_exception_handler(self._unforeseen)
        self._waiting: set[Batch] = set()
        self._thread = threading.Thread(target=self.loop.run_forever, name="smtp", daemon=True)
        self._thread.start()

    def carry(self, batch: Batch, add: Callable[[Sequence[Flight]], None]) -> list[Outcome]:
        """Hand the batch's messages to `add` in the loop's thread, and wait for their outcomes."""
        self._waiting.add(batch)
        try:
            self.loop.call_soon_threadsafe(add, batch.flights)
            return batch.wait()
        finally:
            self._waiting.discard(batch)

    def call(self, make: Callable[[], Awaitable[_T]]) -> _T:
        """What the coroutine that `make` makes there gives."""

        async def run() -> _T:
            return await make()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result()

    def end(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    def _unforeseen(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if error is not None and not isinstance(error, OSError):  # those are a connection's, which ends by itself
            for batch in list(self._waiting):
                batch.crash(error)


class SmtpTransport:
    """One relay. Safe to call from several threads; no call outlives its batch, idle connections close by themselves.

    `hello`: the name we greet with. `window`: seconds a decision stays good.
    """

    def __init__(
        self, relay: Relay, hello: str, *, timeouts: Timeouts | None = None, window: float = WINDOW_SECONDS
    ) -> None:
        self._relay = relay
        self._hello = hello
        self._timeouts = timeouts or Timeouts()
        self._window = window
        self._guard = threading.Lock()
        self._running: tuple[LoopThread, Pool] | None = None

    def hand_off(self, parcels: Sequence[Parcel], journal: Journal, stop: Stop | None = None) -> list[Outcome]:
        """One outcome for each parcel. A parcel whose MAIL FROM cannot be written within the window is put back."""
        if not parcels:
            return []
        batch = Batch(parcels, journal, stop)
        with self._guard:
            if self._running is None:
                thread = LoopThread()
                self._running = thread, thread.call(self._pool)
            thread, pool = self._running
        return thread.carry(batch, pool.add)

    def close(self) -> None:
        """Say good-bye on every connection and end the loop's thread."""
        with self._guard:
            running, self._running = self._running, None
        if running is not None:
            thread, pool = running
            thread.call(pool.close)
            thread.end()

    async def _pool(self) -> Pool:
        return Pool("", self._relay, self._hello, self._timeouts, self._window)
