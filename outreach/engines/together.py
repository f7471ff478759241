"""Processes of ours that start and stop together; one that dies is started again. `run` and `worker` use it."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

_PARENT = "_TOGETHER_WITH"
_PR_SET_PDEATHSIG = 1
_PAUSE_SECONDS = 1.0


@dataclass
class Child:
    """A process of ours: `python -m outreach <words>`."""

    words: tuple[str, ...]
    process: subprocess.Popen[bytes] | None = field(default=None)

    def start(self) -> None:
        """Start it, or start it again: what a killed one left behind (a web worker without its master) ends first."""
        if self.process is not None:
            self._kill()
        command = [sys.executable, "-m", "outreach", *self.words]
        environment = os.environ | {_PARENT: str(os.getpid())}
        self.process = subprocess.Popen(command, env=environment, start_new_session=True)  # noqa: S603  our own command

    @property
    def has_ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def ask_to_stop(self) -> None:
        """Politely: it finishes what it has begun."""
        if self.process is not None and not self.has_ended:
            self.process.send_signal(signal.SIGTERM)

    def stop(self, patience_seconds: float) -> None:
        """Wait for one that was asked, then insist. One that ended by itself may have left something behind."""
        if self.process is None:
            return
        try:
            self.process.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            self._kill()
            self.process.wait()
        self._kill()

    def _kill(self) -> None:
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)


def end_with_parent() -> None:
    """Called by a child: ask Linux for a TERM when the parent is gone, however it went (prctl(2))."""
    parent = os.environ.pop(_PARENT, "")
    if not parent:
        return
    with suppress(OSError, AttributeError):  # not Linux: Ctrl-C still ends both
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):
        sys.exit(0)


def run_together(children: Sequence[Child], stopping: threading.Event, patience_seconds: float) -> None:
    """Keep all of them running until `stopping` is set; then each has `patience_seconds` to end by itself."""
    try:
        for child in children:
            child.start()
        while not stopping.wait(_PAUSE_SECONDS / 4):
            for child in children:
                if child.has_ended:
                    time.sleep(_PAUSE_SECONDS)
                    if not stopping.is_set():
                        child.start()
    finally:
        until = time.monotonic() + patience_seconds
        for child in reversed(children):
            child.ask_to_stop()
        for child in reversed(children):
            child.stop(max(0.0, until - time.monotonic()))
