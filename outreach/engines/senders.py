"""The sending threads of one process: the same in every engine.

Express lanes have a thread of their own, so that a confirmation never waits for a campaign. A thread that meets
something nobody foresaw ends the process: whoever started it starts another, which reaps what the journals tell.
"""

import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import get_args

import structlog

from outreach.engines.ticks import where
from outreach.mail.relays import Router
from outreach.pipeline.send import Lanes, Worker
from outreach.services.context import Context

log = structlog.get_logger()

LANES: tuple[Lanes, ...] = get_args(Lanes)

Nudges = Mapping[Lanes, threading.Event]

_LOOK_SECONDS = 0.1
_SLOW_LOOK_SECONDS = 2.0
"""How often a worker that is nudged looks by itself: what a lost broker costs."""


@contextmanager
def sending(ctx: Context, stopping: threading.Event, nudges: Nudges | None = None) -> Iterator[None]:
    """Send while the block runs; at its end finish what is begun and put back the rest.

    `nudges`: for each of LANES an event that says there is work; with them the threads look by themselves only every
    two seconds. Sets `stopping` in any case. Exits the process with 1 if a thread failed.
    """
    nudged = nudges or {lanes: threading.Event() for lanes in LANES}
    look_seconds = _LOOK_SECONDS if nudges is None else _SLOW_LOOK_SECONDS
    failed = threading.Event()
    threads = [
        threading.Thread(target=_send, args=(ctx, lanes, stopping, nudged[lanes], look_seconds, failed), name=lanes)
        for lanes in LANES
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stopping.set()
        for event in nudged.values():
            event.set()
        for thread in threads:
            thread.join()
    if failed.is_set():
        sys.exit(1)


def _send(
    ctx: Context,
    lanes: Lanes,
    stopping: threading.Event,
    nudged: threading.Event,
    look_seconds: float,
    failed: threading.Event,
) -> None:
    try:
        Worker(ctx, Router(ctx.settings, ctx.settings.public_host), lanes, stopping).run(nudged, look_seconds)
    except Exception as error:
        log.critical("engine.worker", lanes=lanes, error=type(error).__name__, where=where(error))
        failed.set()
        stopping.set()
