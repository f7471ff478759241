"""What the engine does for people's requests: clocks, erasures, what is past its time, the list kept for restores."""

from outreach.services.context import Context
from outreach.services.rights.ask import process_rights_requests
from outreach.services.rights.claims import end_holds
from outreach.services.rights.erasure import erase_due
from outreach.services.rights.requests import warn
from outreach.services.rights.restored import list_erasures
from outreach.store import rights as store

__all__ = ["look_after_rights", "process_rights_requests"]

_DAY = 86_400_000_000
_LINKS = 7 * _DAY
_MAILS = 60 * _DAY


def look_after_rights(ctx: Context) -> int:
    """One round, every few seconds. Returns how much was done."""
    return erase_due(ctx) + warn(ctx) + end_holds(ctx) + _forget(ctx) + list_erasures(ctx)


def _forget(ctx: Context) -> int:
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        if not store.has_old(conn, now, links_before=now - _LINKS, mails_before=now - _MAILS):
            return 0
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        return store.forget_old(conn, now, links_before=now - _LINKS, mails_before=now - _MAILS)
