"""Shows the log to the world: from time to time a checkpoint is published, and with it the tree up to it.

What is sealed second by second stays inside until then. Before it is shown the log is padded (`domain/padding.py`), so
that neither when something was written nor how much tells whose address somebody tried.
"""

import secrets

from sqlalchemy import Connection

from outreach.domain.audit import TILE
from outreach.domain.padding import KIND, padding
from outreach.services.context import Context
from outreach.services.seal import BATCH, seal
from outreach.store import audit_log, audit_tiles
from outreach.store.audit import Entry, record
from outreach.store.audit_log import SealedPoint

MINUTE = 60_000_000


def newest(conn: Connection) -> SealedPoint | None:
    """The newest checkpoint the world may see, signed; None before the first is published.

    Proofs for anybody outside are against this one: `proofs.inclusion(conn, index, newest.size)`.
    """
    found = audit_tiles.newest_published(conn)
    return found[0] if found else None


def publish(ctx: Context, epoch: int) -> int | None:
    """Publish what came since the last time, once `log_publish_minutes` have passed; as the leader of `epoch`.

    Seals all that waits. Returns the size published, None when nothing was due. Never beside another `seal` of the
    same leader. Raises AuditError as `seal` does.
    """
    if not _is_due(ctx):
        return None
    size = _pad(ctx)
    while (sealed := seal(ctx, epoch, limit=min(BATCH, size - _sealed(ctx)))) is not None and sealed.size < size:
        pass
    with ctx.db.transaction() as conn:
        audit_log.fence(conn, epoch)
        audit_tiles.add_publication(conn, size, ctx.db.now(conn))
    return size


def _is_due(ctx: Context) -> bool:
    """Whether the time is up and something was written: padding alone is nothing new."""
    with ctx.db.reading() as conn:
        last = audit_tiles.newest_published(conn)
        point = audit_log.newest_point(conn)
        is_new = bool(audit_log.pending_entries(conn, 1)) or (point.size if point else 0) > (last[0].size if last else 0)
        return is_new and (
            last is None or ctx.db.now(conn) >= last[1] + ctx.settings.log_publish_minutes * MINUTE
        )


def _pad(ctx: Context) -> int:
    """Write the padding. Returns the size to publish."""
    with ctx.db.transaction() as conn:
        point = audit_log.newest_point(conn)
        total = (point.size if point else 0) + audit_log.count_pending(conn)
        count = padding(total, secrets.randbelow(TILE))
        record(conn, ctx.db.now(conn), *(Entry(kind=KIND, actor="engine") for _ in range(count)))
        return total + count


def _sealed(ctx: Context) -> int:
    with ctx.db.reading() as conn:
        point = audit_log.newest_point(conn)
        return point.size if point else 0
