"""A relay that does as a script says at every point, cuts the line at any octet, and keeps a log that cannot lie."""

import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_PATIENCE_SECONDS = 5


class CutError(Exception):
    """The line is cut here."""


@dataclass(frozen=True)
class Talk:
    """One connection. `says`: answers by verb ("." for a content), taken in turn, then polite ones.

    `hears`, `tells`: octets it reads and writes after its EHLO before it cuts the line, None: all. `pieces`: how many
    octets of an answer it sends at a time.
    """

    says: Mapping[str, Sequence[str]] = field(default_factory=dict)
    hears: int | None = None
    tells: int | None = None
    pieces: int = 10_000
    pipelining: bool = True


_POLITE = {
    "MAIL": "250 ok",
    "RCPT": "250 ok",
    "DATA": "354 go on",
    ".": "250 taken",
    "RSET": "250 ok",
    "QUIT": "221 bye",
}


class Fickle:
    """`talks`: what its first connections are like; those after them are polite.

    `accepted`: how often each recipient's mail was taken. `told`: whose acceptance was sent to its last octet.
    `noted(word, recipient)` is asked when an envelope (`begun`) or a whole content (`dotted`) was read; where it says
    no, that is kept in `unnoted`.
    """

    def __init__(self, talks: Sequence[Talk], noted: Callable[[str, str], bool]) -> None:
        self._talks = list(talks)
        self.noted = noted
        self.accepted: Counter[str] = Counter()
        self.told: set[str] = set()
        self.unnoted: list[tuple[str, str]] = []
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._threads: list[threading.Thread] = []
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in (self._acceptor, *self._threads):
            thread.join(_PATIENCE_SECONDS)

    def _accept(self) -> None:
        while True:
            try:
                line, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            talk = self._talks.pop(0) if self._talks else Talk()
            thread = threading.Thread(target=self._serve, args=(line, talk), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, line: socket.socket, talk: Talk) -> None:
        line.settimeout(_PATIENCE_SECONDS)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with line, suppress(OSError, CutError):
            _Conversation(self, line, talk).hold()


class _Conversation:
    def __init__(self, log: Fickle, line: socket.socket, talk: Talk) -> None:
        self._log = log
        self._line = line
        self._talk = talk
        self._says = {verb: list(answers) for verb, answers in talk.says.items()}
        self._unread = b""
        self._hears: int | None = None
        self._tells: int | None = None

    def hold(self) -> None:
        self._say("220 fickle")
        self._row()
        self._say("250-fickle\r\n250-8BITMIME\r\n250 PIPELINING" if self._talk.pipelining else "250 fickle")
        self._hears, self._tells = self._talk.hears, self._talk.tells
        sender = recipient = ""
        while True:
            row = self._row().decode()
            verb = row[:4].upper()
            if verb == "MAIL":
                sender, recipient = row, ""
            if verb == "RCPT" and sender:
                recipient = row.partition("<")[2].partition(">")[0]
                self._check("begun", recipient)
            said = self._answer(verb if verb != "DATA" or recipient else "NONE", "503 no recipient")
            if verb in {"MAIL", "RCPT"} and said[0] != "2":
                sender, recipient = sender if verb == "RCPT" else "", ""
            if verb == "RSET":
                sender = recipient = ""
            if said.startswith("354"):
                self._take(recipient)
                sender = recipient = ""
            if verb == "QUIT" or said.startswith("421"):
                raise CutError

    def _take(self, recipient: str) -> None:
        while self._row() != b".":
            pass
        self._check("dotted", recipient)
        says = self._says.get(".")
        said = says.pop(0) if says else _POLITE["."]
        if said[0] == "2":
            self._log.accepted[recipient] += 1
        self._say(said)
        if said[0] == "2":
            self._log.told.add(recipient)
        if said.startswith("421"):
            raise CutError

    def _answer(self, verb: str, other: str) -> str:
        says = self._says.get(verb)
        said = says.pop(0) if says else _POLITE.get(verb, other)
        self._say(said)
        return said

    def _check(self, word: str, recipient: str) -> None:
        if not self._log.noted(word, recipient):
            self._log.unnoted.append((word, recipient))

    def _say(self, text: str) -> None:
        octets = f"{text}\r\n".encode()
        for start in range(0, len(octets), self._talk.pieces):
            piece = octets[start : start + self._talk.pieces]
            if self._tells is not None:
                piece, self._tells = piece[: self._tells], self._tells - len(piece)
            self._line.sendall(piece)
            if self._tells is not None and self._tells < 0:
                raise CutError

    def _row(self) -> bytes:
        while b"\r\n" not in self._unread:
            most = 4096 if self._hears is None else min(4096, self._hears)
            octets = self._line.recv(most) if most else b""
            if not octets:
                raise CutError
            if self._hears is not None:
                self._hears -= len(octets)
            self._unread += octets
        row, _, self._unread = self._unread.partition(b"\r\n")
        return row


@contextmanager
def fickle(talks: Sequence[Talk], noted: Callable[[str, str], bool]) -> Iterator[Fickle]:
    server = Fickle(talks, noted)
    try:
        yield server
    finally:
        server.close()
