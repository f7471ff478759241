"""What is held about a person and others here: account, invitations, connections, links, conversations with staff.

The others stay masked.
"""

from typing import Any

from sqlalchemy import Connection, select

from outreach.services.rights.held import plain
from outreach.store import conversations, relaying
from outreach.store.address_moves import has_left
from outreach.store.boxes import ContactKeys
from outreach.store.schema.members import (
    appeal,
    connect_link,
    connection,
    connection_side,
    disclosure,
    invitation,
    member,
    member_session,
)
from outreach.store.schema.organisation import staff, staff_session
from outreach.store.schema.people import contact
from outreach.store.schema.room import address_move

Facts = dict[str, Any]


def accounts_of(conn: Connection, keys: ContactKeys, contact_id: int) -> list[Facts]:
    """The member's account and the place on the staff, with their sessions."""
    return [*_members(conn, keys, contact_id), *_staff(conn, keys, contact_id)]


def made_of(conn: Connection, keys: ContactKeys, contact_id: int) -> list[Facts]:
    """Invitations the person made, with their own words; whom they went to is masked."""
    query = select(invitation).join(member, member.c.id == invitation.c.member).where(member.c.contact == contact_id)
    return [
        {
            "asked": row.asked,
            "way": row.way,
            "to": keys.text(contact_id, row.label_box) or "somebody",
            "relationship": row.relationship,
            "note": keys.text(contact_id, row.note_box),
            "expires": row.expires,
            "answered": row.answered if row.answer == "accepted" else None,
            "answer": row.answer if row.answer == "accepted" else None,
        }
        for row in conn.execute(query.order_by(invitation.c.id))
    ]


def received_of(conn: Connection, contact_id: int) -> list[Facts]:
    """Invitations to the person; who made them, and in which words, is those people's own."""
    own = select(contact.c.mailbox).where(contact.c.id == contact_id).scalar_subquery()
    theirs = (invitation.c.mailbox == own) & ~has_left(contact_id)
    query = select(invitation).where((invitation.c.contact == contact_id) | theirs)
    return [
        {
            "asked": row.asked,
            "way": row.way,
            "from": "a member",
            "relationship": row.relationship,
            "language": row.locale,
            "expires": row.expires,
            "answered": row.answered,
            "answer": row.answer,
            "report": row.report,
            "reminder": row.reminder,
        }
        for row in conn.execute(query.order_by(invitation.c.id))
    ]


def connections_of(conn: Connection, keys: ContactKeys, contact_id: int) -> list[Facts]:
    """Connections, what the person showed the other side, from when until when, and the mails they wrote there.

    Words are in it while a mail waits for the person; whether the other side takes mails is theirs to know.
    """
    wrote: dict[int, list[Facts]] = {}
    for one in relaying.of_contact(conn, contact_id):
        words = keys.facts(contact_id, one.words_box) if one.state == "held" else {}
        told = {"at": one.received, "octets": one.octets, "waits_for_you": one.state == "held"}
        told |= {"subject": plain(words.get("subject")), "words": plain(words.get("text"))}
        wrote.setdefault(one.connection, []).append(told)
    shown: dict[int, list[Facts]] = {}
    for one in conn.execute(select(disclosure).where(disclosure.c.contact == contact_id).order_by(disclosure.c.id)):
        shown.setdefault(one.connection, []).append({"what": one.what, "since": one.since, "until": one.until})
    query = (
        select(connection, connection_side.c.muted)
        .outerjoin(
            connection_side,
            (connection_side.c.connection == connection.c.id) & (connection_side.c.contact == contact_id),
        )
        .where((connection.c.low == contact_id) | (connection.c.high == contact_id))
    )
    return [
        {
            "since": row.since,
            "with": "a member",
            "ended": row.ended,
            "ended_by_you": None if row.ended is None else row.ended_by == contact_id,
            "muted": row.muted,
            "you_showed": shown.get(row.id, []),
            "mails_you_wrote": wrote.get(row.id, []),
        }
        for row in conn.execute(query.order_by(connection.c.id))
    ]


def links_of(conn: Connection, keys: ContactKeys, contact_id: int) -> list[Facts]:
    """Connect links the person put up."""
    query = select(connect_link).join(member, member.c.id == connect_link.c.member)
    return [
        {
            "created": row.created,
            "name": keys.text(contact_id, row.label_box),
            "most": row.most,
            "expires": row.expires,
            "closed": row.closed,
            "closed_for": row.closed_for,
        }
        for row in conn.execute(query.where(member.c.contact == contact_id).order_by(connect_link.c.id))
    ]


