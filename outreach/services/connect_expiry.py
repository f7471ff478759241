"""What time ends of asks through connect links: requests nobody answered, and what counts against an owner's limit."""

from outreach.domain.actors import ENGINE
from outreach.services import invitation_rule
from outreach.services.connect import WINDOW, waits
from outreach.services.context import Context
from outreach.store import connect_links as links
from outreach.store import consents, invitations, invitees
from outreach.store.audit import Entry, record
from outreach.store.planning import take_planners_turn

REQUEST_DAYS = 30
"""How long a confirmed request waits for the link's owner: then who asked is let go of."""

_SLICE = 500
_PATIENCE = REQUEST_DAYS * 86_400_000_000


def expire_requests(ctx: Context) -> int:
    """Refuse what owners left unanswered for 30 days, at most 500, and let go of who asked. For the engine.

    Forgets besides what no longer counts against any owner.
    """
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        if not links.unanswered(conn, now - _PATIENCE, limit=1) and not links.has_asks_before(conn, now - WINDOW):
            return 0
    with ctx.db.transaction() as conn:
        take_planners_turn(conn)
        now = ctx.db.now(conn)
        links.forget_asks(conn, now - WINDOW)
        due = links.unanswered(conn, now - _PATIENCE, limit=_SLICE)
        refs = consents.lock_contacts(conn, {row.contact for row in due if row.contact is not None})
        invitees.lock_members(conn, {row.member for row in due})
        for one in due:
            row = invitations.by_ref(conn, one.ref, lock=True)
            if row is None or not waits(row):
                continue
            invitations.change(conn, row.id, settled=now, settlement="refused")
            body = {"invitation": row.ref.hex(), "way": row.way, "settlement": "refused"}
            contact = refs.get(row.contact)
            record(conn, now, Entry(kind="invitation.answered", actor=ENGINE.name, contact=contact, body=body))
            row = invitees.again(conn, row.id)
            invitation_rule.let_go(conn, now, row, actor=ENGINE, reason="request not answered")
        return len(due)
