"""After a restore from backup: people erased since are erased again, before anything is sent.

A database that does not hold the newest checkpoint `instance/checkpoints.txt` keeps is older than it was: workers that
see this send nothing until `reapply` ran. What it erases is told by `instance/erasures.txt`. A worker's machine has no
such file: there the size of the log it saw last is remembered instead.
"""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, select

from outreach.domain.errors import AuditError
from outreach.services.context import Context
from outreach.services.rights.erasure import destroy
from outreach.services.rights.erasures_file import Erased, append, every_erasure, newest
from outreach.services.seal import LogKey, checkpoint_file, newest_kept
from outreach.store import audit_log, consents, suppressions
from outreach.store import rights as store
from outreach.store.audit import Entry, record
from outreach.store.planning import take_planners_turn
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.people import contact, contact_key, suppression

_OVERLAP = 600_000_000
_SETTLED = 60_000_000


@dataclass(frozen=True)
class Reapplied:
    """`erased`: people the backup had brought back; `barred`: addresses barred anew; `size`: the kept checkpoint's."""

    erased: int
    barred: int
    size: int


def is_behind(ctx: Context) -> bool:
    """Whether the database lacks the newest checkpoint kept outside it, and was not reconciled with it since."""
    size = _kept_size(ctx)
    if not size:
        return False
    with ctx.db.reading() as conn:
        return audit_log.point_at(conn, size) is None and store.restored_up_to(conn) < size


def remember(ctx: Context) -> None:
    """On a machine without `checkpoints.txt`, keep how large the signed log was; for workers, every so often.

    A minute old at least: whoever reconciles a restored database knows a checkpoint as large then.
    """
    if checkpoint_file(ctx).exists():
        return
    with ctx.db.reading() as conn:
        point = audit_log.newest_point(conn, signed=True)
        is_settled = point is not None and point.at <= ctx.db.now(conn) - _SETTLED
    if point is not None and is_settled and point.size > _seen_size(ctx):
        _seen_file(ctx).write_text(f"{point.size}\n")


def reapply(ctx: Context) -> Reapplied:
    """Erase again whoever the list names and the database still holds, bar their addresses, let sending go on.

    Raises SettingsError for a list that cannot be read. Twice is once.
    """
    listed = list(every_erasure(ctx))
    erased = barred = 0
    for gone in listed:
        with ctx.db.transaction() as conn:
            take_planners_turn(conn)
            now = ctx.db.now(conn)
            barred += _bar_again(conn, now, gone)
            erased += _erase_again(conn, ctx, now, gone)
    size = _kept_size(ctx)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        store.note_restoration(conn, now, size=size, erased=erased)
        body = {"erased": erased, "barred": barred, "checkpoint": size}
        record(conn, now, Entry(kind="store.restored", actor="console", body=body))
    return Reapplied(erased, barred, size)


def list_erasures(ctx: Context) -> int:
    """For the engine: put into the list whom others erased since its last line. Returns how many.

    Requested erasures write their own line before they commit. All others (retention, accounts closed, requests never
    confirmed) would come again by themselves; the list is so complete that nobody needs to trust that.
    """
    last, known = newest(ctx)
    with ctx.db.reading() as conn:
        query = select(audit_entry.c.at, audit_entry.c.contact).where(
            audit_entry.c.kind == "contact.erased", audit_entry.c.at > last - _OVERLAP
        )
        rows = conn.execute(query.order_by(audit_entry.c.at)).all()
    fresh = [Erased(row.at, row.contact) for row in rows if row.contact is not None and row.contact not in known]
    append(ctx, fresh)
    return len(fresh)


def _erase_again(conn: Connection, ctx: Context, now: int, gone: Erased) -> int:
    query = select(contact.c.id).join(contact_key, contact_key.c.contact == contact.c.id)
    found = conn.execute(query.where(contact.c.ref == gone.contact)).scalar_one_or_none()
    if found is None:
        return 0
    consents.lock_contacts(conn, [found])
    destroy(conn, ctx, now, found, gone, reason="restored from backup")
    return 1


def _bar_again(conn: Connection, now: int, gone: Erased) -> int:
    """Put the bar the backup does not know of; not on who came back by double opt-in after it was put."""
    if gone.address_key is None:
        return 0
    known = select(suppression.c.id).where(
        suppression.c.key == gone.address_key, suppression.c.kind == "erased", suppression.c.since >= gone.at
    )
    if conn.execute(known.limit(1)).first() is not None:
        return 0
    bar = suppressions.Bar(gone.address_key, "address", "erased", "owner", "erased as they asked")
    suppressions.put(conn, max(now, gone.at), [bar])
    return 1


def _kept_size(ctx: Context) -> int:
    """The size of the newest checkpoint in the file; 0 for none. One that is not ours is for `audit verify` to tell.

    Without the file, the size that was remembered.
    """
    if not checkpoint_file(ctx).exists():
        return _seen_size(ctx)
    try:
        kept, _ = newest_kept(checkpoint_file(ctx), LogKey(ctx.keyring))
    except AuditError:
        return 0
    return kept.size if kept is not None else 0


def _seen_file(ctx: Context) -> Path:
    return ctx.settings.instance / "seen-log.txt"


def _seen_size(ctx: Context) -> int:
    try:
        return int(_seen_file(ctx).read_text())
    except (FileNotFoundError, ValueError):
        return 0
