"""What one call hands over: its parcels on their way, its journal, and the outcomes it waits for."""

import logging
import threading
from collections.abc import Callable, Sequence

from outreach.mail.smtp_wire import RelayError
from outreach.mail.transport import Journal, Outcome, Parcel, Result, Stop

_log = logging.getLogger(__name__)


class Batch:
    """One call's parcels. Used by a loop's thread; only `wait` is for the caller's.

    `adrift(flights, relay)`: asked when `relay` cannot take these, of which it began none. Gives back those that no
    other relay takes.
    """

    def __init__(
        self,
        parcels: Sequence[Parcel],
        journal: Journal,
        stop: Stop | None,
        adrift: "Callable[[Sequence[Flight], str], list[Flight]] | None" = None,
    ) -> None:
        self.flights = [Flight(parcel, self) for parcel in parcels]
        self.failed = False
        self.adrift = adrift
        self._journal = journal
        self._stop = stop
        self._error: BaseException | None = None
        self._outcomes: list[Outcome] = []
        self._left = len(parcels)
        self._finished = threading.Event()

    def wait(self) -> list[Outcome]:
        """Until every parcel has its outcome. Raises what the caller's own `stop` or journal raised, but OSError."""
        self._finished.wait()
        if self._error is not None:
            raise self._error
        return self._outcomes

    def done(self, outcome: Outcome) -> bool:
        """One parcel is settled. True for the last one: `finish` is due."""
        self._outcomes.append(outcome)
        self._left -= 1
        return not self._left

    def finish(self) -> None:
        self._finished.set()

    def crash(self, error: BaseException) -> None:
        """Something nobody foresaw: what became of the rest is only in the journal. A batch that is over stays so."""
        if self._finished.is_set():
            return
        self._error = error
        self._finished.set()

    def stops(self, message_id: int) -> bool:
        """Whether the caller wants this one back, or nothing more may begin."""
        if self.failed or self._stop is None:
            return self.failed
        try:
            return self._stop(message_id)
        except Exception as error:  # the caller's: it is raised where it can be caught
            self.fail(error)
            return True

    def begun(self, message_id: int) -> None:
        try:
            self._journal.begun(message_id)
        except Exception as error:
            self.fail(error)

    def dotted(self, message_id: int) -> None:
        try:
            self._journal.dotted(message_id)
        except Exception as error:
            self.fail(error)

    def replied(self, message_id: int, code: int, text: str) -> None:
        try:
            self._journal.replied(message_id, code, text)
        except Exception as error:
            self.fail(error)

    def flush(self) -> None:
        try:
            self._journal.flush()
        except Exception as error:
            self.fail(error)

    def fail(self, error: Exception) -> None:
        """Nothing more begins; what is on its way comes to its end."""
        if isinstance(error, OSError):
            if not self.failed:
                _log.error("the journal could not be written; handing off stops", exc_info=error)
        else:
            self._error = self._error or error
        self.failed = True


class Flight:
    """A parcel on its way. `begun`: time.monotonic() of its MAIL FROM. `tried`: relays that could not take it."""

    __slots__ = ("batch", "begun", "parcel", "tried")

    def __init__(self, parcel: Parcel, batch: Batch) -> None:
        self.parcel = parcel
        self.batch = batch
        self.begun = 0.0
        self.tried: tuple[str, ...] = ()


def put_back(flight: Flight) -> Outcome:
    """Never begun, or begun without anything that could be mail having left us."""
    return Outcome(flight.parcel.message_id, Result.PUT_BACK)


def deferred(flight: Flight, error: RelayError, relay: str) -> Outcome:
    """Never begun, since no relay could be used."""
    if flight.batch.failed:
        return put_back(flight)
    return Outcome(flight.parcel.message_id, Result.DEFERRED, error.code, reply=str(error), relay=relay)


def elsewhere(flights: Sequence[Flight], relay: str) -> list[Flight]:
    """Offer what `relay` cannot take to the others of each batch; gives what none of them has taken over."""
    stay = [flight for flight in flights if flight.batch.adrift is None]
    for batch in {flight.batch for flight in flights}:
        if batch.adrift is not None:
            stay += batch.adrift([flight for flight in flights if flight.batch is batch], relay)
    return stay
