"""Puts one uncapped system message in the pipeline's way: a confirmation, a notice, a test mail."""

import secrets
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert

from outreach.services.context import Context
from outreach.store.boxes import ContactKeys
from outreach.store.contacts import Person
from outreach.store.schema.campaigns import message

CONFIRMATION_LANE = "1-confirmation"
NOTICE_LANE = "3-notice"


def queue_confirmation(conn: Connection, now: int, person: Person, confirmation_id: int, *, due: int) -> bytes:
    """Plan the one mail that asks a person to confirm; its words are made when it is handed off. Returns its ref."""
    return _queue(
        conn, now, person, origin="confirmation", lane=CONFIRMATION_LANE, due=due, confirmation=confirmation_id
    )


def queue_notice(
    conn: Connection,
    ctx: Context,
    now: int,
    person: Person,
    *,
    template: str,
    facts: Mapping[str, Any],
    topic: int | None = None,
) -> bytes:
    """Plan a notice (`templates/mail/<template>`) whose `facts` are boxed under its reader's key. Returns its ref.

    `topic`: the one it is about, for a recipient, who gets it only while they get mail from us; none: for staff.
    """
    keys = ContactKeys(ctx.keyring, conn)
    body = keys.seal(person.id, {"template": template, "facts": dict(facts)})
    return _queue(conn, now, person, origin="notice", lane=NOTICE_LANE, due=now, body_box=body, topic=topic)


def queue_test(conn: Connection, now: int, person: Person, *, content: int) -> bytes:
    """Plan a test mail of a campaign's present content to the marketer's own address. Returns its ref."""
    return _queue(conn, now, person, origin="test", lane=NOTICE_LANE, due=now, content=content)


def _queue(conn: Connection, now: int, person: Person, *, origin: str, lane: str, due: int, **more: Any) -> bytes:
    ref = secrets.token_bytes(16)
    conn.execute(
        insert(message).values(
            ref=ref,
            origin=origin,
            kind="service",
            lane=lane,
            contact=person.id,
            mailbox=person.mailbox,
            state="planned",
            planned=now,
            due=due,
            **more,
        )
    )
    return ref
