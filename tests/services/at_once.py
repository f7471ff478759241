"""Acts that begin at the same moment, for tests of what taking turns must keep true."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from outreach.domain.errors import OutreachError


def at_once(*acts: Callable[[], Any]) -> list[Any]:
    """Run `acts` in threads that start together; what each returned, or the OutreachError it raised."""
    gate = threading.Barrier(len(acts))

    def run(act: Callable[[], Any]) -> Any:
        gate.wait()
        try:
            return act()
        except OutreachError as error:
            return error

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))
