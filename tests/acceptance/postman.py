"""The rehearsal's end of its SMTP server: starts it, reads its ledger as it grows, and the letters themselves."""

import email
import json
import re
import smtplib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.header import decode_header, make_header
from email.message import Message
from functools import cached_property
from html import unescape
from pathlib import Path

_HREF = re.compile(r"""(?:href|src|action)\s*=\s*["']([^"']+)["']""")
_URL = re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,;:)]")


@dataclass(frozen=True)
class Handed:
    """One line of the ledger. `begun`: MAIL FROM, `ended`: our answer (time.monotonic()); `code` 0: the client left.

    `late`: how many seconds after its arrival the server may have read it, on a busy machine.
    """

    begun: float
    ended: float
    late: float
    to: str
    code: int
    at: int
    size: int


@dataclass(frozen=True)
class Letter:
    """A mail the server took."""

    handed: Handed
    raw: bytes

    @cached_property
    def parsed(self) -> Message:
        return email.message_from_bytes(self.raw)

    @property
    def to(self) -> str:
        return self.handed.to

    @property
    def ref(self) -> bytes:
        """The message's ref: the left side of its Message-ID."""
        return bytes.fromhex(str(self.parsed["Message-ID"]).strip("<> \r\n").partition("@")[0])

    @property
    def subject(self) -> str:
        return str(make_header(decode_header(self.parsed["Subject"])))

    @property
    def is_campaign(self) -> bool:
        return self.parsed["List-Id"] is not None

    @property
    def one_click(self) -> str:
        """The RFC 8058 address."""
        first = str(self.parsed["List-Unsubscribe"]).partition(",")[0]
        return first.replace("\r\n", "").replace(" ", "").strip("<>")

    def text(self, kind: str) -> str:
        """The part of `text/<kind>`."""
        for part in self.parsed.walk():
            if part.get_content_subtype() == kind:
                payload = part.get_payload(decode=True)
                assert isinstance(payload, bytes)
                return payload.decode()
        raise AssertionError(f"a mail without a {kind} part")

    @cached_property
    def urls(self) -> tuple[str, ...]:
        """Every URL of header, text and HTML, each once."""
        found = [unescape(url) for url in _HREF.findall(self.text("html"))] + _URL.findall(self.text("plain"))
        if self.is_campaign:
            found.append(self.one_click)
        return tuple(dict.fromkeys(url for url in found if url.startswith("http")))

    def link(self, path: str) -> str:
        """The URL in this mail whose path begins with `path`."""
        found = [url for url in self.urls if url.split("/", 3)[-1].startswith(path.lstrip("/"))]
        assert found, f"no {path} link in “{self.subject}”"
        return found[0]


class Postman:
    """Knows everything the server was handed, in order."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder, self.port = folder, port
        self.handed: list[Handed] = []
        self.letters: list[Letter] = []
        self._ledger = (folder / "ledger.jsonl").open("rb")
        self._letters = (folder / "letters").open("rb")
        self._rest = b""

    def look(self) -> "Postman":
        """Read what came since the last look."""
        *lines, self._rest = (self._rest + self._ledger.read()).split(b"\n")
        for line in lines:
            handed = Handed(**json.loads(line))
            self.handed.append(handed)
            if handed.code == 250:
                self._letters.seek(handed.at)
                self.letters.append(Letter(handed, self._letters.read(handed.size)))
        return self

    def close(self) -> None:
        """Close the files; what was read stays."""
        self._ledger.close()
        self._letters.close()

    def to(self, address: str) -> list[Letter]:
        return [letter for letter in self.letters if letter.to == address]

    def taken(self, subject: str) -> int:
        """How many mails of this subject were taken so far."""
        return sum(1 for letter in self.look().letters if letter.subject == subject)

    def pace(self, milliseconds: float) -> None:
        """Make the server think so long over each mail."""
        with smtplib.SMTP("127.0.0.1", self.port) as client:
            assert client.docmd("XPACE", str(milliseconds))[0] == 250


def wait_for(what: str, ready: Callable[[], object], *, seconds: float = 120, every: float = 0.1) -> None:
    """Ask until `ready` says yes. Fails with `what` when that takes far longer than it ever should."""
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(every)


@contextmanager
def postman(folder: Path, plans: dict[str, list[int]]) -> Iterator[Postman]:
    """A running SMTP server, in a process of its own so that its times are not ours."""
    folder.mkdir(parents=True)
    (folder / "plans.json").write_text(json.dumps(plans))
    process = subprocess.Popen([sys.executable, Path(__file__).with_name("relay.py"), folder])
    try:
        wait_for("the SMTP server", (folder / "port").exists, every=0.02)
        here = Postman(folder, int((folder / "port").read_text()))
        try:
            yield here
        finally:
            here.close()
    finally:
        process.kill()
        process.wait()
