"""wrk with 32 open connections, and what it measured."""

import re
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

CONNECTIONS = 32
HOST = "mail.northfield.example"
_SCRIPT = Path(__file__).with_name("web.lua")


@dataclass(frozen=True)
class Request:
    """One request as wrk's script reads it. `cookie` and `body` are sent when there is one."""

    method: str
    path: str
    cookie: str = ""
    body: str = ""

    def line(self) -> str:
        return f"{self.method}\t{self.path}\t{self.cookie}\t{self.body}\n"


@dataclass(frozen=True)
class Load:
    """`requests` answered in `seconds`; half of them within `p50_ms`, 99 of 100 within `p99_ms`."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float

    @property
    def rate(self) -> float:
        return self.requests / self.seconds


def wrk(port: int, requests: Iterable[Request], seconds: int, *, again: bool = False) -> Load:
    """Send them for so many seconds, each once or, with `again`, from the first anew. Raises RuntimeError for any
    answer that is no 2xx or 3xx.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".requests") as file:
        file.writelines(one.line() for one in requests)
        file.flush()
        shape = ["-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--timeout", "30s", "-s", str(_SCRIPT)]
        command = ["wrk", *shape, f"http://127.0.0.1:{port}", "--", file.name, HOST, "again" if again else "once"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603  ours
    found = re.search(r"^figures (\d+) (\d+) (\d+) (\d+) (\d+)$", done.stdout, re.MULTILINE)
    if found is None or int(found[5]):
        raise RuntimeError(f"wrk met faults:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    answered, took, half, most = (int(found[place]) for place in range(1, 5))
    return Load(answered, took / 1e6, half / 1000, most / 1000)
