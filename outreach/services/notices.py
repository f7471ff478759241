"""What we write to members and staff of our own accord: switched off by a press in a mail, and on again by its undo.

A member chose to be told when somebody answers, and staff are told what waits for them. Both can be changed in the
account; here it goes without one, as every stop does. The caller holds the reader's row.
"""

from collections.abc import Collection

from sqlalchemy import Connection

from outreach.domain.actors import RECIPIENT, Actor
from outreach.services.context import Context
from outreach.store import notices
from outreach.store.audit import Entry, record
from outreach.store.boxes import ContactKeys
from outreach.store.messages import Settled, settle

OF_OUR_OWN_ACCORD = frozenset({"answered", "request", "staff-dues", "approval"})
"""Notices that a switch is for; all others their reader asked for, or we owe them."""

_OFF, _ON = "notices.stopped", "notices.resumed"


def switch_off(conn: Connection, ctx: Context, now: int, ref: bytes, people: Collection[int]) -> int:
    """No more to these people (contacts), by a press in the mail `ref`, nor what waits to go out. Returns how many
    accounts that changed.
    """
    keys = ContactKeys(ctx.keyring, conn)
    waiting = notices.waiting(conn, people)
    ours = [row.id for row in waiting if keys.facts(row.contact, row.body_box).get("template") in OF_OUR_OWN_ACCORD]
    settle(conn, now, [Settled(one, "withheld", "staff_ended") for one in ours], "planned")
    return _tell(conn, now, _OFF, ref, notices.switch(conn, people, is_on=False), RECIPIENT)


def switch_on_again(
    conn: Connection, now: int, ref: bytes, people: Collection[int], stopped: int, *, actor: Actor = RECIPIENT
) -> int:
    """Take back what the press in the mail `ref` did at this instant. Returns how many accounts that changed."""
    theirs = notices.switched(conn, (_OFF, _ON), ref, stopped)
    return _tell(conn, now, _ON, ref, notices.switch(conn, people, is_on=True, only=theirs), actor)


def _tell(
    conn: Connection, now: int, kind: str, ref: bytes, changed: Collection[notices.Switched], actor: Actor
) -> int:
    entries = [
        Entry(kind=kind, actor=actor.name, contact=one.person, message=ref, body={"of": one.account}) for one in changed
    ]
    record(conn, now, *entries)
    return len(entries)
