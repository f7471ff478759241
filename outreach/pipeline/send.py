"""Sends: one worker's round, claim → decide again → write → hand off → record, until told to stop."""

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from sqlalchemy.exc import DBAPIError

from outreach.config import Relay
from outreach.domain.errors import SettingsError
from outreach.mail.transport import Outcome, Result, Transport
from outreach.pipeline.claim import claim_next, decide_again
from outreach.pipeline.journal import WorkerJournal
from outreach.pipeline.letters import Letters, write_letters
from outreach.pipeline.reap import reap_dead
from outreach.pipeline.record import keep_evidence, record_outcomes
from outreach.services.context import Context
from outreach.services.controller import ready_for_real_mail

log = structlog.get_logger()

SECONDS_A_BATCH = 2.0
"""A batch is what the relay takes in two seconds at its present pace: no decision grows older than that unused."""

_FEWEST, _MOST = 8, 500
_IDLE_SECONDS = 0.25
_RETRY_SECONDS = 1.0
_LONGEST_REST_SECONDS = 60.0


@dataclass
class Pace:
    """How many messages a second the relay has lately taken, as a moving average."""

    per_second: float = 32.0

    def batch(self) -> int:
        return max(_FEWEST, min(_MOST, int(self.per_second * SECONDS_A_BATCH)))

    def saw(self, messages: int, seconds: float) -> None:
        if messages:
            self.per_second += 0.5 * (messages / max(seconds, 0.001) - self.per_second)


@dataclass
class Worker:
    """Runs rounds in the thread that calls `run`. `connect` makes the transport of a relay, once each."""

    ctx: Context
    connect: Callable[[Relay], Transport]
    stopping: threading.Event = field(default_factory=threading.Event)
    pace: Pace = field(default_factory=Pace)

    def __post_init__(self) -> None:
        self.name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self.journals = self.ctx.settings.instance / "journal"
        self._transports: dict[str, Transport] = {}
        self._rest_seconds = 0.0

    def run(self) -> None:
        """Until `stopping` is set: what is claimed by then is put back, what is begun is finished."""
        reap_dead(self.ctx, self.journals)
        journal = WorkerJournal(self.journals, self.name)
        try:
            while not self.stopping.is_set():
                try:
                    busy = self.round(journal)
                except DBAPIError as error:
                    log.warning("pipeline.database", error=type(error).__name__)
                    self.stopping.wait(_RETRY_SECONDS)
                    continue
                if not busy:
                    self.stopping.wait(_IDLE_SECONDS)
        finally:
            for transport in self._transports.values():
                transport.close()
        journal.close()

    def round(self, journal: WorkerJournal) -> bool:
        """One batch through all its steps. False when nothing was due."""
        if self._held_back():
            return False
        ids = claim_next(self.ctx, self.name, self.pace.batch())
        if not ids:
            return False
        decided = decide_again(self.ctx, self.name, ids)
        if not decided.ids:
            return True
        began = time.monotonic()
        try:
            letters = write_letters(self.ctx, decided.ids, decided.at)
            keep_evidence(self.ctx, letters.evidence)
        except DBAPIError:  # nothing has begun, so nothing is in doubt
            self._record([Outcome(one, Result.PUT_BACK) for one in decided.ids])
            raise
        handed = self._hand_off(letters, journal)
        tried = [one for one in handed if one.result is not Result.PUT_BACK]
        self.pace.saw(len(tried), time.monotonic() - began)
        self._record([*letters.failed, *handed])
        journal.forget()
        self._rest(tried)
        return True

    def _rest(self, tried: list[Outcome]) -> None:
        """While no relay answers at all, come back more and more slowly instead of trying everybody in turn."""
        if any(one.code is not None for one in tried) or not tried:
            self._rest_seconds = 0.0
            return
        self._rest_seconds = min(self._rest_seconds * 2 or _RETRY_SECONDS, _LONGEST_REST_SECONDS)
        log.warning("pipeline.relay-unreachable", seconds=self._rest_seconds)
        self.stopping.wait(self._rest_seconds)

    def _held_back(self) -> bool:
        """Whether real mail must wait: an organisation that does not say who it is may not send any."""
        if not self.ctx.settings.relays:
            return False
        with self.ctx.db.reading() as conn:
            return bool(ready_for_real_mail(self.ctx, conn))

    def _hand_off(self, letters: Letters, journal: WorkerJournal) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for relay, parcels in letters.parcels.items():
            try:
                transport = self._transport(relay)
            except SettingsError as error:
                outcomes += [Outcome(one.message_id, Result.DEFERRED, reply=str(error)) for one in parcels]
            else:
                outcomes += transport.hand_off(parcels, journal, lambda _id: self.stopping.is_set())
        return outcomes

    def _transport(self, relay: str) -> Transport:
        if relay not in self._transports:
            self._transports[relay] = self.connect(self.ctx.settings.relay(relay))
        return self._transports[relay]

    def _record(self, outcomes: list[Outcome]) -> None:
        """The database may be away just now; what the relay said must not be lost, so try until it is written."""
        while True:
            try:
                return record_outcomes(self.ctx, outcomes)
            except DBAPIError as error:
                log.warning("pipeline.record", error=type(error).__name__, waiting=len(outcomes))
                time.sleep(_RETRY_SECONDS)
