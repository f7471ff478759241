"""Hands mail to one relay with Python's own smtplib: one command at a time, a thread a connection.

For a relay that does not bear with ours, and to find out whether it is the relay or us. Outcomes and journal mean the
same as in `smtp_connection`.
"""

import asyncio
import smtplib
import socket
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from outreach.hosts import Relay
from outreach.mail.lines import stuffed
from outreach.mail.replies import Reply, judge
from outreach.mail.smtp_batch import Flight, deferred, elsewhere, put_back
from outreach.mail.smtp_health import BARREN, Health
from outreach.mail.smtp_opening import Timeouts, brief, tls_context
from outreach.mail.smtp_queue import Queue
from outreach.mail.smtp_wire import LostError, RelayError
from outreach.mail.smtp_words import Envelopes, UnfitError
from outreach.mail.transport import Outcome, Result

_LOST = "The connection to the relay was lost."
_LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class Verdict:
    """What became of one message: its outcome; None: another connection may take it.

    `refusal`: why the relay cannot be used at all. `barren`: how a fresh connection ended before it was of use.
    """

    outcome: Outcome | None = None
    refusal: RelayError | None = None
    barren: RelayError | None = None


class PlainPool:
    """The connections to `relay`. Meets `relays.Carrier`; what waits does so in the loop's thread."""

    def __init__(self, name: str, relay: Relay, hello: str, timeouts: Timeouts, window: float) -> None:
        self.name = name
        self._timeouts = timeouts
        self._loop = asyncio.get_running_loop()
        self._waiting = Queue(relay.connections_per_provider, self._on_their_way)
        self._idle = [PlainConnection(name, relay, hello, timeouts, window) for _ in range(relay.connections)]
        self._busy: dict[PlainConnection, Flight] = {}
        self._threads = ThreadPoolExecutor(relay.connections, thread_name_prefix="smtplib")
        self._health = Health()
        self._barren = 0
        self._closing = False
        self._timer: asyncio.TimerHandle | None = None

    def is_usable(self) -> bool:
        return self._health.is_good

    def due_again(self) -> float:
        return self._health.again

    def probe(self) -> None:
        """One that failed gets its share again once it was left alone for a while: a message is the only probe."""
        if time.monotonic() >= self._health.again:
            self._health.recover()

    def add(self, flights: Sequence[Flight]) -> None:
        self._waiting.extend(flights)
        self._pump()
        if self._closing:
            self._put_back_waiting()

    async def close(self) -> None:
        """What is on its way comes to its end first: smtplib cannot be told to stop."""
        self._closing = True
        self._put_back_waiting()
        while self._busy:
            await asyncio.sleep(_LOOK_SECONDS / 100)
        self._put_back_waiting()
        for connection in self._idle:
            connection.quit()
        self._threads.shutdown()
        if self._timer is not None:
            self._timer.cancel()

    def _put_back_waiting(self) -> None:
        for flight in self._waiting.drain():
            self._done(flight, put_back(flight))

    def _pump(self) -> None:
        """Give waiting messages to idle connections, open ones first."""
        self._idle.sort(key=lambda connection: connection.is_open)
        while self._idle and not self._closing:
            flight = self._waiting.pop(lambda _provider: False)
            if flight is None:
                break
            connection = self._idle.pop()
            self._busy[connection] = flight
            run = self._loop.run_in_executor(self._threads, connection.deliver, flight)
            run.add_done_callback(partial(self._delivered, connection))
        if self._timer is None:
            self._timer = self._loop.call_later(_LOOK_SECONDS, self._look)

    def _delivered(self, connection: "PlainConnection", done: "asyncio.Future[Verdict]") -> None:
        flight = self._busy.pop(connection)
        self._idle.append(connection)
        verdict = done.result()
        if verdict.outcome is not None:
            self._done(flight, verdict.outcome)
        else:
            self._waiting.put_first(flight)
        self._judge(verdict)
        self._pump()

    def _judge(self, verdict: Verdict) -> None:
        """What a message's fate says of the relay."""
        refusal = verdict.refusal
        if verdict.barren is not None:
            self._barren += 1
            refusal = verdict.barren if self._barren >= BARREN else None
        elif refusal is None and verdict.outcome is not None and verdict.outcome.code is not None:
            self._barren = 0
            self._health.recover()
        if refusal is not None:
            self._barren = 0
            self._health.fail(time.monotonic())
            for one in elsewhere(self._waiting.drain(), self.name):
                self._done(one, deferred(one, refusal, self.name))

    def _done(self, flight: Flight, outcome: Outcome) -> None:
        if flight.batch.done(outcome):
            flight.batch.finish()

    def _on_their_way(self, provider: str) -> int:
        return sum(flight.parcel.provider == provider for flight in self._busy.values())

    def _look(self) -> None:
        self._timer = None
        before = time.monotonic() - self._timeouts.idle
        for connection in self._idle:
            if connection.is_open and connection.used < before:
                connection.quit()
        if self._busy or any(connection.is_open for connection in self._idle):
            self._timer = self._loop.call_later(_LOOK_SECONDS, self._look)


