"""A worker's local memory of its hand-offs, read by the reaper when the worker is gone.

One file a worker, locked (flock) while it lives; a line is written straight through to the kernel before MAIL FROM,
before the final dot and after each reply, so it survives the worker's death at any point, though not the machine's:
what it does not say counts only while the machine has not been restarted since (`boot`).
"""

import fcntl
import os
import secrets
from collections.abc import Iterator
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
    """The file of one living worker. Meets `mail.transport.Journal`."""

    def __init__(self, folder: Path, worker: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.worker = worker
        self._path = folder / f"{worker}.journal"
        self._file = _locked(self._path)
        self._write(f"boot {boot()}")

    def begun(self, message_id: int) -> None:
        self._write(f"b {message_id}")

    def dotted(self, message_id: int) -> None:
        self._write(f"d {message_id}")

    def replied(self, message_id: int, code: int, text: str) -> None:
        self._write(f"r {message_id} {code} {' '.join(text.split())[:200]}")

    def forget(self) -> None:
        """Start afresh: everything written so far is recorded in the database."""
        os.ftruncate(self._file, 0)
        self._write(f"boot {boot()}")

    def close(self) -> None:
        """End a worker that has recorded everything."""
        self._path.unlink(missing_ok=True)
        os.close(self._file)

    def _write(self, line: str) -> None:
        os.write(self._file, f"{line}\n".encode())


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


def dead_journals(folder: Path) -> Iterator[DeadJournal]:
    """The journals whose worker is gone; each is deleted once the caller has come back for the next."""
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
    lines = path.read_text(errors="replace").splitlines()
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
                continue  # a line cut off by the machine's death says nothing
    return found
