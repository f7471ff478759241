"""The relays of an installation, and which of them carries each message: by weight, while they are well."""

import asyncio
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

from outreach.config import Settings
from outreach.mail.smtp import LoopThread
from outreach.mail.smtp_batch import Batch, Flight, put_back
from outreach.mail.smtp_opening import Timeouts
from outreach.mail.smtp_plain import PlainPool
from outreach.mail.smtp_pool import WINDOW_SECONDS, Pool
from outreach.mail.transport import Journal, Outcome, Parcel, Stop


class Carrier(Protocol):
    """One relay with its connections. All but `name` is for the loop's thread."""

    name: str

    def is_usable(self) -> bool:
        """Whether mail should be given to it."""

    def due_again(self) -> float:
        """time.monotonic() from which a relay that failed is worth another try."""

    def probe(self) -> None:
        """Find out whether it is usable again, if it is time to."""

    def add(self, flights: Sequence[Flight]) -> None:
        """Carry these."""

    async def close(self) -> None:
        """Let go of every connection; what waits is put back."""


class Router:
    """All relays of `settings`, working at the same time. Safe to call from several threads.

    `hello`: the name we greet with. `window`: seconds a decision stays good.
    """

    def __init__(
        self, settings: Settings, hello: str, *, timeouts: Timeouts | None = None, window: float = WINDOW_SECONDS
    ) -> None:
        self._settings = settings
        self._hello = hello
        self._timeouts = timeouts or Timeouts()
        self._window = window
        self._guard = threading.Lock()
        self._thread: LoopThread | None = None
        self._carriers: dict[str, Carrier] = {}
        self._turns: dict[tuple[str, ...], Turns] = {}

    def names(self, pool: str) -> tuple[str, ...]:
        """The relays behind a sender's word: one relay, or those of a pool. While none is configured, the demo
        mailbox under that word. Raises SettingsError when there is none."""
        found = self._settings.relays_behind(pool)
        for name in found:
            self._settings.relay(name)
        return found

    def hand_off(
        self,
        pool: str,
        parcels: Sequence[Parcel],
        journal: Journal,
        stop: Stop | None = None,
        room: Mapping[str, int] | None = None,
    ) -> list[Outcome]:
        """One outcome for each parcel. `room`: how many of them each relay may take; None: as many as it will.

        What a relay that fails has not begun goes to the next one while its decision is good; with no relay left it
        is deferred, with no room or no time left it is put back. Raises SettingsError when no relay has this name.
        """
        names = self.names(pool)
        if not parcels:
            return []
        with self._guard:
            if self._thread is None:
                self._thread = LoopThread()
            thread = self._thread
        errand = Errand(self._carriers_of, names, self._turns_of(names), room, self._window)
        return thread.carry(Batch(parcels, journal, stop, errand.adrift), errand.begin)

    def close(self) -> None:
        """Say good-bye on every connection. A hand-off under way ends; a later one opens new connections."""
        with self._guard:
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.call(self._close)
            thread.end()

    def _turns_of(self, names: tuple[str, ...]) -> "Turns":
        weights = {name: self._settings.relay(name).weight for name in names}
        return self._turns.setdefault(names, Turns(weights))

    def _carriers_of(self, names: Sequence[str]) -> list[Carrier]:
        for name in names:
            if name not in self._carriers:
                self._carriers[name] = self._carrier(name)
        return [self._carriers[name] for name in names]

    def _carrier(self, name: str) -> Carrier:
        relay = self._settings.relay(name)
        kind = Pool if relay.client == "pipelined" else PlainPool
        return kind(name, relay, self._hello, self._timeouts, self._window)

    async def _close(self) -> None:
        carriers, self._carriers = list(self._carriers.values()), {}
        for carrier in carriers:
            await carrier.close()


class Turns:
    """Smooth weighted round-robin: of 5 and 1, the 1 comes in the middle of the 5. `weights`: by relay."""

    def __init__(self, weights: Mapping[str, int]) -> None:
        self._weights = weights
        self._credit = dict.fromkeys(weights, 0)

    def standing(self, names: Sequence[str]) -> Sequence[str]:
        """Those of `names` that are to be used: none of weight 0 while there is another."""
        return [name for name in names if self._weights[name]] or names

    def next(self, names: Sequence[str]) -> str:
        """Whose turn it is among `names`, of which there is at least one."""
        if len(names) == 1:
            return names[0]
        weights = {name: self._weights[name] or 1 for name in names}
        for name, weight in weights.items():
            self._credit[name] += weight
        chosen = max(names, key=self._credit.__getitem__)
        self._credit[chosen] -= sum(weights.values())
        return chosen


class Errand:
    """Where each message of one call goes. In the loop's thread."""

    def __init__(
        self,
        carriers: Callable[[Sequence[str]], list[Carrier]],
        names: Sequence[str],
        turns: Turns,
        room: Mapping[str, int] | None,
        window: float,
    ) -> None:
        self._find = partial(carriers, names)
        self._carriers: dict[str, Carrier] = {}
        self._turns = turns
        self._room = None if room is None else {name: room.get(name, 0) for name in names}
        self._window = window

    def begin(self, flights: Sequence[Flight]) -> None:
        """Share them out among the relays that are well; with none, to that which is worth a try soonest."""
        self._carriers = {carrier.name: carrier for carrier in self._find()}
        for carrier in self._carriers.values():
            if not carrier.is_usable():
                carrier.probe()
        usable = self._usable()
        if not usable:
            usable = [min(self._carriers.values(), key=lambda carrier: carrier.due_again()).name]
        self._end(self._share(flights, usable))

    def adrift(self, flights: Sequence[Flight], relay: str) -> list[Flight]:
        """Give what `relay` has not begun and cannot take to the others. Gives back what none of them may have."""
        now = time.monotonic()
        usable = [name for name in self._usable() if name != relay]
        if not usable:
            return list(flights)
        for flight in flights:
            flight.tried = (*flight.tried, relay)
        late = [flight for flight in flights if now - flight.parcel.decided > self._window]
        fresh = [flight for flight in flights if now - flight.parcel.decided <= self._window]
        self._end([*late, *self._share(fresh, usable)])
        return []

    def _usable(self) -> list[str]:
        return [name for name, carrier in self._carriers.items() if carrier.is_usable()]

    def _share(self, flights: Sequence[Flight], usable: Sequence[str]) -> list[Flight]:
        """Give each message to a relay by weight. What none has room for, or all have been tried with, comes back."""
        shares: dict[str, list[Flight]] = {}
        left = []
        for flight in flights:
            names = self._turns.standing([name for name in usable if name not in flight.tried])
            if self._room is not None:
                names = [name for name in names if self._room[name] > 0]
            if not names:
                left.append(flight)
                continue
            name = self._turns.next(names)
            shares.setdefault(name, []).append(flight)
            if self._room is not None:
                self._room[name] -= 1
        for name, share in shares.items():
            self._carriers[name].add(share)
        return left

    @staticmethod
    def _end(flights: Sequence[Flight]) -> None:
        for flight in flights:
            if flight.batch.done(put_back(flight)):
                asyncio.get_running_loop().call_soon(flight.batch.finish)  # once the journal is written
