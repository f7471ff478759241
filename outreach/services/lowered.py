"""What a lowered cap does to mails already planned: the earliest keep their places, the others are withheld."""

from collections.abc import Collection

from sqlalchemy import Connection

from outreach.domain.frequency import SECOND, Cap
from outreach.store import consents
from outreach.store import room as store
from outreach.store.contacts import Person
from outreach.store.messages import Settled, settle


def lock_mailbox(conn: Connection, contact_id: int) -> None:
    """Lock a person and every other spelling of their mailbox, in id order: its caps are counted together."""
    lock_mailboxes(conn, [contact_id])


def lock_mailboxes(conn: Connection, contacts: Collection[int]) -> dict[int, bytes]:
    """The same for several people. Returns the refs of all who are locked, by id."""
    return consents.lock_contacts(conn, consents.spellings(conn, contacts))


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
