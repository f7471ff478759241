"""Opens a conversation with a relay: connect, greeting, TLS, sign-in (RFC 5321, RFC 3207, RFC 4954)."""

import asyncio
import base64
import os
import ssl
from dataclasses import dataclass

from outreach.hosts import LOOPBACK, Relay
from outreach.mail.replies import Reply
from outreach.mail.smtp_wire import LostError, RelayError, Wire


@dataclass(frozen=True)
class Timeouts:
    """Seconds. `command` is for MAIL, RCPT and DATA together, so that all of a mail ends within 11 minutes."""

    connect: float = 15
    command: float = 30
    final: float = 600  # RFC 5321 §4.5.3.2.6
    idle: float = 30


@dataclass(frozen=True)
class Opening:
    """How to open a conversation with one relay. `hello`: the name we greet with."""

    relay: Relay
    hello: str
    timeouts: Timeouts
    tls: ssl.SSLContext | None

    async def open(self, wires: set[Wire]) -> tuple[Wire, dict[str, str]]:
        """A wire that is secured and signed in, and what the relay offers. Raises RelayError: what failed."""
        loop = asyncio.get_running_loop()
        at_once = self.tls if self.relay.security == "tls" else None
        try:
            async with asyncio.timeout(self.timeouts.connect):
                _, wire = await loop.create_connection(
                    lambda: Wire(wires),
                    self.relay.host,
                    self.relay.port,
                    ssl=at_once,
                    server_hostname=self.relay.host if at_once else None,
                )
        except TimeoutError:
            raise RelayError("The relay did not take the connection in time.") from None
        except OSError as error:
            raise RelayError(f"The relay could not be reached: {brief(error)}.") from None
        try:
            return wire, await self._begin(wire)
        except BaseException:
            wire.abort()
            raise

    async def _begin(self, wire: Wire) -> dict[str, str]:
        try:
            _must(await wire.reply(self.timeouts.command), "greeted us with", {220})
            offers = await self._greet(wire)
            if self.relay.security == "starttls" and self.tls is not None:
                if "STARTTLS" not in offers:
                    raise RelayError("The relay does not offer STARTTLS, and mail is not handed over in clear.")
                _must(await self._command(wire, "STARTTLS"), "refused STARTTLS:", {220})
                await wire.start_tls(self.tls, self.relay.host, self.timeouts.connect)
                offers = await self._greet(wire)
            if self.relay.username:
                await self._sign_in(wire, offers.get("AUTH", "").split())
            _must_be_silent(wire)
        except LostError as lost:
            raise RelayError(str(lost)) from None
        except TimeoutError:
            raise RelayError("The relay did not answer in time.") from None
        except OSError as error:
            raise RelayError(f"TLS with the relay failed: {brief(error)}.") from None
        return offers

    async def _greet(self, wire: Wire) -> dict[str, str]:
        reply = await self._command(wire, f"EHLO {self.hello}")
        if reply.code in {500, 502}:
            reply = await self._command(wire, f"HELO {self.hello}")
        _must(reply, "refused our greeting:", {250})
        offers = (line.partition(" ") for line in reply.text.upper().split("\n")[1:])
        return {name: more for name, _, more in offers}

    async def _sign_in(self, wire: Wire, offered: list[str]) -> None:
        if self.relay.security == "none" and self.relay.host not in LOOPBACK:
            raise RelayError("The password would travel in clear: set the relay's security to starttls or tls.")
        user, password = self.relay.username, self.relay.password.get_secret_value()
        if "PLAIN" in offered:
            reply = await self._command(wire, f"AUTH PLAIN {_base64(f'{chr(0)}{user}{chr(0)}{password}')}")
        elif "LOGIN" in offered:
            reply = await self._command(wire, "AUTH LOGIN")
            for answer in (user, password):
                if reply.code == 334:
                    reply = await self._command(wire, _base64(answer))
        else:
            raise RelayError("The relay offers no way to sign in that we know (PLAIN, LOGIN).")
        if reply.code != 235:
            raise RelayError(f"The relay did not accept our sign-in ({reply.code} {reply.enhanced}).", reply.code)

    async def _command(self, wire: Wire, line: str) -> Reply:
        _must_be_silent(wire)
        wire.write(f"{line}\r\n".encode())
        return await wire.reply(self.timeouts.command)


def tls_context(relay: Relay) -> ssl.SSLContext | None:
    """How the relay's certificate is checked; None for a relay in clear."""
    if relay.security == "none":
        return None
    context = ssl.create_default_context(cafile=relay.ca_file or None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not relay.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def brief(error: OSError) -> str:
    """What went wrong in a few words, without a host's name or path."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    return os.strerror(error.errno) if error.errno else type(error).__name__


def _must(reply: Reply, did: str, codes: set[int]) -> None:
    if reply.code not in codes:
        raise RelayError(f"The relay {did} {reply.line}", reply.code)


def _must_be_silent(wire: Wire) -> None:
    """What came unasked would be read as the answer to what is asked next."""
    if wire.has_unread:
        raise RelayError("The relay said more than it was asked.")


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
