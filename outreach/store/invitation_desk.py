"""Sums over invitations as an officer reads them: by day, by inviter, by week. Nothing here names a person."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, case, exists, func, or_, select, update

from outreach.domain.invitation import LOOK_BACK_DAYS, REFUSALS
from outreach.store.invitations import DAY, record_sums
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.campaigns import message
from outreach.store.schema.members import appeal, invitation, member

_TO_THEM = (message.c.mailbox == invitation.c.mailbox, message.c.invitation == invitation.c.id)  # by mailbox: indexed
_LONGEST = LOOK_BACK_DAYS * DAY
"""No mail goes for an invitation older than this: it has ended long before."""

_HAS_APPEAL = exists().where(appeal.c.member == member.c.id, appeal.c.answered.is_(None))


def made_by_day(conn: Connection, since: int) -> Sequence[Any]:
    """How many were made from `since` on: day (from 0), way, number."""
    return _by_day(conn, invitation.c.asked, since, invitation.c.way)


def answered_by_day(conn: Connection, since: int) -> Sequence[Any]:
    """How many ended from `since` on: day (from 0), answer, number."""
    return _by_day(conn, invitation.c.answered, since, invitation.c.answer)


def mails_since(conn: Connection, since: int) -> Sequence[Any]:
    """Planned invitation mails settled from `since` on: day (from 0), state, reason, number.

    Without those withheld before they were planned: `decided_since` has them, for people we hold and others.
    """
    day = _steps(message.c.settled, since, DAY).label("day")
    query = (
        select(day, message.c.state, message.c.reason, func.count().label("n"))
        .select_from(invitation)
        .join(message, _TO_THEM[0] & _TO_THEM[1])
        .where(invitation.c.asked > since - _LONGEST, message.c.origin == "invitation", message.c.settled > since)
        .where(or_(message.c.state != "withheld", message.c.settled > message.c.planned))
        .group_by(day, message.c.state, message.c.reason)
    )
    return conn.execute(query).all()


def decided_since(conn: Connection, since: int) -> Sequence[Any]:
    """Entries of the engine's decisions from `since` on: day (from 0), body (JSON)."""
    query = select(_steps(audit_entry.c.at, since, DAY).label("day"), audit_entry.c.body)
    return conn.execute(query.where(audit_entry.c.kind == "invitation.decided", audit_entry.c.at > since)).all()


