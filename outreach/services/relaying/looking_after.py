"""What time and the pipeline make of mails between two people; called by the engine."""

from outreach.domain.actors import ENGINE
from outreach.services.context import Context
from outreach.services.relaying import letting
from outreach.store import consents
from outreach.store import relaying as store
from outreach.store.audit import Entry, record
from outreach.store.contacts import find_by_id

KEPT_DAYS = 180
"""How long it is known that a mail was passed on, and which one an answer belongs to; its words are gone at once."""

_DAY = 86_400_000_000
_SLICE = 200


def look_after_relays(ctx: Context) -> int:
    """Erase words that were handed off or ran out of time, and forget mails long over. Returns how many."""
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        old = now - KEPT_DAYS * _DAY
        due = bool(store.settled(conn, 1)), bool(store.out_of_time(conn, now, 1)), store.has_old(conn, old)
    return sum(act(ctx) for act, is_due in zip((_settle, _expire, _forget), due, strict=True) if is_due)


def _settle(ctx: Context) -> int:
    with ctx.db.transaction() as conn:
        return letting.settle_all(conn, ctx, ctx.db.now(conn))


def _expire(ctx: Context) -> int:
    """What its writer did not decide about is dropped; what waited for a reader who goes on muting it, as well. The
    entry of the second names the reader alone.
    """
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        people = [person for row in store.out_of_time(conn, now, _SLICE) for person in (row.reader, row.writer)]
        consents.lock_contacts(conn, people)
        rows = [row for row in store.out_of_time(conn, now, _SLICE) if row.reader in people and row.writer in people]
        for row in rows:
            is_held = row.state == "held"
            store.finish(conn, [row.id], "dropped" if is_held else "expired")
            whose = find_by_id(conn, row.writer if is_held else row.reader)
            body = {"connection": row.connection_ref.hex(), "mail": row.ref.hex(), "reason": "time"}
            kind = "relay.dropped" if is_held else "relay.waiting-ended"
            contact = None if whose is None else whose.ref
            record(conn, now, Entry(kind=kind, actor=ENGINE.name, contact=contact, body=body))
        return len(rows)


def _forget(ctx: Context) -> int:
    with ctx.db.transaction() as conn:
        return store.forget(conn, ctx.db.now(conn) - KEPT_DAYS * _DAY)
