"""What a lowered cap does to mails already planned: the earliest keep their places, the others are withheld."""

from sqlalchemy import Connection

from outreach.domain.frequency import SECOND, Cap
from outreach.store import consents, invitees
from outreach.store import room as store
from outreach.store.contacts import Person, find_by_id
from outreach.store.messages import Settled, settle


def lock_mailbox(conn: Connection, contact_id: int) -> None:
    """Lock a person and every other spelling of their mailbox, in id order: its caps are counted together."""
    person = find_by_id(conn, contact_id)
    others = invitees.held_of_mailbox(conn, person.mailbox) if person is not None else ()
    consents.lock_contacts(conn, {contact_id, *others})


def withhold_surplus(conn: Connection, now: int, person: Person, topic_id: int | None, cap: Cap) -> int:
    """Withhold the campaigns' mails to a person that a lowered cap has no place for; the earliest go as planned.

    Else each of several would count against the others, and none would go. Returns how many.
    """
    taken = store.places(conn, person.mailbox, topic_id, now - cap.window * SECOND)
    mine = [row for row in taken if row.contact == person.id and row.origin == "campaign"]
    planned = [row.id for row in mine if row.state == "planned"]
    room = max(0, cap.n - (len(taken) - len(planned)))
    surplus = [Settled(one, "withheld", "cap_own") for one in planned[room:]]
    return len(settle(conn, now, surplus, "planned"))
