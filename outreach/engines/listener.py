"""The door for mail that comes in: an SMTP or LMTP server that decides at RCPT, and answers 250 once a mail is on disk.

Who may be written to is said by `services/intake/accept.py`; what cannot be kept now is to come again (451), so nothing
is lost and nothing bounces for our sake. It relays for nobody and answers no mail by mail, so it makes no loops. With a
certificate it offers STARTTLS and requires it of nobody, as a server for everybody's mail must not (RFC 3207 §4).
"""

import asyncio
import ipaddress
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

import structlog
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, Session, TLSSetupException

from outreach.domain.errors import SettingsError
from outreach.engines.certificate import certificate_of
from outreach.engines.ticks import where
from outreach.hosts import LOOPBACK
from outreach.mail.peer import Peer
from outreach.mail.receiving import Conversation, Receiver
from outreach.services.context import Context
from outreach.services.intake.accept import RELAY, UNKNOWN, Known, Refusal, may_accept, take_in

MOST_CONNECTIONS = 60
MOST_CONNECTIONS_A_PEER = 10
MOST_RECIPIENTS = 20
MOST_UNKNOWN = 10
"""Addresses of nobody that one stranger may try."""
MAILS_A_MINUTE = 300
"""Of one peer. A mail server of one's own, on this machine or by LMTP, has no limits but the first."""
MOST_HOPS = 100
"""RFC 5321 §6.3: so many Received fields, and the mail goes in circles."""

_LATER = "451 4.3.0 Not now, please try again later"
_KEPT = "250 2.0.0 Kept"
_MINUTE = 60.0
_MOST_PEERS = 10_000
_STORE_THREADS = 4
_LONGEST_LINE = 65_536
_OVER = 4
"""A client that goes on so many times beyond the largest mail is hung up on."""
_COMMANDS = 1_000

log = structlog.get_logger()
_T = TypeVar("_T")


class Listener(Receiver):
    """Takes mail in where the settings say, from `start` to `stop`; `port` instead of theirs where it is given.

    Raises SettingsError where a certificate is named that cannot be shown.
    """

    def __init__(self, ctx: Context, port: int | None = None) -> None:
        settings = ctx.settings
        self._ctx = ctx
        self._certificate = certificate_of(settings)
        self._is_lmtp = settings.inbound_protocol == "lmtp"
        self._threads = ThreadPoolExecutor(_STORE_THREADS, "intake")
        self._peers = _Peers()
        super().__init__(
            "listener", settings.inbound_host, settings.inbound_port if port is None else port, self._converse
        )

    def stop(self) -> None:
        """End every conversation; what was being stored is stored."""
        super().stop()
        self._threads.shutdown()

    def _converse(self, loop: asyncio.AbstractEventLoop, others: set[Conversation]) -> Conversation:
        handler = _Handler(self._ctx, self._threads, self._peers, is_lmtp=self._is_lmtp)
        return (_LmtpConversation if self._is_lmtp else _Conversation)(
            handler,
            others,
            data_size_limit=self._ctx.settings.inbound_most_mb * 1_000_000,
            enable_SMTPUTF8=True,
            hostname=self._ctx.settings.mail_in,
            ident="Outreach",
            command_call_limit=_COMMANDS,
            tls_context=self._certificate.current() if self._certificate else None,
            loop=loop,
        )


@contextmanager
def listening(ctx: Context) -> Iterator[None]:
    """Take mail in while the block runs, if any is to come in. Where another listens already, that one does.

    Raises SettingsError as Listener does.
    """
    if not ctx.settings.mail_in:
        yield
        return
    listener = Listener(ctx)
    try:
        listener.start()
    except OSError as error:
        log.warning("listener.not-here", port=ctx.settings.inbound_port, error=type(error).__name__)
        yield
        return
    log.info("listener.listens", port=listener.port, protocol=ctx.settings.inbound_protocol)
    try:
        yield
    finally:
        listener.stop()


