"""What we write to members and staff of our own accord: switched off by a press in a mail, and on again by its undo.

A member chose to be told when somebody answers, and staff are told what waits for them. Both can be changed in the
account; here it goes without one, as every stop does. The caller holds the reader's row.
"""

from collections.abc import Collection

from sqlalchemy import Connection

from outreach.domain.actors import RECIPIENT, Actor
from outreach.store import notices
from outreach.store.audit import Entry, record

_OFF, _ON = "notices.stopped", "notices.resumed"


def switch_off(conn: Connection, now: int, ref: bytes, people: Collection[int]) -> int:
    """No more to these people (contacts), by a press in the mail `ref`. Returns how many accounts that changed."""
    return _tell(conn, now, _OFF, ref, notices.switch(conn, people, notices.ACCOUNTS, is_on=False), RECIPIENT)


def switch_on_again(
    conn: Connection, now: int, ref: bytes, people: Collection[int], stopped: int, *, actor: Actor = RECIPIENT
) -> int:
    """Take back what the press in the mail `ref` did at this instant. Returns how many accounts that changed."""
    accounts = notices.switched(conn, _OFF, ref, stopped)
    return _tell(conn, now, _ON, ref, notices.switch(conn, people, accounts, is_on=True), actor)


def _tell(
    conn: Connection, now: int, kind: str, ref: bytes, changed: Collection[notices.Switched], actor: Actor
) -> int:
    entries = [
        Entry(kind=kind, actor=actor.name, contact=one.person, message=ref, body={"of": one.account}) for one in changed
    ]
    record(conn, now, *entries)
    return len(entries)
