"""All conversations with one relay: opened as messages wait, kept between batches, given up when it is no use.

Everything here happens in one event loop's thread.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import cast

from outreach.hosts import Relay
from outreach.mail.smtp_batch import Flight, deferred, elsewhere, put_back
from outreach.mail.smtp_connection import Connection, Terms
from outreach.mail.smtp_health import BARREN, Health
from outreach.mail.smtp_opening import Opening, Timeouts, tls_context
from outreach.mail.smtp_queue import Queue
from outreach.mail.smtp_wire import RelayError, Wire
from outreach.mail.transport import Outcome

WINDOW_SECONDS = 2.0  # a decision older than this is decided again (promise 3)

_FAREWELL_SECONDS = 1.0
_CROWDED_SECONDS = 60.0


class Pool:
    """The conversations with `relay`. Meets `smtp_connection.Supply` and `relays.Carrier`.

    `hello`: the name we greet with. `window`: seconds a decision stays good.
    """

    def __init__(self, name: str, relay: Relay, hello: str, timeouts: Timeouts, window: float) -> None:
        self.name = name
        self._connections = relay.connections
        self._opening = Opening(relay, hello, timeouts, tls_context(relay))
        self._terms = Terms(name, timeouts, relay.message_cap, relay.dsn)
        self._window = window
        self._loop = asyncio.get_running_loop()
        self._waiting = Queue(relay.connections_per_provider, self._busy)
        self._health = Health()
        self._wires: set[Wire] = set()
        self._open: set[Connection] = set()
        self._idle: list[Connection] = []
        self._attempts: set[asyncio.Task[None]] = set()
        self._barren = 0
        self._refusal: RelayError | None = None
        self._crowd, self._crowded_until = relay.connections, 0.0
        self._moved = 0.0  # when a message was last taken
        self._closing = False
        self._watchdog: asyncio.TimerHandle | None = None
        self._look_seconds = max(0.05, min(window / 4, timeouts.command / 4, timeouts.final / 4))

    def is_usable(self) -> bool:
        """Whether mail should be given to it: a connection is open, or none has failed of late."""
        return bool(self._open) or self._health.is_good

    def due_again(self) -> float:
        """time.monotonic() from which it is worth another try."""
        return self._health.again

    def probe(self) -> None:
        """Try to open a connection, where the last failure was long enough ago."""
        if not self._attempts and time.monotonic() >= self._health.again:
            self._refusal = None
            self._start(1)

    def add(self, flights: Sequence[Flight]) -> None:
        """Carry these; each batch tries the relay anew."""
        self._waiting.extend(flights)
        if self._closing:
            self._put_back_waiting()
            return
        self._refusal, self._barren, self._moved = None, 0, time.monotonic()
        self._pump()
        self._watch()

    def take(self, connection: Connection) -> Flight | None:
        now = self._moved = time.monotonic()
        while (flight := self._waiting.pop(connection.holds)) is not None:
            parcel = flight.parcel
            if now - parcel.decided <= self._window and not flight.batch.stops(parcel.message_id):
                return flight
            self.done(flight, put_back(flight))
        return None

    def done(self, flight: Flight, outcome: Outcome) -> None:
        if flight.batch.done(outcome):
            self._loop.call_soon(flight.batch.finish)  # once the journal is written

    def back(self, flight: Flight) -> None:
        if flight.batch.failed:
            self.done(flight, put_back(flight))
        else:
            self._waiting.put_first(flight)

    def idle(self, connection: Connection) -> None:
        self._idle.append(connection)

    def ended(self, connection: Connection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        if connection.is_useful:
            self._health.recover()
        if connection.is_proven:
            self._barren, self._refusal = 0, None
        else:
            self._barren += 1
            if connection.refusal is not None or self._barren >= BARREN:
                self._refuse(connection.refusal or RelayError(connection.trouble))
        self._pump()

    async def close(self) -> None:
        """Say good-bye on every idle connection; what is still on its way elsewhere is cut off."""
        self._closing = True
        for task in list(self._attempts):
            task.cancel()
        for connection in list(self._idle):
            connection.quit()
        for connection in list(self._open):
            connection.abort("We ended the connection.")
        self._put_back_waiting()
        for _ in range(2):
            if self._wires:
                await asyncio.wait([wire.ended for wire in self._wires], timeout=_FAREWELL_SECONDS)
            for wire in list(self._wires):
                wire.drop()
        await asyncio.gather(*self._attempts, return_exceptions=True)
        if self._watchdog is not None:
            self._watchdog.cancel()

    def _put_back_waiting(self) -> None:
        for flight in self._waiting.drain():
            self.done(flight, put_back(flight))

    def _pump(self) -> None:
        """Bring waiting messages and connections together."""
        if self._closing:
            return
        ready, self._idle = self._idle, []
        for connection in ready:
            if self._waiting:
                connection.is_kept = True
                connection.work()
            else:
                self._idle.append(connection)
        if self._refusal is None:
            room = self._most_open() - len(self._open) - len(self._attempts)
            self._start(min(room, self._waiting.startable() - len(self._attempts)))
        elif self._waiting and not self._open and not self._attempts:
            self._give_up(self._refusal)

    def _most_open(self) -> int:
        """As many as may be open: fewer for a while after the relay would not have another."""
        if time.monotonic() > self._crowded_until:
            self._crowd = self._connections
        return self._crowd

    def _start(self, count: int) -> None:
        for _ in range(count):
            task = self._loop.create_task(self._attempt())
            self._attempts.add(task)
            task.add_done_callback(self._attempts.discard)

    async def _attempt(self) -> None:
        try:
            wire, offers = await self._opening.open(self._wires)
        except RelayError as error:
            self._unopened(error)
        except Exception as error:
            self._unopened(RelayError(f"The relay could not be used: {type(error).__name__}."))
        else:
            self._attempts.discard(cast("asyncio.Task[None]", asyncio.current_task()))
            connection = Connection(wire, offers, self, self._terms)
            self._open.add(connection)
            connection.work()
            self._watch()

    def _unopened(self, error: RelayError) -> None:
        self._attempts.discard(cast("asyncio.Task[None]", asyncio.current_task()))
        others = len(self._open) + len(self._attempts)
        if others:  # it may only be one too many
            self._crowd, self._crowded_until = others, time.monotonic() + _CROWDED_SECONDS
        else:
            self._crowded_until = 0.0
            self._refuse(error)
        self._pump()

    def _refuse(self, error: RelayError) -> None:
        self._refusal = error
        self._health.fail(time.monotonic())

    def _give_up(self, error: RelayError) -> None:
        for flight in elsewhere(self._waiting.drain(), self.name):
            self.done(flight, deferred(flight, error, self.name))

    def _busy(self, provider: str) -> int:
        return sum(connection.holds(provider) for connection in self._open)

    def _watch(self) -> None:
        if self._watchdog is None:
            self._watchdog = self._loop.call_later(self._look_seconds, self._look)

    def _look(self) -> None:
        """The one timer: looks now and then at every connection, and at messages that nothing moves."""
        self._watchdog = None
        now = time.monotonic()
        for connection in list(self._open):
            connection.check(now)
        if self._waiting and now - self._moved >= self._window / 4:
            if not self._open:
                self._health.fail(now)
            self._waiting.extend(elsewhere(self._waiting.drain(), self.name))
            self._pump()
        if self._open or self._waiting:
            self._watch()