def inviters(conn: Connection, now: int, *, limit: int, offset: int) -> Sequence[Any]:
    """Members worth an officer's look, worst first: ref, code, suspended, suspended_for, closed, has_appeal, by_hand,
    by_mail, by_link, accepted, refused, reported, unaccepted.

    On top whoever waits for an answer to an appeal, then by reports, by the share of refusals, by how many were made.
    """
    sums = _inviters(now).subquery().c
    share = case((sums.refused > 0, sums.refused * 1000 // (sums.accepted + sums.refused)), else_=0)
    worst_first = (case((sums.has_appeal, 0), else_=1), sums.reported.desc(), share.desc(), sums.made.desc(), sums.id)
    return conn.execute(select(*sums).order_by(*worst_first).limit(limit).offset(offset)).all()


def inviter(conn: Connection, now: int, ref: bytes) -> Any | None:
    """One member as in `inviters`, whatever they made."""
    return conn.execute(_sums(now).where(member.c.ref == ref)).one_or_none()


def count_inviters(conn: Connection, now: int) -> int:
    return int(conn.execute(select(func.count()).select_from(_inviters(now).subquery())).scalar_one())


def weeks(conn: Connection, member_id: int, since: int) -> Sequence[Any]:
    """A member's invitations by the week they were made in: week (from 0), made, accepted, refused, reported."""
    week = _steps(invitation.c.asked, since, 7 * DAY).label("week")
    query = (
        select(
            week,
            func.count().label("made"),
            _number(invitation.c.answer == "accepted").label("accepted"),
            _number(invitation.c.answer.in_(sorted(REFUSALS))).label("refused"),
            _number(invitation.c.report.is_not(None)).label("reported"),
        )
        .where(invitation.c.member == member_id, invitation.c.asked > since)
        .group_by(week)
    )
    return conn.execute(query).all()


def lines(conn: Connection, member_id: int, *, limit: int, offset: int) -> Sequence[Any]:
    """A member's invitations, newest first, without a word of what stands in them."""
    shown = (invitation.c[name] for name in ("ref", "way", "asked", "answered", "answer", "report", "settlement"))
    query = select(*shown).where(invitation.c.member == member_id).order_by(invitation.c.id.desc())
    return conn.execute(query.limit(limit).offset(offset)).all()


def count_lines(conn: Connection, member_id: int) -> int:
    query = select(func.count()).select_from(invitation).where(invitation.c.member == member_id)
    return int(conn.execute(query).scalar_one())


def entries_about(conn: Connection, contact_ref: bytes, kinds: Sequence[str]) -> Sequence[Any]:
    """Entries of `kinds` about a person, oldest first: at, kind, actor, body (JSON)."""
    query = select(audit_entry.c.at, audit_entry.c.kind, audit_entry.c.actor, audit_entry.c.body)
    matching = (audit_entry.c.contact == contact_ref, audit_entry.c.kind.in_(kinds))
    return conn.execute(query.where(*matching).order_by(audit_entry.c.id)).all()


def appeals(conn: Connection, member_id: int) -> Sequence[Any]:
    """A member's appeals, newest first."""
    return conn.execute(select(appeal).where(appeal.c.member == member_id).order_by(appeal.c.id.desc())).all()


def open_appeal(conn: Connection, member_id: int) -> Any | None:
    """The appeal that waits for an answer; there is one at most."""
    query = select(appeal).where(appeal.c.member == member_id, appeal.c.answered.is_(None))
    return conn.execute(query).one_or_none()


def answer_appeal(conn: Connection, ref: bytes, *, now: int, answer: str, reason: str) -> bool:
    """Close an appeal; False when it was answered already."""
    waits = update(appeal).where(appeal.c.ref == ref, appeal.c.answered.is_(None))
    return bool(conn.execute(waits.values(answered=now, answer=answer, reason=reason)).rowcount)


def _inviters(now: int) -> Select[Any]:
    return _sums(now).having(or_(func.count(invitation.c.id) > 0, member.c.suspended.is_not(None), _HAS_APPEAL))


def _sums(now: int) -> Select[Any]:
    accepted, refused, reported, unaccepted = record_sums(now)
    recent = (invitation.c.member == member.c.id) & (invitation.c.asked > now - LOOK_BACK_DAYS * DAY)
    return (
        select(
            member.c.id,
            member.c.ref,
            member.c.code,
            member.c.contact,
            member.c.suspended,
            member.c.suspended_for,
            member.c.closed,
            _HAS_APPEAL.label("has_appeal"),
            func.count(invitation.c.id).label("made"),
            *(_number(invitation.c.way == way).label(f"by_{way}") for way in ("hand", "mail", "link")),
            accepted.label("accepted"),
            refused.label("refused"),
            reported.label("reported"),
            unaccepted.label("unaccepted"),
        )
        .select_from(member)
        .outerjoin(invitation, recent)
        .group_by(member.c.id)
    )


def _by_day(conn: Connection, at: ColumnElement[int], since: int, of: ColumnElement[Any]) -> Sequence[Any]:
    day = _steps(at, since, DAY).label("day")
    query = select(day, of.label("what"), func.count().label("n")).where(at > since)
    return conn.execute(query.group_by(day, of)).all()


def _steps(at: ColumnElement[int], since: int, length: int) -> ColumnElement[int]:
    """How many whole `length`s after `since`."""
    return (at - since) // length


def _number(is_such: ColumnElement[bool]) -> ColumnElement[int]:
    return func.coalesce(func.sum(case((is_such, 1), else_=0)), 0)
