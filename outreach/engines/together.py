"""`outreach run`: the web and the engine start together and stop together; one that dies is started again."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field

_PARENT = "_TOGETHER_WITH"
_PR_SET_PDEATHSIG = 1
_PATIENCE_SECONDS = 20.0
_PAUSE_SECONDS = 1.0


@dataclass
class Child:
    """A process of ours: `python -m outreach <word>`."""

    word: str
    process: subprocess.Popen[bytes] | None = field(default=None)

    def start(self) -> None:
        """Start it, or start it again: what a killed one left behind (a web worker without its master) ends first."""
        if self.process is not None:
            self._kill()
        command = [sys.executable, "-m", "outreach", self.word]
        environment = os.environ | {_PARENT: str(os.getpid())}
        self.process = subprocess.Popen(command, env=environment, start_new_session=True)  # noqa: S603  our own command

    @property
    def has_ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def stop(self) -> None:
        """Ask politely, then insist. One that ended by itself may have left something behind."""
        if self.process is None or self.has_ended:
            self._kill()
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._kill()
            self.process.wait()

    def _kill(self) -> None:
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)


def end_with_parent() -> None:
    """Called by a child of `run`: ask Linux for a TERM when the parent is gone, however it went (prctl(2))."""
    parent = os.environ.pop(_PARENT, "")
    if not parent:
        return
    with suppress(OSError, AttributeError):  # not Linux: Ctrl-C still ends both
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):
        sys.exit(0)


def run_together(stopping: threading.Event) -> None:
    """Keep the web and the engine running until `stopping` is set."""
    children = [Child("engine"), Child("web")]
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
        for child in reversed(children):
            child.stop()
