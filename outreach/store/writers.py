"""Who writes to a SQLite file, one after another.

SQLite lets one write at a time and has no queue: whoever finds another at it asks again, further and further apart,
while newcomers walk in. Here everybody waits asleep, and is woken when the one before is done. Nothing depends on it:
SQLite itself still refuses two at once, so whoever opens the file by other means does no harm.
"""

import fcntl
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Writers:
    """The queue for one file, of all threads of all processes that write to it. A process that dies leaves it."""

    def __init__(self, database: str) -> None:
        self._path = f"{database}-writers"
        self._here = threading.Lock()
        self._writing: int | None = None  # the thread that is
        self._file: int | None = None
        self._process = 0  # whose file that is: a fork shares what it is given, and would share the turn

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Held for one writing transaction. Raises RuntimeError within another of the same thread."""
        me = threading.get_ident()
        if self._writing == me:
            raise RuntimeError("a writing transaction within another")
        with self._here:
            self._writing, file = me, self._opened()
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                yield
            finally:
                fcntl.flock(file, fcntl.LOCK_UN)
                self._writing = None

    def _opened(self) -> int:
        if self._file is None or self._process != os.getpid():
            self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._process = os.getpid()
        return self._file

    def close(self) -> None:
        """Let go of the file; it is opened again where it is needed."""
        with self._here:
            if self._file is not None and self._process == os.getpid():
                os.close(self._file)
            self._file = None
