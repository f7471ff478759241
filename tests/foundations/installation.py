"""An installation of its own, as its administrator has it: a folder, settings by environment, and the command line."""

import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path

from tests.guards.living import free_port

ROOT = Path(__file__).parents[2]
AMPLE_SECONDS = 90


def wait_for(what: str, ready: Callable[[], object]) -> None:
    """Ask until `ready` says yes. Fails only after far longer than it ever takes."""
    end = time.monotonic() + AMPLE_SECONDS
    while not ready():
        assert time.monotonic() < end, f"waited {AMPLE_SECONDS} s in vain for {what}"
        time.sleep(0.05)


def own_environment() -> dict[str, str]:
    """Ours, without a setting of the caller's."""
    return {name: value for name, value in os.environ.items() if not name.startswith("OUTREACH_")}


@dataclass(frozen=True)
class Process:
    """One living process, as Linux tells in /proc: see proc(5)."""

    pid: int
    parent: int
    command: tuple[str, ...]


def _processes(marked: str) -> Iterator[Process]:
    """Those that were started with this word in their environment, whoever their parent is by now."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if marked.encode() not in (folder / "environ").read_bytes().split(b"\0"):
                continue
            words = (folder / "stat").read_text().rpartition(")")[2].split()  # the name, in brackets, may hold anything
            command = (folder / "cmdline").read_bytes().decode().split("\0")
        except OSError:
            continue  # it ended, or is not ours to look into
        if words[0] not in {"Z", "X"}:
            yield Process(int(folder.name), int(words[1]), tuple(word for word in command if word))


@dataclass
class Installation:
    """Not running by itself. `settings`: more of them, by their environment names."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    demo_port: int = field(default_factory=free_port)
    inbound_port: int = field(default_factory=free_port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def instance(self) -> Path:
        return self.folder / "instance"

    @property
    def printed(self) -> str:
        """All that `begin` wrote to its terminal."""
        return (self.folder / "printed").read_text()

    @property
    def environment(self) -> dict[str, str]:
        return own_environment() | {
            "OUTREACH_INSTANCE": str(self.instance),
            "OUTREACH_PUBLIC_URL": self.url,
            "OUTREACH_LISTEN_PORT": str(self.port),
            "OUTREACH_DEMO_SMTP_PORT": str(self.demo_port),
            "OUTREACH_INBOUND_PORT": str(self.inbound_port),
            "OUTREACH_LOG_LEVEL": "warning",
            **self.settings,
        }

    def ask(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """`python -m outreach <words>`, to its end."""
        command = [sys.executable, "-m", "outreach", *words]
        return subprocess.run(command, cwd=ROOT, env=self.environment, capture_output=True, text=True, check=False)

    def begin(self) -> "subprocess.Popen[bytes]":
        """`python -m outreach run`, left running."""
        command = [sys.executable, "-m", "outreach", "run"]
        with (self.folder / "printed").open("wb") as terminal:
            return subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=terminal, stderr=terminal)

    def answers(self) -> bool:
        """Whether the web does."""
        try:
            with urllib.request.urlopen(f"{self.url}/sign-in", timeout=10) as answer:
                return bool(answer.status == 200)
        except (OSError, HTTPException):
            return False

    def processes(self) -> set[Process]:
        """All that live on this instance."""
        return set(_processes(f"OUTREACH_INSTANCE={self.instance}"))

    def set_up_link(self) -> str:
        """The one-time address that was printed; empty while there is none."""
        found = re.search(rf"{re.escape(self.url)}/set-up/\S+", self.printed)
        return found[0] if found else ""
