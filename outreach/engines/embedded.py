"""The default engine: one process beside the web leads, sends and takes mail in. No broker is needed, and
SQLite is enough.
"""

import threading

from outreach.engines.distributed import run_scheduler
from outreach.engines.listener import listening
from outreach.engines.senders import sending
from outreach.services.context import Context


def run_engine(ctx: Context, stopping: threading.Event) -> None:
    """Run until `stopping` is set. Only one engine leads; another started beside it sends, and waits for its turn."""
    with listening(ctx), sending(ctx, stopping):
        run_scheduler(ctx, stopping)
