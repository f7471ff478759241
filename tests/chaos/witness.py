"""What the sink saw, read from its log: transactions in the order they began, and how many connections stood open."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.acceptance.postman import wait_for

ROOT = Path(__file__).parents[2]


@dataclass
class Deal:
    """One MAIL command and what followed. Times are time.monotonic(); None: it never came to that.

    `began`: when the command arrived, give or take `late` seconds of a busy machine; `ref`: the message's ref, from its
    Message-ID, empty where that never arrived; `code`: our last reply, 0 for none; `asked_for`: when we said 354;
    `dot`: when its final dot was read; `ended`, `by`: when and by whom (sink, client) the connection was cut before
    this transaction had its last reply.
    """

    connection: int
    slot: int
    began: float
    late: float
    to: str = ""
    ref: str = ""
    code: int = 0
    asked_for: float | None = None
    dot: float | None = None
    takes: bool = False
    replied: float | None = None
    ended: float | None = None
    by: str = ""


@dataclass
class Witness:
    """All of it. `open_from`, `open_to`: by slot, when each connection began and ended."""

    deals: list[Deal] = field(default_factory=list)
    spans: list[tuple[int, float, float]] = field(default_factory=list)

    def open_at(self, slot: int, instant: float) -> int:
        """How many connections of this worker stood open."""
        return sum(1 for whose, start, end in self.spans if whose == slot and start <= instant <= end)

    @property
    def connections(self) -> int:
        """The most connections any worker had open at once."""
        return max((self.open_at(slot, start) for slot, start, _ in self.spans), default=0)


class _Reader:
    """Follows every connection through the log."""

    def __init__(self) -> None:
        self.witness = Witness()
        self._open: dict[int, tuple[int, float]] = {}
        self._deals: dict[int, Deal] = {}

    def read(self, line: dict[str, Any]) -> None:
        connection, mono = line["connection"], line["mono"]
        deal = self._deals.get(connection)
        match line["event"]:
            case "connected":
                self._open[connection] = (line["slot"], mono)
            case "mail":
                slot, _ = self._open[connection]
                self._deals[connection] = deal = Deal(connection, slot, line["arrived"], line["late"])
                self.witness.deals.append(deal)
            case "rcpt" if deal:
                deal.to = line["to"]
            case "dot" if deal:
                deal.dot, deal.ref, deal.takes = mono, line["id"], line["takes"]
            case "reply" if deal:
                self._reply(deal, line["at"], line["code"], mono)
            case "drop" | "gone":
                self._end(connection, deal, line)

    def _reply(self, deal: Deal, point: str, code: int, mono: float) -> None:
        deal.code = code
        if code == 354:
            deal.asked_for = mono
        elif point == "dot" or code >= 400:
            deal.replied = mono

    def _end(self, connection: int, deal: Deal | None, line: dict[str, Any]) -> None:
        slot, began = self._open.pop(connection)
        self.witness.spans.append((slot, began, line["mono"]))
        if deal is not None and deal.replied is None:
            deal.ended, deal.by = line["mono"], "sink" if line["event"] == "drop" else "client"
            deal.ref = deal.ref or line.get("id", "")

    def finish(self) -> Witness:
        for slot, began in self._open.values():
            self.witness.spans.append((slot, began, float("inf")))
        return self.witness


@dataclass(frozen=True)
class Sink:
    """The running process. `ports`: one for each worker."""

    folder: Path
    ports: list[int]

    def read(self) -> Witness:
        """The whole log so far; a line that is still being written is left out."""
        reader = _Reader()
        with (self.folder / "sink.jsonl").open("rb") as lines:
            for line in lines:
                if line.endswith(b"\n"):
                    reader.read(json.loads(line))
        return reader.finish()


@contextmanager
def sink(folder: Path, *, seed: int, pace: float, slots: int) -> Iterator[Sink]:
    """A sink that outlives every kill, with a port for each of `slots` workers."""
    folder.mkdir(parents=True)
    (folder / "plan.json").write_text(json.dumps({"seed": seed, "pace": pace, "slots": slots}))
    process = subprocess.Popen([sys.executable, "-m", "tests.chaos.sink", folder], cwd=ROOT)
    try:
        wait_for("the sink", (folder / "ports").exists, every=0.02)
        yield Sink(folder, json.loads((folder / "ports").read_text()))
        assert process.poll() is None, "the sink ended by itself"
    finally:
        process.kill()
        process.wait()