def run_listener(ctx: Context, stopping: threading.Event) -> None:
    """Take mail in until `stopping` is set. Raises SettingsError where none is to come in, or the port is taken."""
    if not ctx.settings.mail_in:
        raise SettingsError("inbound_domain: no mail comes in before it names a domain")
    listener = Listener(ctx)
    try:
        listener.start()
    except OSError as error:
        raise SettingsError(f"inbound_port: cannot listen there: {error.strerror}") from None
    log.info("listener.listens", port=listener.port, protocol=ctx.settings.inbound_protocol)
    try:
        stopping.wait()
    finally:
        listener.stop()


class _Conversation(Conversation):
    """One client, turned away where it, or all together, take more than their share. `host`: its network address."""

    line_length_limit = _LONGEST_LINE
    host = ""
    _octets = 0
    _is_turned_away = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Also called when TLS begins."""
        if self in self._others:
            super().connection_made(transport)
            return
        host = _host(transport.get_extra_info("peername"))
        theirs = len([one for one in self._others if isinstance(one, _Conversation) and one.host == host])
        self.host = host
        if len(self._others) >= MOST_CONNECTIONS or (theirs >= MOST_CONNECTIONS_A_PEER and not _is_ours(host)):
            self._is_turned_away = True
            transport.write(b"421 4.7.0 Too many connections, please try again later\r\n")  # type: ignore[attr-defined]  # a stream's
            transport.close()
            return
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        if not self._is_turned_away:
            super().connection_lost(error)

    def eof_received(self) -> bool | None:
        return None if self._is_turned_away else super().eof_received()

    def data_received(self, data: bytes) -> None:
        self._octets += len(data)
        if self._is_turned_away:
            return
        if self._octets > _OVER * (self.data_size_limit or 0) + _LONGEST_LINE:
            self.end()
            return
        super().data_received(data)

    async def smtp_AUTH(self, _arg: str) -> None:  # noqa: N802  aiosmtpd's
        await self.push("502 5.5.1 Nobody signs in here")

    def _set_post_data_state(self) -> None:
        self._octets = 0
        super()._set_post_data_state()  # type: ignore[no-untyped-call]  # aiosmtpd's

    def _create_envelope(self) -> Envelope:
        return _Envelope()


class _LmtpConversation(_Conversation, LMTP):
    """The same, for a mail server of one's own (RFC 2033)."""


class _Envelope(Envelope):
    """`known`: the recipients that were let in, in the order of `rcpt_tos`."""

    def __init__(self) -> None:
        super().__init__()
        self.known: list[Known] = []


class _Peers:
    """How many mails each peer brought in the running minute."""

    def __init__(self) -> None:
        self._counts: dict[str, tuple[float, int]] = {}

    def is_too_fast(self, host: str) -> bool:
        """Count one more mail of this peer."""
        now = time.monotonic()
        if len(self._counts) > _MOST_PEERS:
            self._counts = {one: seen for one, seen in self._counts.items() if now - seen[0] < _MINUTE}
        began, count = self._counts.get(host, (now, 0))
        if now - began >= _MINUTE:
            began, count = now, 0
        self._counts[host] = began, count + 1
        return count >= MAILS_A_MINUTE


