"""Sends: a worker's rounds, claim → write → hand off → record, until told to stop.

A process runs two workers, each in its thread with its own journal and connections: `express` for what no campaign
sends, `bulk` for campaigns, so that a confirmation never stands behind a batch or a stalled connection.
"""

import os
import secrets
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import structlog
from sqlalchemy.exc import DBAPIError

from outreach.domain.errors import SettingsError
from outreach.mail.transport import Outcome, Result, Transport
from outreach.pipeline.claim import Claimed, claim
from outreach.pipeline.journal import WorkerJournal
from outreach.pipeline.letters import Letters, write_letters
from outreach.pipeline.pacing import give_back, open_lanes
from outreach.pipeline.reap import reap_dead
from outreach.pipeline.record import keep_evidence, record_outcomes
from outreach.services.context import Context
from outreach.services.controller import ready_for_real_mail
from outreach.services.rights.restored import is_behind, remember
from outreach.store.messages import due_express, due_lanes, release_all

log = structlog.get_logger()

Lanes = Literal["express", "bulk"]

SECONDS_A_BATCH = 2.0
"""A batch is what the relay takes in two seconds at its present pace: no decision grows older than that unused."""

_FEWEST, _MOST = 8, 2000
_IDLE_SECONDS = 0.25
_RETRY_SECONDS = 1.0
_LAST_TRIES = 5
_LONGEST_REST_SECONDS = 60.0
_LOOK_SECONDS = 0.5
_REMEMBER_SECONDS = 60.0
"""How long a worker stays in a lane before it looks whether a lane before it has something due."""


@dataclass
class Pace:
    """How many messages a second the relays have lately taken, as a moving average."""

    per_second: float = 32.0

    def batch(self) -> int:
        return max(_FEWEST, min(_MOST, int(self.per_second * SECONDS_A_BATCH)))

    def saw(self, messages: int, seconds: float) -> None:
        if messages:
            self.per_second += 0.5 * (messages / max(seconds, 0.001) - self.per_second)


