"""A worker's local memory of its hand-offs, read by the reaper when the worker is gone.

One file a worker, locked (flock) while it lives; a line is in the kernel before MAIL FROM, before the final dot and
after each reply, so it survives the worker's death at any point, though not the machine's: what it does not say counts
only while the machine has not been restarted since (`boot`). Lines due at the same instant are one write, in the order
of what they tell, so that any part of it that was written is true by itself.
"""

import errno
import fcntl
import os
import secrets
import threading
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

_BOOT = Path("/proc/sys/kernel/random/boot_id")


def boot() -> str:
    """This boot of this machine."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return f"unknown-{secrets.token_hex(8)}"  # never equal to another: nothing is concluded from silence


class WorkerJournal:
    """The file of one living worker. Meets `mail.transport.Journal`; several threads may use it."""

    def __init__(self, folder: Path, worker: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.worker = worker
        self._path = folder / f"{worker}.journal"
        self._file = _locked(self._path)
        self._writing = threading.Lock()
        self._lines: list[str] = []
        self._head()

    def begun(self, message_id: int) -> None:
        self._lines.append(f"b {message_id}\n")

    def dotted(self, message_id: int) -> None:
        self._lines.append(f"d {message_id}\n")

    def replied(self, message_id: int, code: int, text: str) -> None:
        if not text.isprintable():
            text = " ".join(text.split())
        self._lines.append(f"r {message_id} {code} {text[:200]}\n")

    def flush(self) -> None:
        """One write of all that was noted. Raises OSError, then too when the disk took only a part of it."""
        with self._writing:
            lines, self._lines = self._lines, []
            if lines:
                octets = "".join(lines).encode()
                if os.write(self._file, octets) != len(octets):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def forget(self) -> None:
        """Start afresh: everything written so far is recorded in the database."""
        os.ftruncate(self._file, 0)
        self._head()

    def close(self) -> None:
        """End a worker that has recorded everything."""
        self._path.unlink(missing_ok=True)
        os.close(self._file)

    def _head(self) -> None:
        self._lines = [f"boot {boot()}\n"]
        self.flush()


def _locked(path: Path) -> int:
    """Open and lock the file; a reaper may take it for a dead one's, and delete it, between the two."""
    while True:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        fcntl.flock(file, fcntl.LOCK_EX)
        if path.exists() and path.stat().st_ino == os.fstat(file).st_ino:
            return file
        os.close(file)


@dataclass
class DeadJournal:
    """What a dead worker left. `whole`: the same boot, so silence about a message means it was not begun."""

    worker: str
    whole: bool
    begun: set[int] = field(default_factory=set)
    dotted: set[int] = field(default_factory=set)
    replies: dict[int, tuple[int, str]] = field(default_factory=dict)


def dead_journals(folder: Path) -> Generator[DeadJournal]:
    """The journals whose worker is gone; each is deleted once the caller has come back for the next.

    One stays locked until then: who may fail before closes this generator.
    """
    for path in sorted(folder.glob("*.journal")) if folder.exists() else []:
        try:
            file = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            continue
        try:
            yield _read(path)
            path.unlink(missing_ok=True)
        finally:
            os.close(file)


def _read(path: Path) -> DeadJournal:
    *lines, _cut_off = path.read_text(errors="replace").split("\n")  # what has no end says nothing: `d 12` may be 123
    found = DeadJournal(path.stem, whole=bool(lines) and lines[0] == f"boot {boot()}")
    for line in lines[1:]:
        match line.split(" ", 3):
            case ["b", number]:
                found.begun.add(int(number))
                found.dotted.discard(int(number))  # a later attempt of the same worker starts over
                found.replies.pop(int(number), None)
            case ["d", number]:
                found.dotted.add(int(number))
            case ["r", number, code, *words]:
                found.replies[int(number)] = (int(code), words[0] if words else "")
            case _:
                continue
    return found
