"""One SMTP conversation with a relay: greeting, TLS, sign-in, then one transaction after another (RFC 5321)."""

import asyncio
import base64
import os
import re
import ssl
from collections.abc import Sequence
from dataclasses import dataclass

from outreach.config import LOOPBACK, Relay
from outreach.mail.replies import Reply, judge, scrubbed
from outreach.mail.smtp_wire import LostError, RelayError, Wire
from outreach.mail.transport import Journal, Outcome, Parcel, Result

_BIG = 65_536  # larger bodies are written and drained before the final dot is
_BARE = re.compile(rb"(?<!\r)\n|\r(?!\n)")
_SAFE = re.compile(r"[^\x00-\x20\x7f<>@]+@[^\x00-\x20\x7f<>@]+")


@dataclass(frozen=True)
class Timeouts:
    """Seconds. With `command` for MAIL, RCPT and DATA together, all of them end within a lease's last 11 minutes."""

    connect: float = 15
    command: float = 30
    final: float = 600  # RFC 5321 §4.5.3.2.6
    idle: float = 30


class Connection:
    """An open, signed-in conversation. `taken`: how many mails the relay accepted over it."""

    def __init__(self, relay: Relay, hello: str, timeouts: Timeouts, wire: Wire) -> None:
        self._relay = relay
        self._hello = hello
        self._timeouts = timeouts
        self._wire = wire
        self._offers: dict[str, str] = {}
        self._needs_reset = False
        self.taken = 0
        self.is_reused = False

    @property
    def closed(self) -> bool:
        return self._wire.closed

    @property
    def is_barren(self) -> bool:
        """It was opened for this batch and ended before the relay took anything."""
        return self.closed and not self.taken and not self.is_reused

    @classmethod
    async def open(
        cls, relay: Relay, hello: str, timeouts: Timeouts, tls: ssl.SSLContext | None, wires: set[Wire]
    ) -> "Connection":
        """Connect, secure and sign in; its wire stands in `wires` while open. Raises RelayError: what failed."""
        loop = asyncio.get_running_loop()
        at_once = tls if relay.security == "tls" else None
        try:
            async with asyncio.timeout(timeouts.connect):
                _, wire = await loop.create_connection(
                    lambda: Wire(wires),
                    relay.host,
                    relay.port,
                    ssl=at_once,
                    server_hostname=relay.host if at_once else None,
                )
        except TimeoutError:
            raise RelayError("The relay did not take the connection in time.") from None
        except OSError as error:
            raise RelayError(f"The relay could not be reached: {_brief(error)}.") from None
        connection = cls(relay, hello, timeouts, wire)
        try:
            await connection._begin(tls)
        except BaseException:
            wire.abort()
            raise
        return connection

    async def deliver(self, parcel: Parcel, journal: Journal) -> Outcome | None:
        """One transaction. None: this connection was stale before the relay saw anything of it; use another."""
        refusal = self._cannot(parcel)
        if refusal is not None:
            return refusal
        body = stuffed(parcel.data)
        journal.begun(parcel.message_id)
        try:
            replies = await self._ask(parcel)
        except LostError as lost:
            return self._lost_asking(parcel, journal, lost)
        reply, at_recipient = _first_refusal(replies)
        if reply is None:
            return await self._hand_over(parcel, journal, body)
        if len(replies) == 3 and replies[2].code == 354:
            await self._take_back()
        outcome = self._refused(parcel, journal, reply, at_recipient)
        await self._reset()
        return outcome

    def quit(self) -> None:
        """Say good-bye without waiting for the answer."""
        self._wire.write(b"QUIT\r\n")
        self._wire.close()

    def abort(self) -> None:
        self._wire.abort()

    async def _begin(self, tls: ssl.SSLContext | None) -> None:
        try:
            self._must(await self._reply(), "greeted us with", {220})
            await self._greet()
            if self._relay.security == "starttls" and tls is not None:
                if "STARTTLS" not in self._offers:
                    raise RelayError("The relay does not offer STARTTLS, and mail is not handed over in clear.")
                self._must(await self._command("STARTTLS"), "refused STARTTLS:", {220})
                await self._wire.start_tls(tls, self._relay.host, self._timeouts.connect)
                await self._greet()
            if self._relay.username:
                await self._sign_in()
        except LostError as lost:
            raise RelayError(str(lost)) from None
        except TimeoutError:
            raise RelayError("The relay did not answer in time.") from None
        except OSError as error:
            raise RelayError(f"TLS with the relay failed: {_brief(error)}.") from None

    async def _greet(self) -> None:
        reply = await self._command(f"EHLO {self._hello}")
        if reply.code in {500, 502}:
            reply = await self._command(f"HELO {self._hello}")
        self._must(reply, "refused our greeting:", {250})
        offers = (line.partition(" ") for line in reply.text.upper().split("\n")[1:])
        self._offers = {name: more for name, _, more in offers}

    async def _sign_in(self) -> None:
        if self._relay.security == "none" and self._relay.host not in LOOPBACK:
            raise RelayError("The password would travel in clear: set the relay's security to starttls or tls.")
        user, password = self._relay.username, self._relay.password.get_secret_value()
        offered = self._offers.get("AUTH", "").split()
        if "PLAIN" in offered:
            reply = await self._command(f"AUTH PLAIN {_base64(f'{chr(0)}{user}{chr(0)}{password}')}")
        elif "LOGIN" in offered:
            reply = await self._command("AUTH LOGIN")
            for answer in (user, password):
                if reply.code == 334:
                    reply = await self._command(_base64(answer))
        else:
            raise RelayError("The relay offers no way to sign in that we know (PLAIN, LOGIN).")
        if reply.code != 235:
            raise RelayError(f"The relay did not accept our sign-in ({reply.code} {reply.enhanced}).", reply.code)

    async def _command(self, line: str) -> Reply:
        self._wire.write(f"{line}\r\n".encode())
        return await self._reply()

    async def _reply(self) -> Reply:
        return (await self._wire.replies(1, self._timeouts.command))[0]

    def _must(self, reply: Reply, did: str, codes: set[int]) -> None:
        if reply.code not in codes:
            raise RelayError(f"The relay {did} {scrubbed(reply)}", reply.code)

    def _cannot(self, parcel: Parcel) -> Outcome | None:
        """The outcome of a parcel this relay cannot be asked to take."""
        for address in (parcel.mail_from, parcel.rcpt_to):
            if not _SAFE.fullmatch(address) and (address or address is parcel.rcpt_to):
                return _failed(parcel, "This is not an address that can be handed to a relay.")
        if _needs_utf8(parcel) and "SMTPUTF8" not in self._offers:
            return _failed(parcel, "The relay does not offer SMTPUTF8, which this address needs.")
        if not parcel.data.isascii() and "8BITMIME" not in self._offers:
            return _failed(parcel, "The relay does not offer 8BITMIME, which this mail needs.")
        return None

    async def _ask(self, parcel: Parcel) -> list[Reply]:
        """MAIL, RCPT and DATA: in one round trip where PIPELINING is offered (RFC 2920), else one by one."""
        size = f" SIZE={len(parcel.data)}" if "SIZE" in self._offers else ""
        eight = "" if parcel.data.isascii() else " BODY=8BITMIME"
        utf8 = " SMTPUTF8" if _needs_utf8(parcel) else ""
        commands = [f"MAIL FROM:<{parcel.mail_from}>{size}{eight}{utf8}", f"RCPT TO:<{parcel.rcpt_to}>", "DATA"]
        if "PIPELINING" in self._offers:
            reset = ["RSET"] if self._needs_reset else []
            self._needs_reset = False
            self._wire.write("\r\n".join([*reset, *commands, ""]).encode())
            try:
                replies = await self._wire.replies(len(reset) + 3, self._timeouts.command)
            except LostError as lost:
                raise LostError(str(lost), lost.replies[len(reset) :]) from None
            return replies[len(reset) :]
        replies = []
        for command in commands:
            try:
                replies.append(await self._command(command))
            except LostError as lost:
                raise LostError(str(lost), replies) from None
            if not replies[-1].is_good:
                break
        return replies

    def _lost_asking(self, parcel: Parcel, journal: Journal, lost: LostError) -> Outcome | None:
        """Nothing was handed over. A refusal that did arrive before the loss is this parcel's answer."""
        reply, at_recipient = _first_refusal(lost.replies)
        if reply is not None and reply.code != 354:
            return self._refused(parcel, journal, reply, at_recipient)
        if not lost.replies and (self.is_reused or self.taken):
            return None
        return Outcome(parcel.message_id, Result.DEFERRED, reply=str(lost))

    def _refused(self, parcel: Parcel, journal: Journal, reply: Reply, at_recipient: bool) -> Outcome | None:
        self._needs_reset = True
        if reply.code == 421:
            self._wire.abort()
            if self.is_reused or self.taken:
                return None  # the relay only tired of this connection
        outcome = judge(parcel, reply, at_recipient=at_recipient)
        if outcome.result is Result.SENT:  # a good code where none of its kind belongs: trust nothing that follows
            self._wire.abort()
            outcome = Outcome(parcel.message_id, Result.DEFERRED, reply.code, reply=outcome.reply)
        journal.replied(parcel.message_id, reply.code, outcome.reply)
        return outcome

    async def _hand_over(self, parcel: Parcel, journal: Journal, body: bytes) -> Outcome:
        try:
            if len(body) > _BIG:
                self._wire.write(body)
                body = b""
                await self._wire.drain(self._timeouts.command)
            if self._wire.closed:
                raise LostError(self._wire.trouble, [])
        except LostError as lost:
            return Outcome(parcel.message_id, Result.DEFERRED, reply=str(lost))
        journal.dotted(parcel.message_id)
        self._wire.write(body + b".\r\n")
        try:
            reply = (await self._wire.replies(1, self._timeouts.final))[0]
        except LostError as lost:
            return Outcome(parcel.message_id, Result.UNKNOWN, reply=str(lost))
        outcome = judge(parcel, reply)
        journal.replied(parcel.message_id, reply.code, outcome.reply)
        if reply.is_good:
            self.taken += 1
        elif reply.code == 421:
            self._wire.abort()
        return outcome

    async def _reset(self) -> None:
        """Clear a refused transaction at once where it cannot travel with the next one: MAIL FROM must never wait."""
        if self.closed or "PIPELINING" in self._offers:
            return
        self._needs_reset = False
        try:
            await self._command("RSET")
        except LostError:
            return

    async def _take_back(self) -> None:
        """DATA was taken though nobody is to receive it: RFC 2920 §3.1 asks for a lone dot."""
        self._wire.write(b".\r\n")
        try:
            await self._wire.replies(1, self._timeouts.command)
        except LostError:
            return