@dataclass
class Worker:
    """Runs rounds in the thread that calls `run`."""

    ctx: Context
    carrier: Transport
    lanes: Lanes = "bulk"
    stopping: threading.Event = field(default_factory=threading.Event)
    pace: Pace = field(default_factory=Pace)

    def __post_init__(self) -> None:
        self.name = f"{socket.gethostname()}-{os.getpid()}-{self.lanes}-{secrets.token_hex(4)}"
        self.journals = self.ctx.settings.instance / "journal"
        self._rest_seconds = 0.0
        self._lane = ""
        self._look_again = 0.0
        self._asked = self._remembers = 0.0
        self._is_held_back = True
        self._has_warned = False
        self._is_unsure = False

    def run(self, nudged: threading.Event | None = None, idle_seconds: float = _IDLE_SECONDS) -> None:
        """Until `stopping` is set; what is begun by then is finished, the rest put back.

        With nothing due it waits for `nudged` to be set, at most `idle_seconds`.
        """
        nudged = nudged or threading.Event()
        has_reaped = False
        journal = WorkerJournal(self.journals, self.name)
        try:
            while not self.stopping.is_set():
                try:
                    if not has_reaped:
                        reap_dead(self.ctx, self.journals)
                        has_reaped = True
                    busy = self.round(journal)
                except DBAPIError as error:
                    log.warning("pipeline.database", error=type(error).__name__)
                    self.stopping.wait(_RETRY_SECONDS)
                    continue
                if not busy and nudged.wait(idle_seconds):
                    nudged.clear()
        finally:
            self.carrier.close()
        if not self._is_unsure:  # else it is left to the reaper, which returns what was taken and never begun
            journal.close()

    def round(self, journal: WorkerJournal) -> bool:
        """One batch through all its steps. False when nothing was due."""
        if self._is_unsure:
            self._let_go()
        if self._held_back():
            return False
        self._is_unsure = True
        claimed = self._claim()
        self._is_unsure = False
        if not claimed.facts:
            return claimed.found > 0
        began = time.monotonic()
        try:
            letters = write_letters(self.ctx, claimed.ids, claimed.at)
            keep_evidence(self.ctx, letters.evidence)
        except DBAPIError:  # nothing has begun, so nothing is in doubt
            self._record(claimed, [Outcome(one, Result.PUT_BACK) for one in claimed.ids])
            raise
        handed = self._hand_off(letters, journal, None if claimed.lease is None else claimed.lease.room)
        tried = [one for one in handed if one.result is not Result.PUT_BACK]
        self.pace.saw(len(tried), time.monotonic() - began)
        self._record(claimed, [*letters.failed, *handed])
        journal.forget()
        if claimed.lease is not None:
            give_back(self.ctx, claimed.lease.left(handed), claimed.lease.provider)
        self._rest(tried)
        return True

    def _let_go(self) -> None:
        """Return what the last round took in a commit whose answer was lost: nobody else would touch it in time."""
        with self.ctx.db.transaction() as conn:
            release_all(conn, self.name)
        self._is_unsure = False

    def _claim(self) -> Claimed:
        """The next batch: of the lane we are in while it lasts, else of the first that has something due."""
        if time.monotonic() < self._look_again:
            claimed = claim(self.ctx, self.name, self._lane, self.pace.batch())
            if claimed.found:
                return claimed
        with self.ctx.db.reading() as conn:
            now = self.ctx.db.now(conn)
            if self.lanes == "express":
                lanes = due_express(conn, now)
            else:
                lanes = open_lanes(self.ctx, conn, now, due_lanes(conn, now))
        for lane in lanes:
            claimed = claim(self.ctx, self.name, lane, self.pace.batch())
            if claimed.found:
                self._lane, self._look_again = lane, time.monotonic() + _LOOK_SECONDS
                return claimed
        self._look_again = 0.0
        return Claimed()

    def _rest(self, tried: list[Outcome]) -> None:
        """While no relay answers at all, come back more and more slowly instead of trying everybody in turn."""
        if any(one.code is not None for one in tried) or not tried:
            self._rest_seconds = 0.0
            return
        self._rest_seconds = min(self._rest_seconds * 2 or _RETRY_SECONDS, _LONGEST_REST_SECONDS)
        log.warning("pipeline.relay-unreachable", seconds=self._rest_seconds)
        self.stopping.wait(self._rest_seconds)

    def _held_back(self) -> bool:
        """Whether mail must wait: the database came from a backup that knows less than was signed since, or the
        organisation does not say who it is, which real mail must.
        """
        if time.monotonic() >= self._asked:
            self._is_held_back = self._is_restored() or self._is_nameless()
            self._asked = time.monotonic() + _LOOK_SECONDS
        return self._is_held_back

    def _is_restored(self) -> bool:
        if not is_behind(self.ctx):
            if time.monotonic() >= self._remembers:
                remember(self.ctx)
                self._remembers = time.monotonic() + _REMEMBER_SECONDS
            return False
        if not self._has_warned:
            log.critical("pipeline.restored", do="run `outreach store restored`; nothing is sent until then")
        self._has_warned = True
        return True

    def _is_nameless(self) -> bool:
        if not self.ctx.settings.relays:
            return False
        with self.ctx.db.reading() as conn:
            return bool(ready_for_real_mail(self.ctx, conn))

    def _hand_off(self, letters: Letters, journal: WorkerJournal, room: Mapping[str, int] | None) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for pool, parcels in letters.parcels.items():
            try:
                outcomes += self.carrier.hand_off(pool, parcels, journal, lambda _id: self.stopping.is_set(), room)
            except SettingsError as error:
                outcomes += [Outcome(one.message_id, Result.DEFERRED, reply=str(error)) for one in parcels]
        return outcomes

    def _record(self, claimed: Claimed, outcomes: list[Outcome]) -> None:
        """The database may be away just now; what the relay said must not be lost, so try until it is written.

        A worker that was told to stop tries a little longer, then leaves its journal to the reaper.
        """
        last_tries = _LAST_TRIES
        while True:
            try:
                return record_outcomes(self.ctx, self.name, claimed.facts, outcomes)
            except DBAPIError as error:
                log.warning("pipeline.record", error=type(error).__name__, waiting=len(outcomes))
                last_tries -= self.stopping.is_set()
                if not last_tries:
                    self._is_unsure = True
                    raise
                time.sleep(_RETRY_SECONDS)
