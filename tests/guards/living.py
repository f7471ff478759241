"""The demonstration's sixty days, lived once for a whole run of tests: its folder, its log, and copies to act in.

`python -m tests.guards.living FOLDER` lives them, in a process of its own, with every log line on standard error.
"""

import fcntl
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from outreach.config import Settings, load_keyring, load_settings
from outreach.engines.demonstration import Demonstration, keep_sign_in
from outreach.logs import configure_logs
from outreach.mail.demo import DemoServer
from outreach.services.context import Context, context_of, open_context
from outreach.store.database import Database
from outreach.store.migrate import upgrade

LOG = "log.txt"


def once(folder: Path, make: Callable[[Path], None]) -> Path:
    """`folder`, filled by `make` unless another process has, or is just doing so."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            draft = folder.with_suffix(".draft")
            draft.mkdir()
            make(draft)
            draft.rename(folder)
    return folder


def live_in_a_process(folder: Path) -> None:
    """Fill `folder/instance`, and keep what was logged meanwhile in `folder/log.txt`."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OUTREACH_")}
    with (folder / LOG).open("wb") as log:
        subprocess.run(
            [sys.executable, "-m", "tests.guards.living", str(folder / "instance")],
            check=True,
            stderr=log,
            env=environment,
            cwd=Path(__file__).parents[2],
        )


def open_copy(lived: Path, folder: Path) -> Context:
    """A context over a copy of the lived instance, with limits on HTTP out of the way."""
    shutil.copytree(lived / "instance", folder)
    settings = Settings(instance=folder, http_limit="1000000/minute", sign_in_limit="1000000/minute")
    keyring = load_keyring(settings)
    return context_of(settings, keyring, Database(settings.database))


def free_port() -> int:
    """A port on this machine nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _live(instance: Path) -> None:
    settings = load_settings(instance=instance, demo_smtp_port=free_port(), log_level="debug")
    configure_logs(settings.log_level)
    ctx = open_context(settings)
    upgrade(ctx.db)
    mailbox = DemoServer(settings)
    mailbox.start()
    try:
        keep_sign_in(instance / "sign-in.txt", Demonstration(ctx).play())
    finally:
        mailbox.stop()


if __name__ == "__main__":
    _live(Path(sys.argv[1]))