class _Handler:
    """What aiosmtpd asks during one conversation. Its names are aiosmtpd's."""

    def __init__(self, ctx: Context, threads: ThreadPoolExecutor, peers: _Peers, *, is_lmtp: bool) -> None:
        self._ctx, self._threads, self._peers, self._is_lmtp = ctx, threads, peers, is_lmtp
        self._unknown = 0

    async def handle_EHLO(  # noqa: N802  aiosmtpd's
        self, _server: SMTP, session: Session, _envelope: Envelope, name: str, offers: list[str]
    ) -> list[str]:
        session.host_name = name
        return [offer for offer in offers if not offer.startswith("250-AUTH")]  # aiosmtpd's, under TLS

    async def handle_MAIL(  # noqa: N802  aiosmtpd's
        self, _server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        host = _host(session.peer)
        if not self._is_lmtp and not _is_ours(host) and self._peers.is_too_fast(host):
            return "451 4.7.1 Too many mails in a minute, please try again later"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 2.1.0 OK"

    async def handle_RCPT(  # noqa: N802  aiosmtpd's
        self, server: Conversation, session: Session, envelope: _Envelope, address: str, _options: list[str]
    ) -> str:
        if len(envelope.known) >= MOST_RECIPIENTS:
            return "452 4.5.3 Too many recipients, please bring the others apart"
        local_part, _, domain = address.rpartition("@")
        if address.lower() == "postmaster":  # RFC 5321 §4.5.1
            local_part, domain = address, self._ctx.settings.mail_in
        found: Refusal | Known | None = UNKNOWN
        if domain.lower() == self._ctx.settings.mail_in.lower():
            found = await self._ask(partial(may_accept, self._ctx, local_part))
        if found is None:
            return _LATER
        if isinstance(found, Refusal):
            return self._refuse(server, found, _host(session.peer))
        if not self._is_lmtp and envelope.known and RELAY in {found.door, envelope.known[0].door}:
            return "452 4.5.3 Please bring the others apart"  # each is refused or kept by itself
        envelope.known.append(found)
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 OK"

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: _Envelope) -> str:  # noqa: N802  aiosmtpd's
        octets = envelope.original_content or b""
        if _hops(octets) > MOST_HOPS:
            return self._say(["554 5.4.6 This mail goes in circles"] * len(envelope.known))
        mail_from = "" if envelope.mail_from in {None, "<>"} else str(envelope.mail_from)
        peer = Peer(_host(session.peer), session.host_name or "", mail_from)
        answers = []
        for known in envelope.known:
            answers.append(await self._keep(known, octets, peer))
        log.info("listener.mail", protocol=self._protocol(session), kept=answers.count(_KEPT), of=len(answers))
        return self._say(answers)

    async def handle_exception(self, error: Exception) -> str:
        if isinstance(error, TLSSetupException):
            log.info("listener.no-handshake", error=type(error.__cause__).__name__)
            return _LATER
        log.error("listener.conversation", error=type(error).__name__, where=where(error))
        return _LATER

    async def _keep(self, known: Known, octets: bytes, peer: Peer) -> str:
        refused = await self._ask(partial(take_in, self._ctx, known, octets, peer), _KEPT)
        if refused is None:
            return _LATER
        return f"{refused.code} {refused.text}" if isinstance(refused, Refusal) else _KEPT

    def _protocol(self, session: Session) -> str:
        """How the mail came, in the words of RFC 3848."""
        if not session.extended_smtp:
            return "SMTP"
        return ("LMTP" if self._is_lmtp else "ESMTP") + ("S" if session.ssl else "")

    def _say(self, answers: list[str]) -> str:
        """By LMTP an answer for each recipient (RFC 2033 §4.2); by SMTP one for all: what is not kept comes again."""
        if self._is_lmtp:
            return "\r\n".join(answers)
        later = next((answer for answer in answers if answer.startswith("4")), None)
        return later or next((answer for answer in answers if answer == _KEPT), answers[0])

    def _refuse(self, server: Conversation, refusal: Refusal, host: str) -> str:
        self._unknown += 1
        if self._unknown > MOST_UNKNOWN and not self._is_lmtp and not _is_ours(host):
            server.loop.call_soon(server.end)
            return "421 4.7.0 Too many addresses of nobody"
        return f"{refusal.code} {refusal.text}"

    async def _ask(self, work: Callable[[], _T | None], otherwise: Any = None) -> Any:
        """What the store says, asked on a thread beside; None while it does not answer."""
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except Exception as error:  # whatever keeps us from the store: the mail is to come again
            log.error("listener.store", error=type(error).__name__, where=where(error))
            return None
        return otherwise if found is None else found


def _host(peername: Any) -> str:
    """The client's network address; empty for a socket without one."""
    return str(peername[0]) if isinstance(peername, tuple) and peername else ""


def _is_ours(host: str) -> bool:
    """Whether the client is on this machine, where one's own mail server is."""
    try:
        return host in LOOPBACK or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return not host


def _hops(octets: bytes) -> int:
    """How many servers took the mail (RFC 5321 §4.4)."""
    head = octets.partition(b"\r\n\r\n")[0].lower()
    return head.count(b"\nreceived:") + head.startswith(b"received:")
