"""Shows the log to the world: from time to time a checkpoint is published, and with it the tree up to it.

What is sealed second by second stays inside until then. Before it is shown the log is padded (`domain/padding.py`), so
that neither when something was written nor how much tells whose address somebody tried.
"""

from secrets import randbelow

from sqlalchemy import Connection

from outreach.domain.audit import TILE
from outreach.domain.errors import AuditError
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

    Seals what waits. Returns the size published, None when nothing was due. Never beside another `seal` of the same
    leader. Raises AuditError as `seal` does.
    """
    if not _is_due(ctx):
        return None
    size = _pad(ctx)
    while missing := size - _sealed(ctx):
        if missing < 0 or seal(ctx, epoch, limit=min(BATCH, missing)) is None:
            raise AuditError("Somebody else worked on the log meanwhile. Nothing was published.")
    with ctx.db.transaction() as conn:
        audit_log.fence(conn, epoch)
        point = audit_log.point_at(conn, size)
        if point is None or point.note is None:
            raise AuditError("Only a signed checkpoint can be published. Nothing was published.")
        audit_tiles.add_publication(conn, size, ctx.db.now(conn))
    return size


def _is_due(ctx: Context) -> bool:
    """Whether the time is up and something was written: padding is sealed and shown at once, and so nothing new."""
    with ctx.db.reading() as conn:
        last = audit_tiles.newest_published(conn)
        if last is not None and ctx.db.now(conn) < last[1] + ctx.settings.log_publish_minutes * MINUTE:
            return False
        point = audit_log.newest_point(conn)
        shown = last[0].size if last else 0
        return audit_log.is_pending(conn) or (point.size if point else 0) > shown


def _pad(ctx: Context) -> int:
    """Write the padding. Returns the size to publish."""
    with ctx.db.transaction() as conn:
        point = audit_log.newest_point(conn)
        total = (point.size if point else 0) + audit_log.count_pending(conn)
        count = padding(total, randbelow(TILE))
        record(conn, ctx.db.now(conn), *(Entry(kind=KIND, actor="engine") for _ in range(count)))
        return total + count


def _sealed(ctx: Context) -> int:
    with ctx.db.reading() as conn:
        point = audit_log.newest_point(conn)
        return point.size if point else 0
