"""One conversation with a relay as a state machine: a message costs one round trip where PIPELINING is offered.

The content of one message, its final dot, and MAIL, RCPT and DATA of the next are one write (RFC 2920 §3.1 allows the
data transfer to be the first "command" of a group). Replies belong to what was asked by their position alone. So when
it ends badly, at most one message is in doubt: the one whose final dot left without its reply having come.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Protocol

from outreach.mail.lines import stuffed
from outreach.mail.replies import Reply, judge
from outreach.mail.smtp_batch import Batch, Flight
from outreach.mail.smtp_opening import Timeouts
from outreach.mail.smtp_wire import RelayError, Wire
from outreach.mail.smtp_words import Envelopes, UnfitError
from outreach.mail.transport import Outcome, Result

_BIG = 65_536  # larger bodies are out before their final dot is written
_SLOW_SECONDS = 5.0  # nobody is made to wait behind a message for which the relay takes longer


class Stage(IntEnum):
    """What a reply answers."""

    RSET = 0
    MAIL = 1
    RCPT = 2
    DATA = 3
    DOT = 4
    LONE = 5  # the dot that ends a DATA which nobody is to receive


_RSET, _MAIL, _RCPT, _DATA, _DOT, _LONE = Stage  # a plain name is found faster than a member
_GROUP = (_MAIL, _RCPT, _DATA)


@dataclass(frozen=True)
class Terms:
    """What holds for every conversation with one relay. `most`: messages a connection may carry, None: any number."""

    name: str
    timeouts: Timeouts
    most: int | None
    dsn: bool


class Supply(Protocol):
    """Where a connection gets messages from, and who it tells what became of them and of itself."""

    def take(self, connection: "Connection") -> Flight | None:
        """The next message this connection may carry, whose MAIL FROM may be written now."""

    def done(self, flight: Flight, outcome: Outcome) -> None:
        """It is settled."""

    def back(self, flight: Flight) -> None:
        """The relay saw nothing of it that matters: another connection may take it."""

    def idle(self, connection: "Connection") -> None:
        """It has nothing to do."""

    def ended(self, connection: "Connection") -> None:
        """It is over."""


class Connection:
    """An open, signed-in conversation. Meets `smtp_wire.Listener`; all of it happens in its loop's thread.

    `deadline`: time.monotonic() by which the relay must have answered, None while nothing is asked. `is_useful`: a
    message got its answer here. `is_kept`: it was open before these messages came, and may have gone stale.
    `refusal`: why the relay cannot be used at all.
    """

    def __init__(self, wire: Wire, offers: dict[str, str], supply: Supply, terms: Terms) -> None:
        self._wire = wire
        self._supply = supply
        self._terms = terms
        self._pipelining = "PIPELINING" in offers
        self._envelopes = Envelopes(offers, dsn=terms.dsn)
        self._awaited: tuple[Stage, ...] = ()
        self._at = 0  # how many of the awaited replies have come
        self._asked: Flight | None = None  # MAIL, RCPT and DATA are out, or on their way out one by one
        self._answers = 0  # how many replies to those have come
        self._words = b""
        self._still: list[tuple[Stage, bytes]] = []  # those not yet out
        self._refusal: tuple[Stage, Reply] | None = None
        self._is_lone = False  # DATA was taken
        self._leaving: Flight | None = None  # its body is on its way out, its final dot is not
        self._dotted: Flight | None = None  # its final dot is out
        self._left_at = 0.0
        self._is_slow = False
        self._needs_reset = False
        self._begun = 0
        self._unwritten: Batch | None = None  # whose journal has notes that are not flushed
        self.deadline: float | None = None
        self.idle_since = time.monotonic()
        self.is_useful = False
        self.is_kept = False
        self.refusal: RelayError | None = None
        wire.listener = self

    @property
    def closed(self) -> bool:
        return self._wire.closed

    @property
    def trouble(self) -> str:
        return self._wire.trouble

    @property
    def is_proven(self) -> bool:
        """Its end says nothing of the relay."""
        return self.is_useful or self.is_kept

    def holds(self, provider: str) -> bool:
        """Whether a message to this provider is on its way here."""
        return any(one and one.parcel.provider == provider for one in (self._asked, self._dotted, self._leaving))

    def work(self) -> None:
        """Begin with the next message, if there is one."""
        self._begin()
        self._flush()

    def heard(self, replies: Sequence[Reply]) -> None:
        for reply in replies:
            if self._at == len(self._awaited):
                self._wire.abort("The relay ended the connection.")  # 421 while idle: nothing else is unasked for
                break
            stage = self._awaited[self._at]
            self._at += 1
            if stage is _DOT:
                self._final(reply)
            elif reply.code == 421:
                self._tired(reply)
            elif stage is not _RSET and stage is not _LONE:
                self._answers += 1
                if stage is _DATA:
                    self._is_lone = reply.code == 354
                if self._refusal is None and not (self._is_lone if stage is _DATA else reply.is_good):
                    self._refusal = (stage, reply)
            if self._wire.closed:
                break
        else:
            if self._at == len(self._awaited):
                self._turn()
        self._flush()

    def writable(self) -> None:
        if self._leaving is not None:
            self._dot(self._leaving, b".\r\n")
            self._flush()

    def lost(self) -> None:
        """Each message on its way gets what is true of it; the pool hears of the end last."""
        dotted, leaving, asked = self._dotted, self._leaving, self._asked
        self._dotted = self._leaving = self._asked = self.deadline = None
        if dotted is not None:
            self._settle(dotted, Result.UNKNOWN)
        if leaving is not None:
            self._settle(leaving, Result.DEFERRED)
        if asked is not None:
            if self._refusal is not None:
                self._answered(asked, *self._refusal)
            elif not self._answers and (self.is_proven or dotted is not None):
                self._supply.back(asked)
            else:
                self._settle(asked, Result.DEFERRED)
        self._flush()
        self._supply.ended(self)

    def check(self, now: float) -> None:
        """The watchdog's look: what is overdue ends, what was idle too long says good-bye."""
        if self.deadline is None:
            if now - self.idle_since >= self._terms.timeouts.idle:
                self.quit()
        elif now > self.deadline:
            self._wire.abort("The relay did not answer in time.")

    def quit(self) -> None:
        """Say good-bye without waiting for the answer."""
        self.is_kept = True
        self._wire.write(b"QUIT\r\n")
        self._wire.close()
        self._supply.ended(self)

    def abort(self, why: str) -> None:
        self._wire.abort(why)

    def _turn(self) -> None:
        """All that was asked has been answered: go on."""
        asked = self._asked
        if asked is None:
            self._begin()
        elif self._refusal is not None:
            self._asked = None
            self._refused(asked, *self._refusal)
        elif self._still:
            stage, line = self._still.pop(0)
            self._send(line, (stage,), asked.begun + self._terms.timeouts.command)
        else:
            self._asked = None
            self._hand_over(asked)

    def _begin(self) -> None:
        if self._needs_reset and not self._pipelining:
            self._needs_reset = False
            self._write(b"RSET\r\n", (_RSET,))
        elif self._terms.most is not None and self._begun >= self._terms.most:
            self.quit()
        else:
            self._write(b"", ())

    def _hand_over(self, flight: Flight) -> None:
        """DATA was taken: the content, and its dot at once unless it is so big that the line may fail under it."""
        now, seconds = time.monotonic(), self._terms.timeouts.command
        if now > flight.begun + seconds:  # it stood behind a message that took the relay too long
            self._supply.back(flight)
            self._wire.abort("The relay did not answer in time.")
            return
        body = stuffed(flight.parcel.data)
        if len(body) <= _BIG:
            self._dot(flight, body + b".\r\n")
            return
        self._leaving = flight
        self._send(body, (_DOT,), now + seconds)
        if not self._wire.is_paused:
            self.writable()

    def _dot(self, flight: Flight, octets: bytes) -> None:
        self._leaving = None
        self._note(flight.batch).dotted(flight.parcel.message_id)
        self._write(octets, (_DOT,), flight)

    def _write(self, lead: bytes, stages: tuple[Stage, ...], dotting: Flight | None = None) -> None:
        """Write `lead`, which `stages` answer, and the next message's commands behind it where they may travel along.

        `dotting`: whose final dot `lead` holds. The kernel has the journal's notes before it has any of this.
        """
        following = self._next() if self._may_take(behind=bool(lead)) else None
        self._flush()
        if (dotting is not None and dotting.batch.failed) or (following is not None and following.batch.failed):
            self._halt(dotting, following)
            return
        now = time.monotonic()
        if following is not None:
            following.begun = now
            self._asked, self._answers, self._refusal, self._is_lone = following, 0, None, False
            octets, group = self._opening_words()
            lead, stages = lead + octets, stages + group
        if dotting is not None:
            self._dotted, self._left_at = dotting, now
        if stages:
            timeouts = self._terms.timeouts
            self._send(lead, stages, now + (timeouts.command if dotting is None else timeouts.final))
        else:
            self._awaited, self._at, self.deadline, self.idle_since = (), 0, None, now
            self._supply.idle(self)

    def _send(self, octets: bytes, stages: tuple[Stage, ...], deadline: float) -> None:
        self._awaited, self._at, self.deadline = stages, 0, deadline
        self._wire.write(octets)

    def _may_take(self, *, behind: bool) -> bool:
        if not behind:
            return True
        most = self._terms.most
        return self._pipelining and not self._is_slow and (most is None or self._begun < most)

    def _next(self) -> Flight | None:
        """The next message that this relay can be asked to take, noted in its journal as begun."""
        while (flight := self._supply.take(self)) is not None:
            try:
                self._words = self._envelopes.commands(flight.parcel)
            except UnfitError as error:
                self._settle(flight, Result.FAILED, str(error))
            else:
                self._begun += 1
                self._note(flight.batch).begun(flight.parcel.message_id)
                return flight
        return None

    def _opening_words(self) -> tuple[bytes, tuple[Stage, ...]]:
        """What asks about the message just taken: all of it at once, or MAIL with the rest to follow one by one."""
        if self._pipelining:
            if not self._needs_reset:
                return self._words, _GROUP
            self._needs_reset = False
            return b"RSET\r\n" + self._words, (_RSET, *_GROUP)
        mail, rcpt, data = self._words.splitlines(keepends=True)
        self._still = [(_RCPT, rcpt), (_DATA, data)]
        return mail, (_MAIL,)

    def _final(self, reply: Reply) -> None:
        """The reply to the final dot; or to a body that is not yet whole, which then never will be."""
        flight = self._dotted or self._leaving
        if flight is None:
            return
        if 300 <= reply.code < 400 or (flight is self._leaving and reply.code < 400):
            self._wire.abort("The relay answered out of turn.")
            return
        is_whole = flight is self._dotted
        self._dotted = self._leaving = None
        self.is_useful = True
        outcome = judge(flight.parcel, reply, relay=self._terms.name)
        self._note(flight.batch).replied(flight.parcel.message_id, reply.code, outcome.reply)
        self._supply.done(flight, outcome)
        if reply.code == 421 or not is_whole:
            self._wire.abort()
            return
        self._is_slow = time.monotonic() - self._left_at > _SLOW_SECONDS
        if self._asked is not None:
            self.deadline = self._asked.begun + self._terms.timeouts.command

    def _tired(self, reply: Reply) -> None:
        """421: the relay is done with this connection; said at once on a fresh one, with all of us."""
        asked = self._asked
        if asked is not None and self._refusal is None:
            self._asked = None
            if self.is_proven:
                self._supply.back(asked)
            else:
                self.refusal = RelayError(reply.line, reply.code)
                self._answered(asked, _MAIL, reply)
        self._wire.abort()

    def _refused(self, flight: Flight, stage: Stage, reply: Reply) -> None:
        self._still, self._needs_reset = [], True
        self._answered(flight, stage, reply)
        if reply.code < 400:  # a code where none of its kind belongs: trust nothing that follows
            self._wire.abort()
        elif self._is_lone:
            self._write(b".\r\n", (_LONE,))  # RFC 2920 §3.1
        else:
            self._begin()

    def _answered(self, flight: Flight, stage: Stage, reply: Reply) -> None:
        """The relay's refusal is the outcome. One that reads as a yes is none, and no note must make it look so."""
        self.is_useful = self.refusal is None
        outcome = judge(flight.parcel, reply, at_recipient=stage is _RCPT, relay=self._terms.name)
        if reply.code < 400:
            outcome = replace(outcome, result=Result.DEFERRED)
        else:
            self._note(flight.batch).replied(flight.parcel.message_id, reply.code, outcome.reply)
        self._supply.done(flight, outcome)

    def _settle(self, flight: Flight, result: Result, why: str = "") -> None:
        """An outcome of our own words, without the relay's."""
        reply = why or self._wire.trouble
        self._supply.done(flight, Outcome(flight.parcel.message_id, result, reply=reply, relay=self._terms.name))

    def _halt(self, *flights: Flight | None) -> None:
        """The journal failed, so nothing of these may leave; the connection stands where no message could follow."""
        self.is_kept = True
        for flight in flights:
            if flight is not None:
                self._supply.back(flight)
        self._wire.abort("The journal could not be written.")

    def _note(self, batch: Batch) -> Batch:
        """The batch whose journal is to be noted in; one that was noted in before is flushed first."""
        if self._unwritten is not batch:
            self._flush()
            self._unwritten = batch
        return batch

    def _flush(self) -> None:
        if self._unwritten is not None:
            self._unwritten.flush()
            self._unwritten = None
