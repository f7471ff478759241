"""A PostgreSQL of the tests' own: a throw-away cluster on a socket, and a fresh database for each test that asks."""

import getpass
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import psycopg


def _binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise RuntimeError("PostgreSQL's server is missing: run `make debian`")
    return found[-1].parent


def _as_postgres(*command: str | Path, log: Path) -> "subprocess.Popen[bytes]":
    """The server refuses to run as root, so root becomes Debian's own postgres user."""
    who = "postgres" if os.geteuid() == 0 else None
    with log.open("ab") as output:
        return subprocess.Popen(command, stdout=output, stderr=output, cwd="/", user=who, group=who)


class Cluster:
    """A server. `url(name)` connects to one of its databases over TCP-less sockets."""

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        self._folder = folder
        self._data, self._log = folder / "data", folder / "log"
        settings = ["listen_addresses=", f"unix_socket_directories={folder}", "max_connections=100"]
        if not durable:
            settings += ["fsync=off", "full_page_writes=off", "wal_level=minimal", "max_wal_senders=0"]
            settings += ["checkpoint_timeout=1h", "max_wal_size=4GB", "autovacuum=off"]
        self._options = [word for setting in settings for word in ("-c", setting)]

    def make(self) -> None:
        """Lay out its files."""
        options = ("-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions")
        if _as_postgres(_binaries() / "initdb", "-D", self._data, *options, log=self._log).wait():
            raise RuntimeError("initdb failed:\n" + self._log.read_text()[-2000:])

    def start(self) -> None:
        """Start it, or start it again after a crash: it recovers first. Returns once it takes connections."""
        self._postmaster = _as_postgres(_binaries() / "postgres", "-D", self._data, *self._options, log=self._log)
        while not self._is_ready():
            if self._postmaster.poll() is not None:
                raise RuntimeError("PostgreSQL did not start:\n" + self._log.read_text()[-2000:])
            time.sleep(0.02)

    def stop(self) -> None:
        """Without a checkpoint, as nobody needs it any more."""
        self._postmaster.send_signal(signal.SIGQUIT)
        self._postmaster.wait()

    def kill(self) -> None:
        """kill -9 for the postmaster and every process below it, as when the machine's memory ran out."""
        pid = self._postmaster.pid
        below = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for one in (pid, *map(int, below)):
            with suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        self._postmaster.wait()

    @property
    def pid(self) -> int:
        """The postmaster's."""
        return self._postmaster.pid

    def _is_ready(self) -> bool:
        """What the postmaster writes about itself, line by line: its own id first, its state last."""
        try:
            lines = (self._data / "postmaster.pid").read_text().split("\n")
        except FileNotFoundError:
            return False
        return len(lines) > 7 and int(lines[0]) == self._postmaster.pid and lines[7].strip() == "ready"

    def url(self, database: str) -> str:
        return f"postgresql://{self.user}@/{database}?host={self._folder}"

    @property
    def user(self) -> str:
        return "postgres" if os.geteuid() == 0 else getpass.getuser()

    def create(self, template: str = "template1") -> str:
        """A new database's name."""
        name = f"t{uuid4().hex}"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def drop(self, name: str) -> None:
        self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())


@contextmanager
def cluster(*, durable: bool = False) -> Iterator[Cluster]:
    """Start a cluster, stop and delete it at the end. Without `durable` it skips fsync, as tests may."""
    folder = Path(tempfile.mkdtemp(prefix="outreach-pg-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    try:
        running = Cluster(folder, durable=durable)
        running.make()
        running.start()
        try:
            yield running
        finally:
            running.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