class PlainConnection:
    """One conversation, opened again as needed. `used`: time.monotonic() of its last message."""

    def __init__(self, name: str, relay: Relay, hello: str, timeouts: Timeouts, window: float) -> None:
        self._name = name
        self._relay = relay
        self._hello = hello
        self._timeouts = timeouts
        self._window = window
        self._smtp: smtplib.SMTP | None = None
        self._envelopes = Envelopes({}, dsn=False)
        self._begun = 0
        self._is_useful = False
        self.used = 0.0

    @property
    def is_open(self) -> bool:
        return self._smtp is not None

    def deliver(self, flight: Flight) -> Verdict:
        """One transaction, in a thread of its own."""
        self.used = time.monotonic()
        if self._begun >= (self._relay.message_cap or self._begun + 1):
            self.quit()
        try:
            smtp = self._smtp or self._open()
        except RelayError as error:
            return Verdict(refusal=error)
        parcel, batch = flight.parcel, flight.batch
        if time.monotonic() - parcel.decided > self._window or batch.stops(parcel.message_id):
            return Verdict(put_back(flight))
        try:
            commands = self._envelopes.commands(parcel)
        except UnfitError as error:
            return Verdict(Outcome(parcel.message_id, Result.FAILED, reply=str(error), relay=self._name))
        batch.begun(parcel.message_id)
        batch.flush()
        if batch.failed:
            return Verdict(put_back(flight))
        self._begun += 1
        return self._ask(smtp, flight, commands) or self._hand_over(smtp, flight)

    def quit(self) -> None:
        """Say good-bye without waiting for the answer."""
        smtp, self._smtp = self._smtp, None
        if smtp is not None:
            with suppress(OSError, smtplib.SMTPException):
                smtp.send(b"QUIT\r\n")
            smtp.close()

    def _open(self) -> smtplib.SMTP:
        """Connect, secure, sign in. Raises RelayError."""
        try:
            smtp = self._connect()
        except smtplib.SMTPAuthenticationError as error:
            raise RelayError(f"The relay did not accept our sign-in ({error.smtp_code}).", error.smtp_code) from None
        except smtplib.SMTPResponseException as error:
            reply = Reply(error.smtp_code, _text(error.smtp_error))
            raise RelayError(f"The relay greeted us with {reply.line}", reply.code) from None
        except smtplib.SMTPNotSupportedError as error:
            raise RelayError(f"The relay could not be used: {error}") from None
        except (smtplib.SMTPException, UnicodeError) as error:
            raise RelayError(f"The relay could not be used: {type(error).__name__}.") from None
        except OSError as error:
            raise RelayError(f"The relay could not be reached: {brief(error)}.") from None
        self._smtp, self._begun, self._is_useful = smtp, 0, False
        offers = {name.upper(): str(more) for name, more in smtp.esmtp_features.items()}
        self._envelopes = Envelopes(offers, dsn=self._relay.dsn)
        return smtp

    def _connect(self) -> smtplib.SMTP:
        relay, tls, seconds = self._relay, tls_context(self._relay), self._timeouts.connect
        if relay.security == "tls":
            smtp: smtplib.SMTP = smtplib.SMTP_SSL(relay.host, relay.port, self._hello, timeout=seconds, context=tls)
        else:
            smtp = smtplib.SMTP(relay.host, relay.port, self._hello, timeout=seconds)
        try:
            if smtp.sock is not None:  # content and dot are two writes: the second must not wait for an acknowledgement
                smtp.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            smtp.ehlo_or_helo_if_needed()
            if relay.security == "starttls":
                smtp.starttls(context=tls)
                smtp.ehlo_or_helo_if_needed()
            if relay.username:
                smtp.login(relay.username, relay.password.get_secret_value())
        except BaseException:
            smtp.close()
            raise
        return smtp

    def _ask(self, smtp: smtplib.SMTP, flight: Flight, commands: bytes) -> Verdict | None:
        """MAIL, RCPT and DATA. None: the relay waits for the content."""
        answers = 0
        try:
            _patience(smtp, self._timeouts.command)
            for line in commands.splitlines(keepends=True):
                reply = _answer(smtp, line)
                answers += 1
                if reply.code != 354 if line == b"DATA\r\n" else not reply.is_good:
                    return self._refused(smtp, flight, reply, at_recipient=line.startswith(b"RCPT"))
        except LostError as lost:
            self._drop()
            if not answers and self._is_useful:
                return Verdict()
            return self._in_our_words(flight, Result.DEFERRED, str(lost), fresh=not self._is_useful)
        return None

    def _refused(self, smtp: smtplib.SMTP, flight: Flight, reply: Reply, *, at_recipient: bool) -> Verdict:
        if reply.code == 421 and self._is_useful:
            self._drop()
            return Verdict()  # the relay only tired of this connection
        outcome = judge(flight.parcel, reply, at_recipient=at_recipient, relay=self._name)
        if reply.code < 400:  # a code where none of its kind belongs
            self._drop()
            return Verdict(replace(outcome, result=Result.DEFERRED))
        flight.batch.replied(flight.parcel.message_id, reply.code, outcome.reply)
        flight.batch.flush()
        if reply.code == 421:
            self._drop()
            return Verdict(outcome, RelayError(outcome.reply, reply.code))
        self._is_useful = True
        try:
            _answer(smtp, b"RSET\r\n")
        except LostError:
            self._drop()
        return Verdict(outcome)

    def _hand_over(self, smtp: smtplib.SMTP, flight: Flight) -> Verdict:
        message_id, batch = flight.parcel.message_id, flight.batch
        try:
            _send(smtp, stuffed(flight.parcel.data))
        except LostError as lost:
            self._drop()
            return self._in_our_words(flight, Result.DEFERRED, str(lost))
        batch.dotted(message_id)
        batch.flush()
        if batch.failed:
            self._drop()
            return Verdict(put_back(flight))
        try:
            _patience(smtp, self._timeouts.final)
            reply = _answer(smtp, b".\r\n")
        except LostError as lost:
            self._drop()
            return self._in_our_words(flight, Result.UNKNOWN, str(lost))
        if 300 <= reply.code < 400:
            self._drop()
            return self._in_our_words(flight, Result.UNKNOWN, "The relay answered out of turn.")
        self._is_useful = True
        outcome = judge(flight.parcel, reply, relay=self._name)
        batch.replied(message_id, reply.code, outcome.reply)
        batch.flush()
        if reply.code == 421:
            self._drop()
        return Verdict(outcome)

    def _in_our_words(self, flight: Flight, result: Result, why: str, *, fresh: bool = False) -> Verdict:
        outcome = Outcome(flight.parcel.message_id, result, reply=why, relay=self._name)
        return Verdict(outcome, barren=RelayError(why) if fresh else None)

    def _drop(self) -> None:
        if self._smtp is not None:
            self._smtp.close()
            self._smtp = None


def _patience(smtp: smtplib.SMTP, seconds: float) -> None:
    if smtp.sock is not None:
        smtp.sock.settimeout(seconds)


def _answer(smtp: smtplib.SMTP, line: bytes) -> Reply:
    """What the relay says to a line. Raises LostError."""
    _send(smtp, line)
    try:
        code, words = smtp.getreply()
    except TimeoutError:
        raise LostError("The relay did not answer in time.") from None
    except smtplib.SMTPResponseException:
        raise LostError("The relay did not speak SMTP: a reply line without end.") from None
    except (OSError, smtplib.SMTPException):
        raise LostError(_LOST) from None
    if not 200 <= code < 600:
        raise LostError("The relay did not speak SMTP: a reply that is not SMTP.")
    return Reply(code, _text(words))


def _send(smtp: smtplib.SMTP, octets: bytes) -> None:
    try:
        smtp.send(octets)
    except (OSError, smtplib.SMTPException):
        raise LostError(_LOST) from None


def _text(words: bytes | str) -> str:
    return words.decode("utf-8", "replace") if isinstance(words, bytes) else words
