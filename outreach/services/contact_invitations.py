"""What one person has to do with others here, for an officer: their account, invitations to and from them, connections.

Told by references and codes: whom they are connected with, and in which words anybody was invited, is not in it.
"""

from collections import defaultdict
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from outreach.store import connections
from outreach.store.schema.members import disclosure, invitation, member

MOST = 100


@dataclass(frozen=True)
class AccountView:
    """A member's account. `state`: open, suspended or closed; `sent`: way → invitations made. UTC microseconds."""

    ref: bytes
    code: str
    since: int
    state: str
    sent: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class ReceivedView:
    """An invitation to this mailbox. `inviter`: the code of who made it; `answer`, `report`: "" for none."""

    ref: bytes
    inviter: bytes
    code: str
    way: str
    asked: int
    answered: int | None
    answer: str
    report: str


@dataclass(frozen=True)
class ConnectionView:
    """A connection of this person. `shown`: what they let the other side see, from when until when."""

    ref: bytes
    since: int
    ended: int | None
    shown: tuple[tuple[str, int, int | None], ...]


@dataclass(frozen=True)
class PersonToPerson:
    """`account`: None for who has none. The newest 100 of each list, newest first."""

    account: AccountView | None
    received: tuple[ReceivedView, ...]
    connections: tuple[ConnectionView, ...]


def person_to_person(conn: Connection, contact_id: int, mailbox_id: int) -> PersonToPerson:
    """All of it about one contact."""
    return PersonToPerson(
        _account(conn, contact_id), _received(conn, mailbox_id), tuple(_connections(conn, contact_id))
    )


def _account(conn: Connection, contact_id: int) -> AccountView | None:
    row = conn.execute(select(member).where(member.c.contact == contact_id)).one_or_none()
    if row is None:
        return None
    counted = select(invitation.c.way, func.count()).where(invitation.c.member == row.id).group_by(invitation.c.way)
    state = "closed" if row.closed is not None else "suspended" if row.suspended is not None else "open"
    sent = {way: int(number) for way, number in conn.execute(counted)}
    return AccountView(row.ref, row.code, row.created, state, sent)


def _received(conn: Connection, mailbox_id: int) -> tuple[ReceivedView, ...]:
    query = (
        select(invitation, member.c.ref.label("inviter"), member.c.code)
        .join(member, member.c.id == invitation.c.member)
        .where(invitation.c.mailbox == mailbox_id)
        .order_by(invitation.c.id.desc())
        .limit(MOST)
    )
    return tuple(
        ReceivedView(
            ref=row.ref,
            inviter=row.inviter,
            code=row.code,
            way=row.way,
            asked=row.asked,
            answered=row.answered,
            answer=row.answer or "",
            report=row.report or "",
        )
        for row in conn.execute(query)
    )


def _connections(conn: Connection, contact_id: int) -> list[ConnectionView]:
    rows = connections.of_contact(conn, contact_id)[:MOST]
    query = select(disclosure).where(
        disclosure.c.contact == contact_id, disclosure.c.connection.in_([row.id for row in rows])
    )
    shown: dict[int, list[tuple[str, int, int | None]]] = defaultdict(list)
    for one in conn.execute(query.order_by(disclosure.c.id)):
        shown[one.connection].append((one.what, one.since, one.until))
    return [ConnectionView(row.ref, row.since, row.ended, tuple(shown[row.id])) for row in rows]