def appeals_of(conn: Connection, keys: ContactKeys, contact_id: int) -> list[Facts]:
    """Appeals against a suspension, and what they were answered."""
    query = select(appeal).join(member, member.c.id == appeal.c.member).where(member.c.contact == contact_id)
    return [
        {
            "appealed": row.at,
            "words": keys.text(contact_id, row.words_box),
            "answered": row.answered,
            "answer": row.answer,
            "reason": row.reason,
        }
        for row in conn.execute(query.order_by(appeal.c.id))
    ]


def conversations_of(conn: Connection, keys: ContactKeys, contact_id: int, *, is_given: bool = False) -> list[Facts]:
    """What the person wrote to us and what staff answered and noted; with `is_given` only what they wrote."""
    rows = list(reversed(conversations.of_person(conn, contact_id)))
    ids = [row.id for row in rows]
    named: dict[int, list[str]] = {}
    for one in conversations.files(conn, ids):
        named.setdefault(one.post, []).append(plain(keys.text(contact_id, one.name_box) or ""))
    said: dict[int, list[Facts]] = {identity: [] for identity in ids}
    for post in conversations.posts(conn, ids):
        if post.kind == "theirs" or not is_given:
            words = {name: one for name, one in keys.facts(contact_id, post.words_box).items() if name != "cut"}
            told = {"at": post.at, "by": _by(post), **plain(words), "files": named.get(post.id, [])}
            said[post.conversation].append(told)
    tags = conversations.tags(conn, ids)
    return [
        {
            "opened": row.opened,
            "topic": row.topic_name,
            "campaign": row.campaign_name,
            "answered": row.answered,
            "closed": row.closed,
            "sorted_as": [] if is_given else [one for one in (row.mark, *tags[row.id]) if one],
            "posts": said[row.id],
        }
        for row in rows
    ]


def _by(post: conversations.PostRow) -> str:
    is_stop = post.kind == "note" and post.staff is None
    return "you, who wanted no more of it by mail" if is_stop else _WROTE[post.kind]


_WROTE = {"theirs": "you", "answer": "our staff, to you", "note": "our staff, for colleagues"}


def _members(conn: Connection, keys: ContactKeys, contact_id: int) -> list[Facts]:
    query = select(member).where(member.c.contact == contact_id)
    return [
        {
            "account": "member",
            "code": row.code,
            "name": keys.text(contact_id, row.name_box),
            "created": row.created,
            "mailed_when_answered": bool(row.notify),
            "has_password": row.password_hash is not None,
            "suspended": row.suspended,
            "suspended_for": row.suspended_for,
            "closed": row.closed,
            "sessions": _sessions(conn, keys, contact_id, member_session, member_session.c.member, row.id),
        }
        for row in conn.execute(query).all()
    ]


def _staff(conn: Connection, keys: ContactKeys, contact_id: int) -> list[Facts]:
    query = select(staff).where(staff.c.contact == contact_id)
    return [
        {
            "account": "staff",
            "roles": row.roles,
            "time_zone": row.timezone,
            "created": row.created,
            "has_password": row.password_hash is not None,
            "closed": row.disabled,
            "sessions": _sessions(conn, keys, contact_id, staff_session, staff_session.c.staff, row.id),
        }
        for row in conn.execute(query).all()
    ]


def _sessions(conn: Connection, keys: ContactKeys, contact_id: int, table: Any, owner: Any, owner_id: int) -> Any:
    query = select(table.c.created, table.c.seen, table.c.ended, table.c.client_box).where(owner == owner_id)
    return [
        {"created": row.created, "seen": row.seen, "ended": row.ended, "from": keys.facts(contact_id, row.client_box)}
        for row in conn.execute(query.order_by(table.c.id)).all()
    ]


def moves_of(conn: Connection, keys: ContactKeys, contact_id: int) -> list[Facts]:
    """Changes of address from this one and to it; the other address as it was typed here, else left out."""
    query = select(address_move).where((address_move.c.contact == contact_id) | (address_move.c.target == contact_id))
    return [
        {
            "asked": row.asked,
            "to": keys.facts(contact_id, row.asked_box).get("address") if row.contact == contact_id else "this address",
            "answered": row.confirmed,
            "answer": row.outcome,
            "ended": row.ended,
        }
        for row in conn.execute(query.order_by(address_move.c.id))
    ]
