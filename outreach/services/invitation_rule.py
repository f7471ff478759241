"""What the engine decides about an invitation whose recipient it has found, and what is let go once one is over.

For invitations by mail and for those through a connect link alike: one rule (`domain/invitation.decide`), one way to
queue or withhold the mail, one way to forget whom it was meant for.
"""

from typing import Any

from sqlalchemy import Connection
from sqlalchemy.engine import Row

from outreach.domain.actors import ENGINE, Actor
from outreach.domain.eligibility import Decision, Defer, Reason, Send, Withhold
from outreach.domain.invitation import Answer, decide
from outreach.services import outbox
from outreach.services.expiry import erase_strangers
from outreach.store import invitation_facts, invitations, invitees
from outreach.store.audit import Entry, record
from outreach.store.contacts import Person
from outreach.store.messages import Settled, settle


def judge(conn: Connection, now: int, row: Row[Any], person: Person) -> Decision:
    """Whether the invitation `row` may be mailed to `person` now. A wait beyond its time is a refusal by the cap."""
    facts = invitation_facts.of_candidate(conn, row.id, person.id, now)
    return ended_by_time(decide(facts, now), row.expires)


def ended_by_time(decision: Decision, expires: int) -> Decision:
    """The decision, unless it says to wait until the invitation is over."""
    if isinstance(decision, Defer) and decision.until >= expires:
        return Withhold(Reason.CAP_INVITATIONS)
    return decision


def place(conn: Connection, now: int, row: Row[Any], person: Person, decision: Send | Withhold) -> bytes:
    """Queue the mail of a decided invitation, or withhold it and forget a stranger at once. Returns its ref.

    The caller holds the planners' turn and the lock of `person`, and settles the request this came by.
    """
    reason = decision.reason if isinstance(decision, Withhold) else None
    if reason is None:
        ref = outbox.queue_invitation(conn, now, person, row.id, due=now)
    else:
        ref = outbox.withhold_invitation(conn, now, person, row.id, reason)
    if row.decided is None:
        invitations.change(conn, row.id, decided=now)
    body = {"invitation": row.ref.hex(), "mail": "queued" if reason is None else "withheld", "reason": reason}
    record(conn, now, Entry(kind="invitation.decided", actor=ENGINE.name, contact=person.ref, message=ref, body=body))
    if reason is not None and row.reminder is None:  # nobody was written to, so nobody is waited for
        invitations.change(conn, row.id, contact=None)
        erase_strangers(conn, now, [person.id], actor=ENGINE, reason="invitation withheld")
    return ref


def let_go(conn: Connection, now: int, row: Row[Any], *, actor: Actor, reason: str) -> bool:
    """Withhold what has not gone of an invitation that is over, and erase its recipient if nothing else holds them.

    False while one of its mails is being handed off: then it is asked again. The caller holds the recipient's lock.
    """
    if row.contact is None or row.answered is None or (row.answer == Answer.ACCEPTED and row.settlement != "refused"):
        return True
    planned = invitees.planned_mails(conn, row)
    settle(conn, now, [Settled(one, "withheld", Reason.INVITATION_ENDED) for one in planned], "planned")
    if invitees.has_mail_on_its_way(conn, row):
        return False
    invitations.change(conn, row.id, contact=None)
    erase_strangers(conn, now, [row.contact], actor=actor, reason=reason)
    return True
