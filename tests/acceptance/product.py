"""The product as its administrator has it: an instance folder, settings by environment, and the command line."""

import os
import re
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.acceptance.browser import Browser

ROOT = Path(__file__).parents[2]
HOST = "mail.northfield.example"
MINUTE, HOUR, DAY = 60, 3600, 86400


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass(frozen=True)
class Where:
    """An empty store, "" for the product's own SQLite file, and a broker's address, "" for one machine's engine."""

    database_url: str = ""
    broker_url: str = ""


@dataclass
class Product:
    """A running installation. `moves`: when (time.monotonic()) the clock was moved, and to how many seconds ahead."""

    folder: Path
    database_url: str
    relay_port: int
    budgets: dict[str, str] = field(default_factory=dict)
    broker_url: str = ""
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
            "OUTREACH_BROKER_URL": self.broker_url,
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

    def begin(self, *words: str, **settings: str) -> "subprocess.Popen[bytes]":
        """`outreach <words>`, left running; what it writes is added to what was printed."""
        command = [sys.executable, "-m", "outreach", *words]
        with (self.folder / "printed").open("ab") as output:
            return subprocess.Popen(
                command, cwd=ROOT, env=self.environment | settings, stdout=output, stderr=output, start_new_session=True
            )

    def faults(self) -> list[str]:
        """Lines the product logged as errors."""
        return [line for line in self.printed.splitlines() if re.search(r'"level": "(error|critical)"|Traceback', line)]
