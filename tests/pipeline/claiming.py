"""Claims as a worker makes them, without the worker."""

from outreach.pipeline.claim import Claimed, claim
from outreach.services.context import Context
from outreach.store.messages import due_express, due_lanes


def claim_due(ctx: Context, worker: str, most: int = 10) -> Claimed:
    """A batch of the first lane that has something due."""
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        lanes = [*due_express(conn, now), *due_lanes(conn, now)]
    return claim(ctx, worker, lanes[0], most) if lanes else Claimed()
