"""`outreach run`: the web and the engine start together and stop together; one that dies is started again."""

import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field

_PATIENCE_SECONDS = 20.0
_PAUSE_SECONDS = 1.0


@dataclass
class Child:
    """A process of ours: `python -m outreach <word>`."""

    word: str
    process: subprocess.Popen[bytes] | None = field(default=None)

    def start(self) -> None:
        self.process = subprocess.Popen([sys.executable, "-m", "outreach", self.word], start_new_session=True)  # noqa: S603  our own command

    @property
    def has_ended(self) -> bool:
        return self.process is not None and self.process.poll() is not None

    def stop(self) -> None:
        """Ask politely, then insist."""
        if self.process is None or self.has_ended:
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


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
