"""What can be killed: the product's processes, the database, the broker; and who starts each of them again."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

from tests.acceptance.postman import wait_for
from tests.acceptance.product import ROOT

_LONGEST_DOWN = 2.5
_PAUSE_SECONDS = 1.0
_SETTLING_SECONDS = 10.0


class Part(Protocol):
    """Something that runs, dies and runs again. `slot`: which of the sink's ports it mails through, if any."""

    name: str
    slot: int | None

    def start(self) -> None:
        """Start it, or start it again."""

    def kill(self) -> None:
        """kill -9; returns once it is gone."""

    @property
    def is_up(self) -> bool:
        """Whether it runs, or is just being started."""


class Server(Protocol):
    """A database or a broker of ours."""

    def start(self) -> None:
        """Start it, or start it again; returns once it answers."""

    def kill(self) -> None:
        """kill -9 for all of it."""


@dataclass
class Program:
    """`python -m outreach <word>` in a session of its own, all it prints in one file."""

    name: str
    word: str
    environment: Mapping[str, str]
    printed: Path
    slot: int | None = None
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        command = [sys.executable, "-m", "outreach", self.word]
        with self.printed.open("ab") as output:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=dict(self.environment), stdout=output, stderr=output, start_new_session=True
            )

    def kill(self) -> None:
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    @property
    def is_up(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def stop(self) -> int:
        """Ask it to end, and wait; its exit code."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


@dataclass
class Service:
    """A running server as a part. It is started again in a thread of its own, as recovering takes its time."""

    name: str
    server: Server
    is_up: bool = True
    slot: int | None = None
    since: float = 0.0
    _starting: threading.Thread | None = None

    def start(self) -> None:
        self.is_up, self.since = True, float("inf")
        self._starting = threading.Thread(target=self._start)
        self._starting.start()

    def kill(self) -> None:
        self.is_up = False
        self.server.kill()

    def wait(self) -> None:
        """Until it answers."""
        if self._starting is not None:
            self._starting.join()

    @property
    def answers(self) -> bool:
        """It is not just being started."""
        return self.is_up and self.since != float("inf")

    @property
    def is_settled(self) -> bool:
        """It has been answering for a while, so nobody may still stumble over its death."""
        return self.answers and self.since + _SETTLING_SECONDS < time.monotonic()

    def _start(self) -> None:
        self.server.start()
        self.since = time.monotonic()


@dataclass(frozen=True)
class Kill:
    """`before`, `after`: time.monotonic() around the signal."""

    name: str
    slot: int | None
    before: float
    after: float


@dataclass
class Keeper:
    """Kills parts and, a little later, starts them again, as a service manager does also one that ended by itself.

    `noted`: the file that keeps the kills; `faults`: who ended by itself though all it needs was up.
    """

    programs: list[Program]
    services: list[Service]
    dice: random.Random
    noted: Path
    kills: list[Kill] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    ended: int = 0
    _due: dict[str, float] = field(default_factory=dict)

    @property
    def parts(self) -> list[Part]:
        return [*self.programs, *self.services]

    @property
    def killable(self) -> list[Part]:
        """What runs, and is not a server just recovering."""
        return [*(one for one in self.programs if one.is_up), *(one for one in self.services if one.answers)]

    def start(self) -> None:
        """The first start of the programs; services run already."""
        for program in self.programs:
            program.start()

    def kill(self, part: Part) -> None:
        """One kill -9, noted."""
        before = time.monotonic()
        part.kill()
        self.kills.append(Kill(part.name, part.slot, before, time.monotonic()))
        with self.noted.open("a") as file:
            print(json.dumps(asdict(self.kills[-1]) | {"wall": time.time()}), file=file)
        self._due[part.name] = time.monotonic() + self.dice.uniform(0, _LONGEST_DOWN)

    def tend(self) -> None:
        """Start what is due; notice who ended by itself."""
        for part in self.parts:
            if part.is_up:
                continue
            if part.name not in self._due:
                self._note_end(part.name)
                self._due[part.name] = time.monotonic() + _PAUSE_SECONDS
            elif time.monotonic() >= self._due[part.name]:
                part.start()
                del self._due[part.name]

    def _note_end(self, name: str) -> None:
        self.ended += 1
        if all(service.is_settled for service in self.services):
            self.faults.append(f"{name} ended by itself")

    def bring_up(self) -> None:
        """Everything runs again."""

        def all_up() -> bool:
            self.tend()
            return all(part.is_up for part in self.parts)

        wait_for("every part to run", all_up, seconds=60, every=0.05)
        for service in self.services:
            service.wait()

    def stop(self) -> None:
        """Everything ends as its administrator would end it."""
        for program in self.programs:
            if program.is_up and program.stop() != 0:
                self.faults.append(f"{program.name} did not end well when asked to")

    def abandon(self) -> None:
        """Leave nothing behind."""
        for service in self.services:
            service.wait()
        for program in self.programs:
            if program.is_up:
                program.kill()
