"""The engine on any number of machines: a scheduler that leads, and workers that send, each a process of its own.

State is in the database alone. Whatever is lost, the rest goes on: workers send what is planned, another scheduler
takes over within seconds, and without a broker workers look for themselves every two seconds.
"""

import threading

from outreach.engines.jobs import Job
from outreach.engines.senders import LANES, sending
from outreach.engines.ticks import lead
from outreach.services.context import Context
from outreach.store.messages import due_express, due_lanes

_NUDGE_SECONDS = 0.5


def run_scheduler(ctx: Context, stopping: threading.Event) -> None:
    """Lead, or stand by, until `stopping` is set; wake workers, where there is a broker."""
    if not ctx.settings.broker_url:
        lead(ctx, stopping)
        return
    from outreach.engines.broker import Nudger  # noqa: PLC0415  Celery, 10 MB that most installations do not need

    nudger = Nudger(ctx.settings)
    try:
        lead(ctx, stopping, Job("nudge", lambda: nudger.nudge(classes_due(ctx)), _NUDGE_SECONDS))
    finally:
        nudger.close()


def run_worker(ctx: Context, stopping: threading.Event) -> None:
    """Send until `stopping` is set: what is begun is finished, the rest put back."""
    if not ctx.settings.broker_url:
        with sending(ctx, stopping):
            stopping.wait()
        return
    from outreach.engines.broker import Listener  # noqa: PLC0415  the same

    nudges = {lanes: threading.Event() for lanes in LANES}
    listener = Listener(ctx.settings, nudges)
    with sending(ctx, stopping, nudges):
        listener.start()
        stopping.wait()
        listener.stop()


def classes_due(ctx: Context) -> list[str]:
    """The classes of lanes in which something is due now, express first."""
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        due = {"express": due_express(conn, now), "bulk": due_lanes(conn, now)}
    return [lanes for lanes in LANES if due[lanes]]
