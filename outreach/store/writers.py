"""Who writes to a SQLite file, one after another.

SQLite lets one write at a time and has no queue: whoever finds another at it asks again, further and further apart,
while newcomers walk in. Here everybody waits asleep, and is woken when the one before is done. Nothing depends on it:
SQLite itself still refuses two at once, so whoever opens the file by other means does no harm.
"""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from weakref import WeakSet

PATIENCE = 30
"""Seconds a thread waits for the others of its process."""


class Writers:
    """The queue for one file, of all threads of all processes that write to it. A process that dies leaves it."""

    def __init__(self, database: str) -> None:
        self._database = Path(database).absolute()
        self._path = f"{self._database}-writers"
        self._here = threading.Lock()
        self._writing: int | None = None  # the thread that is
        self._file: int | None = None
        _ALL.add(self)

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Held for one writing transaction. Raises RuntimeError within another of the same thread.

        Without the file, or where another stands still for `PATIENCE`, it is SQLite that waits, and refuses.
        """
        me, here = threading.get_ident(), self._here
        if self._writing == me:
            raise RuntimeError("a writing transaction within another")
        if not here.acquire(timeout=PATIENCE):
            yield
            return
        file = None
        try:
            self._writing = me
            with suppress(OSError):
                file = self._locked()
            yield
        finally:
            self._writing = None
            if file is not None:
                fcntl.flock(file, fcntl.LOCK_UN)
            here.release()

    def _locked(self) -> int:
        file = self._opened()
        fcntl.flock(file, fcntl.LOCK_EX)
        return file

    def _opened(self) -> int:
        if self._file is None:
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            with suppress(OSError):  # whoever may write to the database may wait for it, as with SQLite's own files
                whose = self._database.stat()
                os.fchmod(self._file, 0o600 | (whose.st_mode & 0o022) * 3)
                os.fchown(self._file, whose.st_uid, whose.st_gid)
        return self._file

    def forked(self) -> None:
        """In a new process: neither the turn nor the file is its own."""
        if self._file is not None:
            os.close(self._file)
        self._here, self._writing, self._file = threading.Lock(), None, None

    def close(self) -> None:
        """Let go of the file; it is opened again where it is needed."""
        with self._here:
            if self._file is not None:
                os.close(self._file)
            self._file = None


_ALL: WeakSet[Writers] = WeakSet()


def _in_new_process() -> None:
    for one in _ALL:
        one.forked()


os.register_at_fork(after_in_child=_in_new_process)
