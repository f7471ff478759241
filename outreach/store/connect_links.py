"""SQL about connect links: an owner's links, whose a link is, and how many requests came in through each."""

import secrets
from typing import Any

from sqlalchemy import Connection, Select, and_, delete, func, insert, or_, select, text, update
from sqlalchemy.engine import Row

from outreach.domain.invitation import Answer
from outreach.store.boxes import ContactKeys
from outreach.store.schema.campaigns import message
from outreach.store.schema.members import connect_ask, connect_link, invitation, member
from outreach.store.schema.people import mailbox

LinkRow = Row[*tuple[Any, ...]]
"""A link's columns and `confirmed`: how many confirmed their address after asking through it."""

_CONFIRMED = (
    select(func.count())
    .select_from(invitation)
    .where(invitation.c.link == connect_link.c.id, invitation.c.answer == Answer.ACCEPTED)
    .scalar_subquery()
)
_LINKS: Select[*tuple[Any, ...]] = select(*connect_link.c, _CONFIRMED.label("confirmed"))


def add(
    conn: Connection,
    keys: ContactKeys,
    now: int,
    *,
    member_id: int,
    contact_id: int,
    label: str,
    most: int | None,
    expires: int | None,
) -> bytes:
    """A new link of a member; its label is boxed under the owner's key. Returns its ref."""
    ref = secrets.token_bytes(16)
    conn.execute(
        insert(connect_link).values(
            ref=ref,
            member=member_id,
            label_box=keys.seal(contact_id, label),
            most=most,
            expires=expires,
            created=now,
        )
    )
    return ref


def by_ref(conn: Connection, ref: bytes, *, lock: bool = False) -> LinkRow | None:
    """The link its public address names."""
    return _one(conn, _LINKS.where(connect_link.c.ref == ref), lock=lock)


def by_id(conn: Connection, link_id: int, *, lock: bool = False) -> LinkRow | None:
    return _one(conn, _LINKS.where(connect_link.c.id == link_id), lock=lock)


def of_member(conn: Connection, member_id: int) -> list[LinkRow]:
    """All links of a member, newest first."""
    return list(conn.execute(_LINKS.where(connect_link.c.member == member_id).order_by(connect_link.c.id.desc())))


def lock_owner(conn: Connection, member_id: int) -> None:
    """Let one press at a time make links for this member, so that their limit is exact."""
    conn.execute(select(member.c.id).where(member.c.id == member_id).with_for_update())


def live(conn: Connection, member_id: int, now: int) -> int:
    """How many of a member's links can be asked through."""
    is_live = and_(
        connect_link.c.closed.is_(None),
        or_(connect_link.c.expires.is_(None), connect_link.c.expires > now),
        or_(connect_link.c.most.is_(None), connect_link.c.most > _CONFIRMED),
    )
    query = select(func.count()).select_from(connect_link).where(connect_link.c.member == member_id, is_live)
    return int(conn.execute(query).scalar_one())


def close(conn: Connection, now: int, link_id: int, *, why: str | None = None) -> bool:
    """Switch a link off for good. `why`: "reports"; None: its owner did. False when it was off already."""
    is_on = update(connect_link).where(connect_link.c.id == link_id, connect_link.c.closed.is_(None))
    done = conn.execute(is_on.values(closed=now, closed_for=why))
    return done.rowcount == 1


def has_invitation(conn: Connection, member_id: int, mailbox_key: bytes) -> bool:
    """Whether this member has an invitation to this mailbox already, of whatever way and end."""
    query = select(invitation.c.id).join(mailbox, mailbox.c.id == invitation.c.mailbox)
    return (
        conn.execute(query.where(invitation.c.member == member_id, mailbox.c.mailbox_key == mailbox_key)).first()
        is not None
    )


def note_ask(conn: Connection, now: int, link_id: int) -> int:
    """Write down that an ask through this link was taken; returns the row's id."""
    made = insert(connect_ask).values(link=link_id, at=now).returning(connect_ask.c.id)
    return int(conn.execute(made).scalar_one())


def was_mailed(conn: Connection, ask_id: int, invitation_id: int) -> None:
    """The question that an ask led to: once it is confirmed, the ask counts no more."""
    conn.execute(update(connect_ask).where(connect_ask.c.id == ask_id).values(invitation=invitation_id))


def asks_since(conn: Connection, member_id: int, since: int) -> list[int]:
    """When each ask through this member's links was taken after `since`, but for those that were confirmed."""
    query = (
        select(connect_ask.c.at)
        .join(connect_link, connect_link.c.id == connect_ask.c.link)
        .join(invitation, invitation.c.id == connect_ask.c.invitation, isouter=True)
        .where(
            connect_link.c.member == member_id,
            connect_ask.c.at > since,
            func.coalesce(invitation.c.answer, "") != Answer.ACCEPTED,
        )
    )
    return list(conn.execute(query).scalars())


def has_asks_before(conn: Connection, before: int) -> bool:
    """Whether `forget_asks` would find anything."""
    return conn.execute(select(connect_ask.c.id).where(connect_ask.c.at < before).limit(1)).first() is not None


def forget_asks(conn: Connection, before: int) -> None:
    """Forget the asks taken before `before`, the longest window being over."""
    conn.execute(delete(connect_ask).where(connect_ask.c.at < before))


def reporters(conn: Connection, link_id: int, since: int) -> int:
    """How many mailboxes reported what came through a link and refused it, or said yes to it, after `since`."""
    query = select(func.count(invitation.c.mailbox.distinct())).where(
        invitation.c.link == link_id, invitation.c.report.is_not(None), invitation.c.answered > since
    )
    return int(conn.execute(query).scalar_one())


def handed_off(conn: Connection, row: Row[Any]) -> int | None:
    """When an invitation's mail was handed off, UTC microseconds; None while it was not."""
    query = select(func.max(message.c.counted)).where(
        message.c.mailbox == row.mailbox, message.c.invitation == row.id, message.c.origin == "invitation"
    )
    at: int | None = conn.execute(query).scalar_one()
    return at


def unanswered(conn: Connection, before: int, *, limit: int) -> list[Row[Any]]:
    """Requests confirmed before `before` (UTC microseconds) that their owner has not answered, oldest first."""
    waiting = text("settled IS NULL AND way = 'link' AND answer = 'accepted'")  # word for word as in the index
    query = select(invitation).where(waiting, invitation.c.answered < before)
    return list(conn.execute(query.order_by(invitation.c.answered).limit(limit)).all())


def _one(conn: Connection, query: Select[*tuple[Any, ...]], *, lock: bool) -> LinkRow | None:
    if lock:
        row = conn.execute(query.with_for_update(of=connect_link)).one_or_none()
        return row if row is None else conn.execute(query).one()  # counted anew once it is ours alone
    return conn.execute(query).one_or_none()
