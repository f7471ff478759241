"""The running product: all of it under `outreach run`, or with a broker as on several machines, part by part."""

import itertools
import os
import shutil
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path

from tests.acceptance.browser import hang_up
from tests.acceptance.postman import wait_for
from tests.acceptance.product import Product

_STOP_SECONDS = 60


class Running(ABC):
    """What runs, and can be killed."""

    def __init__(self, product: Product) -> None:
        self.product = product

    @abstractmethod
    def kill_engine(self) -> None:
        """kill -9 what plans or sends, and wait until another is started in its place."""

    @abstractmethod
    def kill_web(self) -> None:
        """kill -9, and wait until another answers."""

    @abstractmethod
    def stop(self) -> None:
        """As its administrator would. What does not end by itself is a fault, and is killed so that nothing is left."""

    @abstractmethod
    def kill(self) -> None:
        """End everything at once."""

    @abstractmethod
    def must_live(self) -> None:
        """Raise AssertionError when it ended by itself."""

    def wait_for_web(self) -> None:
        """Wait until the web answers."""
        wait_for("the web to answer", self._answers, seconds=90)

    def _answers(self) -> bool:
        self.must_live()
        try:
            return self.product.browser().ask("GET", "/sign-in").status < 500
        except (OSError, HTTPException):
            return False


class Together(Running):
    """`outreach run`: a supervisor and its children."""

    def __init__(self, product: Product) -> None:
        super().__init__(product)
        self.supervisor = product.begin("run")

    def _child(self, word: str) -> int | None:
        return next((pid for pid, command in _children(self.supervisor.pid) if word in command), None)

    def kill_engine(self) -> None:
        self._kill("engine")

    def kill_web(self) -> None:
        self._kill("granian")
        self.wait_for_web()

    def _kill(self, word: str) -> None:
        killed = self._child(word)
        assert killed is not None, "there was nothing to kill"
        os.kill(killed, signal.SIGKILL)
        wait_for("another to be started", lambda: self._child(word) not in {None, killed}, seconds=60)

    def stop(self) -> None:
        below = _below(self.supervisor.pid)
        self.supervisor.send_signal(signal.SIGINT)
        try:
            code = self.supervisor.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("the product did not stop within a minute of Ctrl-C") from None
        left = [pid for pid in below if Path(f"/proc/{pid}").exists()]
        kill_all(left)
        assert not left, "Ctrl-C left processes running"
        assert code == 0, f"the product ended with {code}"

    def kill(self) -> None:
        kill_all([*_below(self.supervisor.pid), self.supervisor.pid])
        self.supervisor.wait()

    def must_live(self) -> None:
        assert self.supervisor.poll() is None, f"the product ended with {self.supervisor.returncode}"


def kill_all(pids: Iterable[int]) -> None:
    """kill -9 those that live still."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


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


class Machines(Running):
    """Four processes that know nothing of each other but the database and the broker."""

    def __init__(self, product: Product) -> None:
        super().__init__(product)
        for words in ("upgrade", "set-up"):
            done = product.run(words)
            assert done.returncode == 0, done.stderr
            with (product.folder / "printed").open("a") as printed:
                printed.write(done.stdout)
        self._parts: dict[str, subprocess.Popen[bytes]] = {}
        self._turns = itertools.cycle(["worker-1", "scheduler", "worker-2"])
        for name in ("web", "scheduler", "worker-1", "worker-2"):
            self._start(name)

    def _start(self, name: str) -> None:
        word = name.partition("-")[0]
        folder = self.product.instance
        if word == "worker":
            folder = self.product.folder / name
            folder.mkdir(exist_ok=True)
            shutil.copy(self.product.instance / "keys.json", folder / "keys.json")
        self._parts[name] = self.product.begin(word, OUTREACH_INSTANCE=str(folder))

    def kill_engine(self) -> None:
        """One worker, the scheduler, the other worker, and so on."""
        self._kill(next(self._turns))

    def kill_web(self) -> None:
        self._kill("web")
        self.wait_for_web()

    def _kill(self, name: str) -> None:
        os.killpg(self._parts[name].pid, signal.SIGKILL)
        self._parts[name].wait()
        self._start(name)

    def stop(self) -> None:
        for process in self._parts.values():
            process.send_signal(signal.SIGTERM)
        try:
            codes = {name: process.wait(_STOP_SECONDS) for name, process in self._parts.items()}
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("a part of the product did not stop within a minute of its TERM") from None
        assert not any(codes.values()), f"parts of the product ended with {codes}"

    def kill(self) -> None:
        for process in self._parts.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def must_live(self) -> None:
        ended = {name: process.returncode for name, process in self._parts.items() if process.poll() is not None}
        assert not ended, f"parts of the product ended: {ended}"


@contextmanager
def running(product: Product) -> Iterator[Running]:
    """The product, until the block ends. When the block fails, what was printed is shown."""
    product.folder.mkdir(parents=True, exist_ok=True)
    (product.folder / "printed").touch()
    here: Running = Machines(product) if product.broker_url else Together(product)
    try:
        here.wait_for_web()
        yield here
    except BaseException:
        here.kill()
        print("\n".join(product.printed.splitlines()[-40:]), file=sys.stderr)
        raise
    finally:
        hang_up(product.port)
    here.stop()
