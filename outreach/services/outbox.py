"""Puts one message in the pipeline's way that no campaign sends: a confirmation, a notice, a reply, a test, an
invitation.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select

from outreach.services.context import Context
from outreach.store.audit import Entry, record
from outreach.store.boxes import ContactKeys
from outreach.store.bulk import insert_rows, next_ids
from outreach.store.contacts import Person
from outreach.store.schema.campaigns import message

CONFIRMATION_LANE = "1-confirmation"
REPLY_LANE = "2-reply"
NOTICE_LANE = "3-notice"
INVITATION_LANE = "4-invitation"
# fmt: off
_NOTICED = (
    "id", "ref", "origin", "kind", "lane", "contact", "mailbox", "topic", "state", "planned", "due", "body_box",
)
# fmt: on


def queue_confirmation(conn: Connection, now: int, person: Person, confirmation_id: int, *, due: int) -> bytes:
    """Plan the one mail that asks a person to confirm; its words are made when it is handed off. Returns its ref."""
    return _queue(
        conn, now, person, origin="confirmation", lane=CONFIRMATION_LANE, due=due, confirmation=confirmation_id
    )


def queue_renewal(conn: Connection, now: int, person: Person, confirmation_id: int, *, topic: int, due: int) -> bytes:
    """Plan the one mail that asks whether a consent shall go on; it stands in the ledger with promotions. Its ref."""
    about = {"confirmation": confirmation_id, "topic": topic}
    return _queue(conn, now, person, origin="confirmation", kind="promotional", lane=NOTICE_LANE, due=due, **about)


def queue_notice(
    conn: Connection,
    ctx: Context,
    now: int,
    person: Person,
    *,
    template: str,
    facts: Mapping[str, Any],
    topic: int | None = None,
    invitation: int | None = None,
    connection: bytes | None = None,
) -> bytes:
    """Plan a notice (`templates/mail/<template>`) whose `facts` are boxed under its reader's key. Returns its ref.

    `topic`: the one it is about, for a recipient, who gets it only while they get mail from us. `invitation`: the one
    whose connection it is about, for whoever was invited, while they are connected. Neither: for staff, and for members
    who want such mails. `connection`: the ref of the one a press in it mutes.
    """
    keys = ContactKeys(ctx.keyring, conn)
    stream = {} if connection is None else {"connection": connection.hex()}
    body = keys.seal(person.id, {"template": template, "facts": dict(facts), **stream})
    about: dict[str, Any] = {"topic": topic, "invitation": invitation}
    return _queue(conn, now, person, origin="notice", lane=NOTICE_LANE, due=now, body_box=body, **about)


@dataclass(frozen=True)
class Notice:
    """One of many notices planned at once: its reader, the ref it gets, the topic its reader lives by, its facts.

    `topic`: None for a member of none.
    """

    person: Person
    ref: bytes
    topic: int | None
    facts: Mapping[str, Any]


def queue_notices(conn: Connection, ctx: Context, now: int, template: str, notices: Sequence[Notice]) -> list[int]:
    """Plan a notice about a topic to each of many people, set-wise. Returns the messages' ids."""
    keys = ContactKeys(ctx.keyring, conn)
    keys.load(one.person.id for one in notices)
    ids = next_ids(conn, message, len(notices))
    rows = [
        (
            identity,
            one.ref,
            "notice",
            "service",
            NOTICE_LANE,
            one.person.id,
            one.person.mailbox,
            one.topic,
            "planned",
            now,
            now,
            keys.seal(one.person.id, {"template": template, "facts": dict(one.facts)}),
        )
        for identity, one in zip(ids, notices, strict=True)
    ]
    insert_rows(conn, message, _NOTICED, rows)
    return ids


def queue_reply(
    conn: Connection, ctx: Context, now: int, person: Person, body: Mapping[str, Any], *, topic: int | None = None
) -> tuple[int, bytes]:
    """Plan what somebody wrote to a person in a conversation with them; `body` is boxed under the reader's key.

    Returns (id, ref). `pipeline/bases.py` asks at hand-off for the conversation or connection it belongs to.
    """
    box = ContactKeys(ctx.keyring, conn).seal(person.id, body)
    ref = _queue(conn, now, person, origin="reply", lane=REPLY_LANE, due=now, body_box=box, topic=topic)
    return conn.execute(select(message.c.id).where(message.c.ref == ref)).scalar_one(), ref


def queue_test(conn: Connection, now: int, person: Person, *, content: int) -> bytes:
    """Plan a test mail of a campaign's present content to the marketer's own address. Returns its ref."""
    return _queue(conn, now, person, origin="test", lane=NOTICE_LANE, due=now, content=content)


def queue_invitation(conn: Connection, now: int, person: Person, invitation_id: int, *, due: int) -> bytes:
    """Plan the one mail of an invitation, or its reminder; it stands in the ledger with promotions. Returns its ref."""
    return _queue(conn, now, person, due=due, invitation=invitation_id, **_INVITATION)


def withhold_invitation(conn: Connection, now: int, person: Person, invitation_id: int | None, reason: str) -> bytes:
    """The row and the entry of an invitation's mail that is not sent, so that it can be explained. Returns its ref.

    `invitation_id`: None for an ask through a connect link, of which no invitation came.
    """
    settled: dict[str, Any] = {"state": "withheld", "reason": reason, "settled": now}
    ref = _queue(conn, now, person, due=now, invitation=invitation_id, **_INVITATION, **settled)
    body = {"state": "withheld", "reason": reason}
    record(conn, now, Entry(kind="message.withheld", actor="engine", contact=person.ref, message=ref, body=body))
    return ref


_INVITATION: dict[str, Any] = {"origin": "invitation", "kind": "promotional", "lane": INVITATION_LANE}


def _queue(conn: Connection, now: int, person: Person, *, origin: str, lane: str, due: int, **more: Any) -> bytes:
    ref = secrets.token_bytes(16)
    conn.execute(
        insert(message).values(
            ref=ref,
            origin=origin,
            lane=lane,
            contact=person.id,
            mailbox=person.mailbox,
            planned=now,
            due=due,
            **{"kind": "service", "state": "planned", **more},
        )
    )
    return ref
