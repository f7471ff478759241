"""Messages that wait for a connection, first come first served, no provider at more connections than it may have."""

from collections import deque
from collections.abc import Callable, Iterable

from outreach.mail.smtp_batch import Flight

_EVERYBODY = ""


class Queue:
    """`most`: connections that may be busy with one provider; None: any number, and one line for everybody.

    `busy(provider)`: how many are just now.
    """

    def __init__(self, most: int | None, busy: Callable[[str], int]) -> None:
        self._most = most
        self._busy = busy
        self._lines: dict[str, deque[Flight]] = {_EVERYBODY: deque()} if most is None else {}
        self._only = self._lines.get(_EVERYBODY)

    def __len__(self) -> int:
        return len(self._only) if self._only is not None else sum(map(len, self._lines.values()))

    def extend(self, flights: Iterable[Flight]) -> None:
        for flight in flights:
            self._line(flight).append(flight)

    def put_first(self, flight: Flight) -> None:
        self._line(flight).appendleft(flight)

    def pop(self, holds: Callable[[str], bool]) -> Flight | None:
        """The next message for a connection that `holds(provider)` or does not; None: none it may take."""
        if self._only is not None:
            return self._only.popleft() if self._only else None
        chosen: deque[Flight] | None = None
        for provider, line in self._lines.items():
            if line and holds(provider):  # the connections of the others are theirs the longer
                return line.popleft()
            if line and chosen is None and self._room(provider) > 0:
                chosen = line
        return chosen.popleft() if chosen else None

    def startable(self) -> int:
        """How many connections that have nothing to do could begin a message now."""
        if self._only is not None:
            return len(self._only)
        return sum(min(len(line), max(0, self._room(provider))) for provider, line in self._lines.items())

    def drain(self) -> list[Flight]:
        """All of them, which then wait no more."""
        found = [flight for line in self._lines.values() for flight in line]
        for line in self._lines.values():
            line.clear()
        return found

    def _line(self, flight: Flight) -> deque[Flight]:
        if self._only is not None:
            return self._only
        return self._lines.setdefault(flight.parcel.provider, deque())

    def _room(self, provider: str) -> int:
        return (self._most or 0) - self._busy(provider)
