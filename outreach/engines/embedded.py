"""The default engine: one process beside the web. APScheduler ticks, one worker thread sends, nothing else is needed.

A tick is a nudge, never a list: every job asks the database what is due, so a missed one only delays.
"""

import logging
import signal
import sys
import threading
from collections.abc import Callable
from functools import partial

import structlog
from apscheduler.schedulers.background import BackgroundScheduler

from outreach.domain.errors import AuditError
from outreach.engines.leader import Leadership, leading
from outreach.mail.smtp import SmtpTransport
from outreach.pipeline.plan import begin_due, finish_campaigns, plan_next, release_waiting
from outreach.pipeline.reap import reap_dead, reap_expired
from outreach.pipeline.send import Worker
from outreach.services.campaigns import sweep_cancelled
from outreach.services.connect import process_connects
from outreach.services.connect_expiry import expire_requests
from outreach.services.context import Context
from outreach.services.expiry import expire
from outreach.services.invitations import expire_invitations, process_invitations
from outreach.services.join import process_member_requests
from outreach.services.requests import process_requests
from outreach.services.seal import seal
from outreach.services.sessions import forget_old_sessions
from outreach.services.staff_passwords import process_staff_requests

log = structlog.get_logger()

_WAIT_TO_LEAD_SECONDS = 1.0
_LOOK_SECONDS = 2.0


def run_engine(ctx: Context, stopping: threading.Event) -> None:
    """Run until `stopping` is set. Only one engine leads; another started beside it waits for its turn."""
    worker = Worker(ctx, connect=partial(SmtpTransport, hello=ctx.settings.public_host), stopping=stopping)
    failed = threading.Event()
    sending = threading.Thread(target=_send, args=(worker, failed), name="worker", daemon=False)
    sending.start()
    try:
        while not stopping.is_set():
            with leading(ctx) as leadership:
                if leadership is not None:
                    _lead(ctx, leadership, stopping)
            stopping.wait(_WAIT_TO_LEAD_SECONDS)
    finally:
        stopping.set()
        sending.join()
    if failed.is_set():
        sys.exit(1)


def _send(worker: Worker, failed: threading.Event) -> None:
    """A worker that meets something nobody foresaw ends the process: started again, it reaps its own journal."""
    try:
        worker.run()
    except Exception as error:
        log.critical("engine.worker", error=type(error).__name__, where=_where(error))
        failed.set()
        worker.stopping.set()


def _lead(ctx: Context, leadership: Leadership, stopping: threading.Event) -> None:
    """Tick until told to stop, or until the lock turns out to be lost: then another may lead already."""
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    scheduler = BackgroundScheduler(timezone="UTC", job_defaults={"coalesce": True, "max_instances": 1})
    jobs: tuple[tuple[Callable[[], object], float], ...] = (
        (lambda: process_requests(ctx), 0.5),
        (lambda: process_staff_requests(ctx), 0.5),
        (lambda: process_member_requests(ctx), 0.5),
        (lambda: process_invitations(ctx), 0.5),
        (lambda: process_connects(ctx), 0.5),
        (lambda: _plan(ctx, stopping), 0.5),
        (lambda: release_waiting(ctx), 5),
        (lambda: finish_campaigns(ctx), 1),
        (lambda: sweep_cancelled(ctx), 1),
        (lambda: expire(ctx), 20),
        (lambda: expire_invitations(ctx), 20),
        (lambda: expire_requests(ctx), 20),
        (lambda: forget_old_sessions(ctx), 3600),
        (lambda: reap_dead(ctx, ctx.settings.instance / "journal"), 5),
        (lambda: reap_expired(ctx), 20),
        (lambda: _seal(ctx, leadership.epoch, stopping), 1),
    )
    for number, (job, seconds) in enumerate(jobs):
        scheduler.add_job(_guarded(job), "interval", seconds=seconds, id=str(number), misfire_grace_time=None)
    scheduler.start()
    while not stopping.wait(_LOOK_SECONDS) and leadership.still_held():
        pass
    scheduler.shutdown(wait=True)


def _guarded(job: Callable[[], object]) -> Callable[[], None]:
    """A job that fails says so, without anybody's data, and is asked again at its next tick."""

    def run() -> None:
        try:
            job()
        except Exception as error:
            log.error("engine.job", error=type(error).__name__, where=_where(error))

    return run


def _where(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"


def _plan(ctx: Context, stopping: threading.Event) -> None:
    begin_due(ctx)
    while not stopping.is_set() and plan_next(ctx):
        pass


def _seal(ctx: Context, epoch: int, stopping: threading.Event) -> None:
    try:
        while not stopping.is_set() and seal(ctx, epoch) is not None:
            pass
    except AuditError as error:
        log.critical("audit.stopped", reason=str(error))


def stop_on_signals(stopping: threading.Event) -> None:
    """Ctrl-C or a service manager's TERM ends the engine after what it has begun."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
