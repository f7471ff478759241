"""SQL about mails that tell staff what waits: who is to be told, and what they were told of already."""

from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, or_, select, update

from outreach.store.approvals import Asked, by_ref
from outreach.store.schema.organisation import staff
from outreach.store.schema.policies import approval

_WANTS = (staff.c.disabled.is_(None), staff.c.told_of_dues == 1)


@dataclass(frozen=True)
class Told:
    """Somebody who works here and wants such mails. `contact`: inside id."""

    id: int
    ref: bytes
    contact: int
    roles: frozenset[str]


def not_told_since(conn: Connection, before: int) -> list[Told]:
    """Staff at work who were last told of their dues before that (UTC microseconds)."""
    return _found(conn, staff.c.password_hash.is_not(None), _last(before))


def among(conn: Connection, ids: Collection[int]) -> list[Told]:
    """Those of these members of staff who are at work and want such mails."""
    return _found(conn, staff.c.id.in_(list(ids)))


def note_told(conn: Connection, staff_id: int, now: int, before: int) -> bool:
    """Remember that somebody is told of their dues now. False when they were, since `before`."""
    query = update(staff).where(staff.c.id == staff_id, _last(before))
    return conn.execute(query.values(last_told=now)).rowcount == 1


def untold(conn: Connection, now: int, since: int) -> list[Asked]:
    """Requests for a second yes that are open, or were answered after `since`, of which nobody was mailed yet."""
    asked = (approval.c.state == "asked") & (approval.c.expires > now) & approval.c.told_of_ask.is_(None)
    is_over = approval.c.state.in_(["approved", "declined", "lapsed"]) & (approval.c.answered > since)
    query = select(approval.c.ref).where(or_(asked, is_over & approval.c.told_of_answer.is_(None)))
    refs = conn.execute(query.order_by(approval.c.id)).scalars().all()
    return [one for ref in refs if (one := by_ref(conn, ref)) is not None]


def note_told_of(conn: Connection, asked: Asked, now: int) -> bool:
    """Remember that people are mailed of this request as it stands. False when they were."""
    column = approval.c.told_of_ask if asked.state == "asked" else approval.c.told_of_answer
    query = update(approval).where(approval.c.id == asked.id, approval.c.state == asked.state, column.is_(None))
    return conn.execute(query.values({column.name: now})).rowcount == 1


def _last(before: int) -> ColumnElement[bool]:
    return or_(staff.c.last_told.is_(None), staff.c.last_told <= before)


def _found(conn: Connection, *conditions: ColumnElement[bool]) -> list[Told]:
    query = select(staff.c.id, staff.c.ref, staff.c.contact, staff.c.roles).where(*_WANTS, *conditions)
    rows = conn.execute(query.order_by(staff.c.id))
    return [Told(row.id, row.ref, row.contact, frozenset(row.roles.split(","))) for row in rows]
