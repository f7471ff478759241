"""Relays to hand mail to: one that follows a script, however hostile, and one with TLS and sign-in (aiosmtpd)."""

import datetime
import ipaddress
import socket
import ssl
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from outreach.config import Settings
from outreach.hosts import Relay
from outreach.mail.relays import Router
from outreach.mail.smtp_opening import Timeouts
from outreach.mail.transport import Journal, Outcome, Parcel, Stop

DROP = "DROP"
STALL = "STALL"
QUICK = Timeouts(connect=2, command=0.3, final=0.3, idle=5)
PATIENT = Timeouts(connect=3, command=3, final=3, idle=5)
_FINE = {
    "GREETING": "220 scripted",
    "RSET": "250 2.0.0 ok",
    "MAIL": "250 2.1.0 ok",
    "RCPT": "250 2.1.5 ok",
    "DATA": "354 go on",
    "DOT": "250 2.0.0 taken",
    "QUIT": "221 bye",
}


class Diary:
    """A journal that remembers, in order."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, int]] = []
        self.texts: dict[int, str] = {}

    def begun(self, message_id: int) -> None:
        self.entries.append(("begun", message_id))

    def dotted(self, message_id: int) -> None:
        self.entries.append(("dotted", message_id))

    def replied(self, message_id: int, code: int, text: str) -> None:
        self.entries.append((f"replied {code}", message_id))
        self.texts[message_id] = text

    def flush(self) -> None:
        pass

    def of(self, message_id: int) -> list[str]:
        return [word for word, number in self.entries if number == message_id]


@dataclass
class Scripted:
    """Answers each verb by its script, else politely. "RCPT 2" names the second RCPT of all; "BODY" drops in a mail.

    `heard`: every line, in order. `most_talking`: connections that were past the greeting at one time.
    """

    script: dict[str, str] = field(default_factory=dict)
    offers: Sequence[str] = ("PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 1000000", "ENHANCEDSTATUSCODES")
    heard: list[str] = field(default_factory=list)
    mails: list[bytes] = field(default_factory=list)
    connections: int = 0
    most_talking: int = 0

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._said: dict[str, int] = defaultdict(int)
        self._talking: set[socket.socket] = set()
        self._lock = threading.Condition()
        self._sockets: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def hears(self, line: str) -> bool:
        """Wait for a line, for two seconds at most."""
        with self._lock:
            return self._lock.wait_for(lambda: line in self.heard, 2)

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._thread.join(2)

    def relay(self, connections: int = 1, **more: Any) -> Relay:
        return Relay(host="127.0.0.1", port=self.port, security="none", connections=connections, **more)

    def _accept(self) -> None:
        while True:
            try:
                one, _ = self._listener.accept()
            except OSError:
                return
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets.append(one)
            self.connections += 1
            threading.Thread(target=self._serve, args=(one,), daemon=True).start()

    def _serve(self, one: socket.socket) -> None:
        with suppress(OSError, EOFError):
            self._talk(one, one.makefile("rb"))
        self._talking.discard(one)
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()

    def _talk(self, one: socket.socket, lines: BinaryIO) -> None:
        self._say(one, "GREETING")
        while True:
            line = self._hear(lines)
            verb = line[:4].upper()
            with self._lock:
                self.heard.append(line)
                self._talking.add(one)
                self.most_talking = max(self.most_talking, len(self._talking))
                self._lock.notify_all()
            if verb == "EHLO":
                self._send(one, "250-scripted\r\n" + "".join(f"250-{offer}\r\n" for offer in self.offers) + "250 HELP")
                continue
            said = self._say(one, verb)
            if verb == "DATA" and said.startswith("354"):
                if "BODY" in self.script:
                    lines.readline()
                    raise EOFError
                content = b""
                while (row := lines.readline()) != b".\r\n":
                    if not row:
                        raise EOFError
                    content += row
                with self._lock:
                    self.mails.append(content)
                self._say(one, "DOT")
            if verb == "QUIT" or said.startswith("421"):
                raise EOFError

    def _say(self, one: socket.socket, verb: str) -> str:
        with self._lock:
            self._said[verb] += 1
            planned = self.script.get(f"{verb} {self._said[verb]}", self.script.get(verb))
        said = planned or _FINE.get(verb, "500 what")
        if said == DROP:
            raise EOFError
        if said == STALL:
            one.recv(1)  # until the client has had enough
            while one.recv(4096):
                pass
            raise EOFError
        self._send(one, said)
        return said

    @staticmethod
    def _send(one: socket.socket, text: str) -> None:
        one.sendall(f"{text}\r\n".encode())

    @staticmethod
    def _hear(lines: BinaryIO) -> str:
        line = lines.readline()
        if not line:
            raise EOFError
        return line.decode().rstrip("\r\n")


@contextmanager
def scripted(script: dict[str, str] | None = None, **more: Any) -> Iterator[Scripted]:
    server = Scripted(script or {}, **more)
    try:
        yield server
    finally:
        server.close()


class OneRelay:
    """A router with a single relay."""

    def __init__(self, relay: Relay, timeouts: Timeouts, window: float) -> None:
        settings = Settings(relays={"main": relay}, public_url="https://mail.example.org")
        self._router = Router(settings, "client.example", timeouts=timeouts, window=window)
        self.close = self._router.close

    def hand_off(self, parcels: Sequence[Parcel], journal: Journal, stop: Stop | None = None) -> list[Outcome]:
        return self._router.hand_off("main", parcels, journal, stop)


@contextmanager
def handing(relay: Relay, timeouts: Timeouts = QUICK, window: float = 2.0) -> Iterator[OneRelay]:
    transport = OneRelay(relay, timeouts, window)
    try:
        yield transport
    finally:
        transport.close()


def parcel(
    number: int, to: str = "", data: bytes = b"Subject: hello\r\n\r\nbody\r\n", age: float = 0, provider: str = "other"
) -> Parcel:
    to = to or f"reader{number}@example.net"
    return Parcel(number, "news@example.org", to, data, time.monotonic() - age, provider)


def by_id(outcomes: list[Outcome]) -> dict[int, Outcome]:
    found = {outcome.message_id: outcome for outcome in outcomes}
    assert len(found) == len(outcomes)
    return found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A self-signed certificate for 127.0.0.1: the file to trust, and a server's context."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "relay.test")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    trust, private = folder / "cert.pem", folder / "key.pem"
    trust.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(trust, private)
    return trust, context
