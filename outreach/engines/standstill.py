"""That nothing of this installation runs on this machine, for acts that need the store to themselves.

What runs on other machines is not seen, nor is a worker there: whoever asks for such an act stops those.
"""

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from outreach.domain.errors import ConflictError
from outreach.engines.leader import leading
from outreach.services.context import Context

_SECONDS = 2.0


@contextmanager
def standstill(ctx: Context) -> Iterator[int]:
    """Hold the leader's lock, with no web and no worker alive; gives the epoch.

    Raises ConflictError that says what runs still.
    """
    if _answers(ctx.settings.listen_host, ctx.settings.listen_port):
        raise ConflictError(
            f"Something answers at {ctx.settings.listen_host}:{ctx.settings.listen_port}. Stop the web first: what it"
            " takes in from now on would be left behind."
        )
    with leading(ctx) as leadership:
        if leadership is None:
            raise ConflictError("The engine is running. Stop it first.")
        if any(map(_is_locked, (ctx.settings.instance / "journal").glob("*.journal"))):
            raise ConflictError("A worker is still sending. Stop every engine first.")
        yield leadership.epoch


def _answers(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), _SECONDS).close()
    except OSError:
        return False
    return True


def _is_locked(journal: Path) -> bool:
    """A worker locks its journal for as long as it lives."""
    try:
        file = os.open(journal, os.O_RDONLY)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False
