"""The default engine: one process beside the web is scheduler and worker. It needs no broker, and SQLite is enough."""

import threading

from outreach.engines.distributed import run_scheduler
from outreach.engines.senders import sending
from outreach.services.context import Context


def run_engine(ctx: Context, stopping: threading.Event) -> None:
    """Run until `stopping` is set. Only one engine leads; another started beside it sends, and waits for its turn."""
    with sending(ctx, stopping):
        run_scheduler(ctx, stopping)
