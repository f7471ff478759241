"""The event loop on which our SMTP client lives, in a thread of its own (uvloop's where it is installed).

A conversation is a state machine called back from here (`smtp_connection`), opened by a task (`smtp_opening`) and fed
from its relay's pool (`smtp_pool`): no task, future or timer for a message.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

from outreach.mail.smtp_batch import Batch, Flight
from outreach.mail.transport import Outcome

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
        """Stop. A call that came too late to be carried raises RuntimeError, and nothing of it was begun."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()
        for batch in list(self._waiting):
            batch.crash(RuntimeError("the router was closed"))

    def _unforeseen(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if error is not None and not isinstance(error, OSError):  # those are a connection's, which ends by itself
            for batch in list(self._waiting):
                batch.crash(error)
