"""What stands around the server under test: name service, a server that refuses by name, one that keeps reports."""

import socketserver
import threading
import time
from collections.abc import Callable

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

from tests.mail.inbound.making.cases import CASES, CLOSED, DROP, NULL_MX, REFUSING, Case

RELAY, PEER, CATCHER, SILENT, SMALL = (f"192.0.2.{last}" for last in (1, 2, 3, 4, 5))
_ADDRESSES = {
    "relay.example.org": RELAY,
    REFUSING: PEER,
    "catcher.example.org": CATCHER,
    CLOSED: SILENT,
    "small.example.test": SMALL,
}
_MX = {"in.example.org": "10 catcher.example.org.", NULL_MX: "0 ."}


class Names(socketserver.BaseRequestHandler):
    """The few names there are; NXDOMAIN for all others."""

    def handle(self) -> None:
        octets, answerer = self.request
        question = dns.message.from_wire(octets)
        answer = dns.message.make_response(question)
        answer.flags |= dns.flags.AA | dns.flags.RA
        asked = question.question[0]
        name, kind = asked.name.to_text().rstrip(".").lower(), asked.rdtype.name
        if kind == "MX" and name in _MX:
            answer.answer.append(dns.rrset.from_text(asked.name, 60, "IN", "MX", _MX[name]))
        elif kind == "A" and name in _ADDRESSES:
            answer.answer.append(dns.rrset.from_text(asked.name, 60, "IN", "A", _ADDRESSES[name]))
        elif kind == "PTR":
            last = name.split(".")[0]
            known = [host for host, address in _ADDRESSES.items() if address == f"192.0.2.{last}"]
            for host in known[:1]:
                answer.answer.append(dns.rrset.from_text(asked.name, 60, "IN", "PTR", f"{host}."))
        elif name not in _ADDRESSES and name not in _MX:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        answerer.sendto(answer.to_wire(), self.client_address)


class Conversation(socketserver.StreamRequestHandler):
    """One SMTP conversation; each recipient's local part names the case."""

    server: "Mail"

    def handle(self) -> None:
        self._say(f"220 {self.server.name} ESMTP")
        sender, recipients = "", list[str]()
        while line := self.rfile.readline().decode("utf-8", "replace").strip():
            verb = line[:4].upper()
            if verb == "EHLO":
                self._say(f"250-{self.server.name}\r\n250-{self.server.offer}\r\n250 ENHANCEDSTATUSCODES")
            elif verb == "MAIL":
                sender, recipients = line[10:].split(">")[0].lstrip("<"), []
                self._say("250 2.1.0 ok")
            elif verb == "RCPT":
                recipients.append(line[8:].split(">")[0].lstrip("<"))
                self._say(self._answer(recipients[-1], {"RCPT", "MAIL"}) or "250 2.1.5 ok")
            elif verb == "DATA":
                self._say("354 go on")
                octets = self._content()
                answer = self._answer(recipients[-1], {"DATA"})
                if answer == DROP:
                    return
                self.server.keep(f"Return-Path: <{sender}>\r\n".encode() + octets)
                self._say(answer or "250 2.0.0 taken")
            elif verb == "QUIT":
                self._say("221 2.0.0 bye")
                return
            else:
                self._say("250 2.0.0 ok")

    def _answer(self, address: str, places: set[str]) -> str:
        found = next((case for case in CASES if case.address == address.lower()), Case("", ""))
        return found.answer if found.at in places else ""

    def _content(self) -> bytes:
        lines: list[bytes] = []
        while (line := self.rfile.readline()) not in {b".\r\n", b""}:
            lines.append(line[1:] if line.startswith(b"..") else line)
        return b"".join(lines)

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


class Mail(socketserver.ThreadingTCPServer):
    """Listens on port 25 of `address`. `kept`: (when, mail) of what it took."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address: str, name: str, offer: str = "8BITMIME") -> None:
        self.name, self.offer = name, offer
        self.kept: list[tuple[float, bytes]] = []
        super().__init__((address, 25), Conversation)

    def keep(self, octets: bytes) -> None:
        self.kept.append((time.monotonic(), octets))


def start() -> Mail:
    """All of them, in threads; the one that keeps reports is returned."""
    catcher = Mail(CATCHER, "catcher.example.org")
    servers: list[socketserver.BaseServer] = [
        socketserver.ThreadingUDPServer(("127.0.0.1", 53), Names),
        Mail(PEER, REFUSING),
        Mail(SMALL, "small.example.test", "SIZE 300"),
        catcher,
    ]
    for server in servers:
        _run(server.serve_forever)
    return catcher


def _run(serve: Callable[[], None]) -> None:
    threading.Thread(target=serve, daemon=True).start()
