"""The servers a measurement needs, real and its own: a durable PostgreSQL, Postfix's smtp-sink and smtp-source."""

import os
import re
import resource
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.postgresql import Cluster, cluster

_BACKLOG = "1024"
_PATIENCE_SECONDS = 20.0


def free_port() -> int:
    """A TCP port nobody listens on just now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass
class Sink:
    """A running smtp-sink; `cpu` is what it has used so far, in seconds."""

    port: int
    process: "subprocess.Popen[bytes]"

    @property
    def cpu(self) -> float:
        return cpu_of(self.process.pid)


@contextmanager
def sink(*options: str) -> Iterator[Sink]:
    """smtp-sink on a free port of 127.0.0.1, with pipelining as Postfix offers it, until the block ends."""
    port = free_port()
    command = ["/usr/sbin/smtp-sink", *_as_nobody(), *options, f"127.0.0.1:{port}", _BACKLOG]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603  ours
    try:
        wait_for_port(port)
        yield Sink(port, process)
    finally:
        process.kill()
        process.wait()


def smtp_source(port: int, message: bytes, count: int, *, sessions: int = 10) -> float:
    """Seconds Postfix's own load generator needs to hand `count` copies of `message` (RFC 5322, CRLF) to `port`."""
    with tempfile.NamedTemporaryFile(suffix=".eml") as file:
        file.write(message.replace(b"\r\n", b"\n"))
        file.flush()
        command = ["/usr/sbin/smtp-source", "-d", "-s", str(sessions), "-m", str(count)]
        command += ["-f", "news@northfield.example", "-t", "reader@example.org", "-F", file.name, f"127.0.0.1:{port}"]
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)  # noqa: S603  ours
        return time.perf_counter() - began


@contextmanager
def durable_postgresql() -> Iterator[Cluster]:
    """A PostgreSQL that keeps what it commits (fsync on), on a Unix socket, with room for several workers."""
    with cluster(durable=True) as running:
        yield running


@contextmanager
def folder() -> Iterator[Path]:
    """A folder on disk that is gone afterwards."""
    path = Path(tempfile.mkdtemp(prefix="outreach-bench-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def cpu_of(pid: int) -> float:
    """Seconds of processor time a process and its waited-for children have used (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ticks = sum(int(fields[place]) for place in (11, 12, 13, 14))
    return ticks / os.sysconf("SC_CLK_TCK")


def cpu_below(pid: int) -> float:
    """The same for a process and all that stand directly below it, such as a postmaster and its servers."""
    below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    total = cpu_of(pid)
    for one in below:
        with suppress(FileNotFoundError):
            total += cpu_of(int(one))
    return total


def peak_megabytes(pid: int) -> float:
    """The most memory a living process has held so far, in MB (VmHWM of proc(5))."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1000 if found else 0.0


def own_peak_megabytes() -> float:
    """The same for this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


def wait_for_port(port: int) -> None:
    """Until somebody answers there. Raises TimeoutError."""
    until = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise TimeoutError(f"nothing answers at port {port}")


def _as_nobody() -> list[str]:
    """smtp-sink refuses to run as root without naming another user."""
    return ["-u", "nobody"] if os.geteuid() == 0 else []
