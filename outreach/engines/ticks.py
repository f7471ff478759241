"""Drives the leader's jobs in whichever process leads: waits for its turn, ticks, steps back when the lock is lost."""

import logging
import signal
import threading
from collections.abc import Callable, Sequence

import psycopg
import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy.exc import DBAPIError

from outreach.engines.jobs import Job, leader_jobs
from outreach.engines.leader import Leadership, leading
from outreach.services.context import Context

log = structlog.get_logger()

_WAIT_TO_LEAD_SECONDS = 1.0
_LOOK_SECONDS = 0.5
_THREADS = 10


def lead(ctx: Context, stopping: threading.Event, *more: Job) -> None:
    """Lead whenever nobody else does, until `stopping` is set: the leader's jobs, and `more` that this engine adds.

    A database that is away ends the leadership, not the process: its turn is asked for again every second.
    """
    while not stopping.is_set():
        try:
            with leading(ctx) as leadership:
                if leadership is not None:
                    log.info("engine.leads", epoch=leadership.epoch)
                    _tick((*leader_jobs(ctx, leadership.epoch, stopping), *more), leadership, stopping)
        except (DBAPIError, psycopg.Error) as error:
            log.warning("engine.database", error=type(error).__name__)
        stopping.wait(_WAIT_TO_LEAD_SECONDS)


def _tick(jobs: Sequence[Job], leadership: Leadership, stopping: threading.Event) -> None:
    """Tick until told to stop, or until the lock turns out to be lost: then another may lead already."""
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    scheduler = BackgroundScheduler(
        timezone="UTC",
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        executors={"default": {"type": "threadpool", "max_workers": _THREADS}},
    )
    for job in jobs:
        scheduler.add_job(_guarded(job), "interval", seconds=job.seconds, id=job.name)
    scheduler.start()
    while not stopping.wait(_LOOK_SECONDS):
        if not leadership.still_held():
            log.warning("engine.leads-no-more", epoch=leadership.epoch)
            break
    scheduler.shutdown(wait=True)


def _guarded(job: Job) -> Callable[[], None]:
    """A job that fails says so, without anybody's data, and is asked again at its next tick."""

    def run() -> None:
        try:
            job.act()
        except Exception as error:
            log.error("engine.job", job=job.name, error=type(error).__name__, where=where(error))

    return run


def where(error: Exception) -> str:
    """File and line an error came from: never its words, which may hold what somebody typed."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"


def stop_on_signals(stopping: threading.Event) -> None:
    """Ctrl-C or a service manager's TERM ends a process after what it has begun."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
