"""The engine on any number of machines: a scheduler that leads, and workers that send, each a process of its own.

State is in the database alone. Whichever of them is lost, the rest goes on: workers send what is planned, another
scheduler takes over within seconds, and a scheduler without workers plans, and seals.
"""

import threading

from outreach.engines.senders import sending
from outreach.engines.ticks import lead
from outreach.services.context import Context


def run_scheduler(ctx: Context, stopping: threading.Event) -> None:
    """Lead, or stand by, until `stopping` is set."""
    lead(ctx, stopping)


def run_worker(ctx: Context, stopping: threading.Event) -> None:
    """Send until `stopping` is set: what is begun is finished, the rest put back."""
    with sending(ctx, stopping):
        stopping.wait()
