"""SQL about whom an invitation is for and what was mailed to them, and about invitations whose time is over."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, not_, or_, select, update
from sqlalchemy.engine import Row

from outreach.domain.message import FINAL, MessageState
from outreach.store.schema.campaigns import message
from outreach.store.schema.members import invitation, member
from outreach.store.schema.people import contact, contact_key, mailbox

_ON_ITS_WAY = sorted(set(MessageState) - FINAL)


def lock_members(conn: Connection, members: Iterable[int]) -> None:
    """Lock members in id order: their presses, and whatever becomes of their invitations, take turns.

    The one order everywhere: contacts (`consents.lock_contacts`), then members, then links and rows of invitations.
    """
    query = select(member.c.id).where(member.c.id.in_(sorted(set(members))))
    conn.execute(query.order_by(member.c.id).with_for_update(key_share=True))


def inviters_of(conn: Connection, contact_id: int) -> set[int]:
    """The members with an invitation that names this contact."""
    return set(conn.execute(select(invitation.c.member).where(invitation.c.contact == contact_id)).scalars())


def made_by(conn: Connection, member_id: int, *, limit: int, offset: int) -> Sequence[Row[Any]]:
    """What a member sent by hand and by mail, newest first."""
    query = select(invitation).where(invitation.c.member == member_id, invitation.c.way != "link")
    return conn.execute(query.order_by(invitation.c.id.desc()).limit(limit).offset(offset)).all()


def again(conn: Connection, invitation_id: int) -> Row[Any]:
    """An invitation as it is now."""
    return conn.execute(select(invitation).where(invitation.c.id == invitation_id)).one()


def by_refs(conn: Connection, refs: Sequence[bytes]) -> Sequence[Row[Any]]:
    return conn.execute(select(invitation).where(invitation.c.ref.in_(list(refs)))).all()


def invited(conn: Connection, row: Row[Any]) -> Row[*tuple[Any, ...]] | None:
    """Whom an invitation went to (ref, address_box, timezone), while we hold them."""
    columns: tuple[Any, ...] = (contact.c.ref, contact.c.address_box, contact.c.timezone)
    return conn.execute(select(*columns).where(contact.c.id == row.contact)).one_or_none()


def held_of_mailbox(conn: Connection, mailbox_id: int) -> list[int]:
    """The contacts of a mailbox who were not erased: one a spelling."""
    query = select(contact.c.id).join(contact_key, contact_key.c.contact == contact.c.id)
    return list(conn.execute(query.where(contact.c.mailbox == mailbox_id).order_by(contact.c.id)).scalars())


def mailbox_key(conn: Connection, mailbox_id: int) -> bytes:
    """What the mailbox is barred by: 32 bytes."""
    return bytes(conn.execute(select(mailbox.c.mailbox_key).where(mailbox.c.id == mailbox_id)).scalar_one())


def is_before(conn: Connection, row: Row[Any], mailbox_id: int) -> bool:
    """Whether this inviter has another invitation to this mailbox; what nobody confirmed at their link is none."""
    query = select(invitation.c.id).where(
        invitation.c.member == row.member,
        invitation.c.mailbox == mailbox_id,
        invitation.c.id != row.id,
        not_(and_(invitation.c.way == "link", func.coalesce(invitation.c.answer, "") == "expired")),
    )
    return conn.execute(query.limit(1)).first() is not None


def names(conn: Connection, row: Row[Any], mailbox_id: int) -> bool:
    """Whether another invitation by hand or by mail names this inviter and mailbox: one may."""
    query = select(invitation.c.id).where(
        invitation.c.member == row.member,
        invitation.c.mailbox == mailbox_id,
        invitation.c.id != row.id,
        invitation.c.way != "link",
    )
    return conn.execute(query.limit(1)).first() is not None


def _waits() -> ColumnElement[bool]:
    """Unanswered; or confirmed through a connect link whose owner has not answered."""
    confirmed = and_(invitation.c.answer == "accepted", invitation.c.way == "link", invitation.c.settled.is_(None))
    return or_(invitation.c.answered.is_(None), confirmed)


def others_waiting(
    conn: Connection, mailbox_id: int, *, but: int, of: Collection[int] | None = None
) -> Sequence[Row[Any]]:
    """Other invitations to this mailbox that still wait for somebody; `of`: of these members only, locked."""
    query = select(invitation).where(invitation.c.mailbox == mailbox_id, invitation.c.id != but, _waits())
    if of is not None:
        query = query.where(invitation.c.member.in_(list(of))).with_for_update()
    return conn.execute(query.order_by(invitation.c.id)).all()


def planned_mails(conn: Connection, row: Row[Any]) -> list[int]:
    """Ids of an invitation's mails that nobody has begun to hand off."""
    return list(conn.execute(_mails(row, ["planned"])).scalars())


def has_mail_on_its_way(conn: Connection, row: Row[Any]) -> bool:
    return conn.execute(_mails(row, _ON_ITS_WAY).limit(1)).first() is not None


def _mails(row: Row[Any], states: Sequence[str]) -> Any:
    return select(message.c.id).where(
        message.c.mailbox == row.mailbox, message.c.invitation == row.id, message.c.state.in_(states)
    )


def past_their_time(conn: Connection, now: int, *, limit: int) -> Sequence[Row[Any]]:
    """Unanswered invitations whose time is over, oldest first."""
    query = select(invitation).where(invitation.c.answered.is_(None), invitation.c.expires <= now)
    return conn.execute(query.order_by(invitation.c.expires).limit(limit)).all()


def with_words(conn: Connection, now: int, *, limit: int) -> Sequence[Row[Any]]:
    """Invitations past their time whose note or label is still held."""
    query = select(invitation).where(_has_words(), invitation.c.expires <= now)
    return conn.execute(query.order_by(invitation.c.expires).limit(limit)).all()


def _has_words() -> ColumnElement[bool]:
    return or_(invitation.c.note_box.is_not(None), invitation.c.label_box.is_not(None))  # as in the index


def forget_words(conn: Connection, ids: Sequence[int]) -> None:
    """Take the inviter's note and the masked address away."""
    conn.execute(update(invitation).where(invitation.c.id.in_(list(ids))).values(note_box=None, label_box=None))


def to_let_go(conn: Connection, *, limit: int) -> Sequence[Row[Any]]:
    """Invitations that are over and still name somebody."""
    query = select(invitation).where(
        invitation.c.contact.is_not(None),
        or_(
            invitation.c.answer.in_(["declined", "never", "reported", "expired", "cancelled"]),
            and_(invitation.c.answer == "accepted", invitation.c.settlement == "refused"),
        ),
    )
    return conn.execute(query.order_by(invitation.c.contact).limit(limit)).all()
