"""Hands mail to a relay: a pool of pipelined connections on an event loop of its own, kept open between batches."""

import asyncio
import logging
import ssl
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from outreach.config import Relay
from outreach.mail.smtp_connection import Connection, Timeouts
from outreach.mail.smtp_wire import RelayError, Wire
from outreach.mail.transport import Journal, Outcome, Parcel, Result, Stop

WINDOW_SECONDS = 2.0  # a decision older than this is decided again (promise 3)
_BARREN = 3  # fresh connections in a row, lost before a mail was taken, after which a lane gives up

_FAREWELL_SECONDS = 1.0

_log = logging.getLogger(__name__)


@dataclass
class _Batch:
    waiting: deque[Parcel]
    journal: Journal
    stop: Stop | None
    outcomes: list[Outcome] = field(default_factory=list)
    refusal: RelayError | None = None
    journal_failed: bool = False


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
        self._tls = _tls(relay)
        self._guard = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._wires: set[Wire] = set()
        self._idle: list[tuple[Connection, asyncio.TimerHandle]] = []
        self._free = asyncio.Semaphore(0)

    def hand_off(self, parcels: Sequence[Parcel], journal: Journal, stop: Stop | None = None) -> list[Outcome]:
        """One outcome for each parcel. A parcel whose MAIL FROM cannot be written within the window is put back."""
        if not parcels:
            return []
        batch = _Batch(deque(parcels), journal, stop)
        return asyncio.run_coroutine_threadsafe(self._deliver(batch), self._running()).result()

    def close(self) -> None:
        """Say good-bye on every connection and end the loop's thread."""
        with self._guard:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is None or thread is None:
            return
        asyncio.run_coroutine_threadsafe(self._close_idle(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._guard:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._free = asyncio.Semaphore(self._relay.connections)
                self._thread = threading.Thread(target=self._loop.run_forever, name="smtp", daemon=True)
                self._thread.start()
            return self._loop

    async def _deliver(self, batch: _Batch) -> list[Outcome]:
        lanes = min(self._relay.connections, len(batch.waiting))
        await asyncio.gather(*(self._lane(batch) for _ in range(lanes)))
        for parcel in batch.waiting:
            if batch.refusal is None or batch.journal_failed:
                batch.outcomes.append(_put_back(parcel))
            else:
                batch.outcomes.append(
                    Outcome(parcel.message_id, Result.DEFERRED, batch.refusal.code, reply=str(batch.refusal))
                )
        return batch.outcomes

    async def _lane(self, batch: _Batch) -> None:
        """Take parcels one by one over one connection, a new one when it ends."""
        async with self._free:
            connection: Connection | None = None
            barren = 0
            try:
                while batch.waiting and not batch.journal_failed and barren < _BARREN:
                    if connection is None or connection.closed:
                        connection = await self._connection()
                    await self._next(batch, connection)
                    barren = barren + 1 if connection.is_barren else 0
            except RelayError as error:
                batch.refusal = error
            except BaseException:
                if connection is not None:
                    connection.abort()
                raise
            finally:
                if connection is not None:
                    self._keep(connection)

    async def _next(self, batch: _Batch, connection: Connection) -> None:
        if not batch.waiting:  # another lane took the last one while this one connected
            return
        parcel = batch.waiting.popleft()
        if time.monotonic() - parcel.decided > self._window or (batch.stop and batch.stop(parcel.message_id)):
            batch.outcomes.append(_put_back(parcel))
            return
        noted = _Noted(batch.journal)
        try:
            outcome = await connection.deliver(parcel, noted)
        except OSError:
            _log.exception("the journal could not be written; handing off stops")
            connection.abort()
            batch.journal_failed = True
            outcome = noted.outcome(parcel)
        if outcome is None:
            connection.abort()
            batch.waiting.appendleft(parcel)
            return
        batch.outcomes.append(outcome)
        if connection.is_barren:
            batch.refusal = RelayError(outcome.reply, outcome.code)
            if outcome.code == 421:
                raise batch.refusal

    async def _connection(self) -> Connection:
        while self._idle:
            connection, timer = self._idle.pop()
            timer.cancel()
            await asyncio.sleep(0)  # lets an end that already arrived be seen
            if not connection.closed:
                connection.is_reused, connection.taken = True, 0
                return connection
        return await Connection.open(self._relay, self._hello, self._timeouts, self._tls, self._wires)

    def _keep(self, connection: Connection) -> None:
        if not connection.closed:
            timer = asyncio.get_running_loop().call_later(self._timeouts.idle, self._expire, connection)
            self._idle.append((connection, timer))

    def _expire(self, connection: Connection) -> None:
        self._idle = [entry for entry in self._idle if entry[0] is not connection]
        connection.quit()

    async def _close_idle(self) -> None:
        for connection, timer in self._idle:
            timer.cancel()
            connection.quit()
        self._idle.clear()
        for _ in range(2):
            if self._wires:
                await asyncio.wait([wire.ended for wire in self._wires], timeout=_FAREWELL_SECONDS)
            for wire in list(self._wires):
                wire.abort()


class _Noted:
    """The caller's journal, remembering how far one parcel came should the journal itself fail."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._code: int | None = None
        self._text = ""

    def begun(self, message_id: int) -> None:
        self._journal.begun(message_id)

    def dotted(self, message_id: int) -> None:
        self._journal.dotted(message_id)

    def replied(self, message_id: int, code: int, text: str) -> None:
        self._code, self._text = code, text
        self._journal.replied(message_id, code, text)

    def outcome(self, parcel: Parcel) -> Outcome:
        """What is true of a parcel whose journal failed: the relay's answer if it came, else that nothing went out."""
        if self._code is not None:
            good = 200 <= self._code < 300
            result = Result.SENT if good else Result.FAILED if self._code >= 500 else Result.DEFERRED
            return Outcome(parcel.message_id, result, self._code, reply=self._text)
        return _put_back(parcel)


def _put_back(parcel: Parcel) -> Outcome:
    return Outcome(parcel.message_id, Result.PUT_BACK)


def _tls(relay: Relay) -> ssl.SSLContext | None:
    if relay.security == "none":
        return None
    context = ssl.create_default_context(cafile=relay.ca_file or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not relay.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