def stuffed(data: bytes) -> bytes:
    """`data` as it goes over the wire: CRLF only, leading dots doubled (RFC 5321 §4.5.2), one CRLF at the end.

    Bare CR or LF would let what one server reads as text be a command to the next ("SMTP smuggling").
    """
    if not (data.count(b"\n") == data.count(b"\r") == data.count(b"\r\n")):
        data = _BARE.sub(b"\r\n", data)
    if not data.endswith(b"\r\n"):
        data += b"\r\n"
    if data.startswith(b"."):
        data = b"." + data
    return data.replace(b"\r\n.", b"\r\n..")


def _first_refusal(replies: Sequence[Reply]) -> tuple[Reply | None, bool]:
    """The first reply of MAIL, RCPT, DATA that is no yes, and whether it was said of the recipient."""
    for stage, reply in enumerate(replies):
        if reply.code != 354 if stage == 2 else not reply.is_good:
            return reply, stage == 1
    return None, False


def _needs_utf8(parcel: Parcel) -> bool:
    return not (parcel.rcpt_to.isascii() and parcel.mail_from.isascii())


def _failed(parcel: Parcel, why: str) -> Outcome:
    return Outcome(parcel.message_id, Result.FAILED, reply=why)


def _brief(error: OSError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    return os.strerror(error.errno) if error.errno else type(error).__name__


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
