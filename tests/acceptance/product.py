"""The product as its administrator starts it: an instance folder, settings by environment, and `outreach run`."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path

from tests.acceptance.browser import Browser, hang_up
from tests.acceptance.postman import wait_for

ROOT = Path(__file__).parents[2]
HOST = "mail.northfield.example"
MINUTE, HOUR, DAY = 60, 3600, 86400


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass
class Product:
    """A running installation. `moves`: when (time.monotonic()) the clock was moved, and to how many seconds ahead."""

    folder: Path
    database_url: str
    relay_port: int
    budgets: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=_free_port)
    moves: list[tuple[float, float]] = field(default_factory=lambda: [(0.0, 0.0)])

    @property
    def instance(self) -> Path:
        return self.folder / "instance"

    @property
    def environment(self) -> dict[str, str]:
        """All of the settings; nothing of the caller's own OUTREACH_… gets in."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OUTREACH_")}
        return kept | {
            "OUTREACH_INSTANCE": str(self.instance),
            "OUTREACH_DATABASE_URL": self.database_url,
            "OUTREACH_PUBLIC_URL": f"https://{HOST}",
            "OUTREACH_TRUSTED_PROXIES": "1",
            "OUTREACH_LISTEN_PORT": str(self.port),
            "OUTREACH_RELAYS__MAIN__HOST": "127.0.0.1",
            "OUTREACH_RELAYS__MAIN__PORT": str(self.relay_port),
            "OUTREACH_RELAYS__MAIN__SECURITY": "none",
            "OUTREACH_CLOCK_FILE": str(self.folder / "clock"),
            "OUTREACH_LOG_LEVEL": "warning",
            **self.budgets,
        }

    def browser(self, *, ip: str = "192.0.2.1", language: str = "en") -> Browser:
        return Browser(f"https://{HOST}", self.port, ip=ip, language=language)

    @property
    def shift(self) -> float:
        """How many seconds the product's clock is ahead."""
        return self.moves[-1][1]

    def move_clock(self, seconds: float) -> None:
        """Move the product's clock on. Only ever forward, as time does."""
        shift = self.shift + seconds
        new = self.folder / "clock.new"
        new.write_text(str(shift))
        new.rename(self.folder / "clock")
        self.moves.append((time.monotonic(), shift))

    def moved(self, instant: float) -> float:
        """An instant of ours (time.monotonic()) on the product's clock, in seconds."""
        return instant + next(shift for moved, shift in reversed(self.moves) if moved <= instant)

    @property
    def set_up_link(self) -> str:
        """The one-time address `run` prints."""
        found = re.findall(rf"https://{re.escape(HOST)}/set-up/\S+", self.printed)
        assert len(found) == 1, f"no single set-up link in what was printed:\n{self.printed}"
        return str(found[0])

    @property
    def printed(self) -> str:
        """All it wrote to its terminal."""
        return (self.folder / "printed").read_text(errors="replace")

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """`outreach <words>` beside the running product."""
        command = [sys.executable, "-m", "outreach", *words]
        return subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False)

    def faults(self) -> list[str]:
        """Lines the product logged as errors."""
        return [line for line in self.printed.splitlines() if re.search(r'"level": "(error|critical)"|Traceback', line)]


@dataclass
class Running:
    """The supervisor and its children."""

    product: Product
    supervisor: "subprocess.Popen[bytes]"

    def engine(self) -> int | None:
        """The engine's process id, if it is alive."""
        return self._child("engine")

    def web(self) -> int | None:
        """The web server's process id, if it is alive."""
        return self._child("granian")

    def _child(self, word: str) -> int | None:
        return next((pid for pid, command in _children(self.supervisor.pid) if word in command), None)

    def kill_engine(self) -> None:
        """kill -9, and wait until the supervisor has started another."""
        self._kill(self.engine)

    def kill_web(self) -> None:
        """kill -9, and wait until another answers."""
        self._kill(self.web)
        self.wait_for_web()

    def wait_for_web(self) -> None:
        """Wait until the web answers."""
        wait_for("the web to answer", lambda: _answers(self), seconds=90)

    def _kill(self, find: Callable[[], int | None]) -> None:
        killed = find()
        assert killed is not None, "there was nothing to kill"
        os.kill(killed, signal.SIGKILL)
        wait_for("another to be started", lambda: find() not in {None, killed}, seconds=60)

    def stop(self) -> None:
        """Ctrl-C. What does not end by itself is a fault, and is killed so that nothing is left behind."""
        below = _below(self.supervisor.pid)
        self.supervisor.send_signal(signal.SIGINT)
        try:
            code = self.supervisor.wait(60)
        except subprocess.TimeoutExpired:
            self.kill(below)
            raise AssertionError("the product did not stop within a minute of Ctrl-C") from None
        left = [pid for pid in below if Path(f"/proc/{pid}").exists()]
        self.kill(left)
        assert not left, "Ctrl-C left processes running"
        assert code == 0, f"the product ended with {code}"

    def kill(self, below: list[int]) -> None:
        """End everything at once."""
        for pid in (self.supervisor.pid, *below):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.supervisor.wait()


def _below(parent: int) -> list[int]:
    """Every descendant: the web server has a worker of its own."""
    children = [pid for pid, _ in _children(parent)]
    return children + [pid for child in children for pid in _below(child)]


def _children(parent: int) -> Iterator[tuple[int, list[str]]]:
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            stat = (folder / "stat").read_text().rpartition(")")[2].split()
            command = (folder / "cmdline").read_bytes().decode().split("\0")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(stat[1]) == parent and stat[0] != "Z":
            yield int(folder.name), [word for word in command if word]


@contextmanager
def running(product: Product) -> Iterator[Running]:
    """`outreach run` until the block ends. When the block fails, what was printed is shown."""
    product.folder.mkdir(parents=True, exist_ok=True)
    printed = product.folder / "printed"
    with printed.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "outreach", "run"], cwd=ROOT, env=product.environment, stdout=output, stderr=output
        )
    here = Running(product, process)
    try:
        here.wait_for_web()
        yield here
    except BaseException:
        here.kill(_below(process.pid))
        print("\n".join(product.printed.splitlines()[-40:]), file=sys.stderr)
        raise
    finally:
        hang_up(product.port)
    here.stop()


def _answers(here: Running) -> bool:
    assert here.supervisor.poll() is None, f"the product ended with {here.supervisor.returncode}"
    try:
        return here.product.browser().ask("GET", "/sign-in").status < 500
    except (OSError, HTTPException):
        return False
