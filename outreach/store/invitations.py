"""SQL about invitations: the policy in force, what an inviter made and what became of it, and the rows themselves."""

import secrets
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, func, insert, select, update
from sqlalchemy.engine import Row

from outreach.domain.invitation import LOOK_BACK_DAYS, REFUSALS, Policy, Record, Way
from outreach.domain.policies import Name, inviting
from outreach.store import policies
from outreach.store.schema.members import invitation, member

DAY = 86_400_000_000


def policy_at(conn: Connection, now: int) -> Policy:
    """The rules of inviting in force at `now`, UTC microseconds."""
    return inviting(policies.value_at(conn, Name.INVITATIONS, now))


def record_sums(now: int) -> tuple[ColumnElement[int], ...]:
    """Sums that make a Record, of invitations joined to their members; only those made since an officer restored them.

    By mail alone: an inviter can answer links passed on by hand, and what is typed at a connect link is not theirs.
    """
    mailed = (invitation.c.way == Way.MAIL, invitation.c.asked > func.coalesce(member.c.judged_from, 0))
    is_over = invitation.c.expires <= now
    answer = func.coalesce(invitation.c.answer, "")
    is_unaccepted = and_(is_over, answer.not_in(["accepted", "cancelled"]), invitation.c.settled.is_(None))
    kinds = (
        answer == "accepted",
        answer.in_(sorted(REFUSALS)),
        invitation.c.report.is_not(None),
        is_unaccepted,
    )
    return tuple(func.coalesce(func.sum(case((and_(is_such, *mailed), 1))), 0) for is_such in kinds)


def record_of(conn: Connection, member_id: int, now: int) -> Record:
    """What became of a member's invitations of the last 90 days."""
    query = select(*record_sums(now)).select_from(invitation).join(member, member.c.id == invitation.c.member)
    recent = (invitation.c.member == member_id, invitation.c.asked > now - LOOK_BACK_DAYS * DAY)
    return Record(*(int(count) for count in conn.execute(query.where(*recent)).one()))


def pressed_since(conn: Connection, member_id: int, since: int) -> list[int]:
    """When this member made each invitation, by hand or by mail, after `since`."""
    query = select(invitation.c.asked).where(
        invitation.c.member == member_id, invitation.c.asked > since, invitation.c.way != Way.LINK
    )
    return list(conn.execute(query).scalars())


def add(conn: Connection, **values: Any) -> Row[Any]:
    """A new invitation; returns its row."""
    row = {"ref": secrets.token_bytes(16), **values}
    made = conn.execute(insert(invitation).values(row).returning(invitation.c.id)).scalar_one()
    return conn.execute(select(invitation).where(invitation.c.id == made)).one()


def by_ref(conn: Connection, ref: bytes, *, lock: bool = False) -> Row[Any] | None:
    query = select(invitation).where(invitation.c.ref == ref)
    return conn.execute(query.with_for_update() if lock else query).one_or_none()


def change(conn: Connection, invitation_id: int, **values: Any) -> None:
    conn.execute(update(invitation).where(invitation.c.id == invitation_id).values(values))


def end_all(conn: Connection, now: int, member_id: int) -> tuple[list[bytes], list[bytes]]:
    """Take back everything of a member who leaves that waits for an answer, theirs or another's.

    Returns the refs of those cancelled, and of requests through their links now refused. The engine lets go of whom
    they were for. Notes and masked addresses are forgotten, whatever became of them.
    """
    mine = invitation.c.member == member_id
    cancel = update(invitation).where(mine, invitation.c.answered.is_(None))
    cancelled = cancel.values(answer="cancelled", answered=now, settled=now).returning(invitation.c.ref)
    waiting = (invitation.c.way == Way.LINK) & (invitation.c.answer == "accepted") & invitation.c.settlement.is_(None)
    refused = update(invitation).where(mine, waiting).values(settlement="refused", settled=now)
    ended = [
        [bytes(ref) for ref in conn.execute(act).scalars()] for act in (cancelled, refused.returning(invitation.c.ref))
    ]
    conn.execute(update(invitation).where(mine).values(note_box=None, label_box=None))
    return ended[0], ended[1]
