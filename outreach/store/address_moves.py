"""SQL of consents on their way to another address: the press, the question to its owner, and what became of it."""

import secrets
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, exists, func, insert, or_, select, text, update

from outreach.domain.message import RESERVING
from outreach.store.bulk import among, bound, prepared
from outreach.store.schema.campaigns import campaign, message
from outreach.store.schema.consents import confirmation
from outreach.store.schema.people import contact
from outreach.store.schema.room import address_move

MoveRow = Row[*tuple[Any, ...]]
_COLUMNS: tuple[Any, ...] = tuple(address_move.c)


def add(conn: Connection, **values: Any) -> bytes:
    """A new one; returns its ref."""
    ref = secrets.token_bytes(16)
    conn.execute(insert(address_move).values(ref=ref, **values))
    return ref


def by_ref(conn: Connection, ref: bytes, *, lock: bool = False) -> MoveRow | None:
    query = select(*_COLUMNS).where(address_move.c.ref == ref)
    return conn.execute(query.with_for_update() if lock else query).one_or_none()


def by_question(conn: Connection, ref: bytes) -> MoveRow | None:
    """The move whose question to the new address has this ref."""
    query = select(*_COLUMNS).join(confirmation, confirmation.c.id == address_move.c.confirmation)
    return conn.execute(query.where(confirmation.c.ref == ref)).one_or_none()


def change(conn: Connection, move_id: int, **values: Any) -> None:
    conn.execute(update(address_move).where(address_move.c.id == move_id).values(**values))


def of_contact(conn: Connection, contact_id: int) -> Sequence[MoveRow]:
    """Those that lead from or to a person, newest first."""
    mine = or_(address_move.c.contact == contact_id, address_move.c.target == contact_id)
    return conn.execute(select(*_COLUMNS).where(mine).order_by(address_move.c.id.desc())).all()


def asked_since(conn: Connection, contact_id: int, since: int) -> int:
    """How many a person asked for after `since`."""
    query = select(func.count()).where(address_move.c.contact == contact_id, address_move.c.asked > since)
    return int(conn.execute(query).scalar_one())


def due(conn: Connection, now: int, *, limit: int) -> list[bytes]:
    """The open ones the engine has to look at, the one that waits longest first."""
    query = select(address_move.c.ref).where(address_move.c.ended.is_(None), address_move.c.due <= now)
    return list(conn.execute(query.order_by(address_move.c.due, address_move.c.id).limit(limit)).scalars())


def has_left(contact_id: ColumnElement[int] | int) -> ColumnElement[bool]:
    """Whether a person went along to another address and did not come back. Their row counts as of the mailbox there
    since, and speaks for it no more: what is that mailbox's is not theirs.
    """
    back = address_move.alias()
    came_back = exists().where(back.c.target == contact_id, back.c.outcome == "moved", back.c.id > address_move.c.id)
    return exists().where(address_move.c.contact == contact_id, address_move.c.outcome == "moved", ~came_back)


def left(conn: Connection, contact_id: int) -> bool:
    """`has_left` of one person."""
    return bool(conn.execute(select(has_left(contact_id))).scalar_one())


def trail(conn: Connection, contact_id: int) -> list[int]:
    """A person and, in order, those they went along to: a link in an old mail speaks for whoever they are now."""
    return trails(conn, [contact_id])[contact_id]


def trails(conn: Connection, contacts: Collection[int]) -> dict[int, list[int]]:
    """The same of several people, in as many statements as the longest trail has steps."""
    found = {one: [one] for one in contacts}
    ends = set(found)
    while ends:
        following = {row.contact: row.target for row in conn.execute(_moved(conn), {"ids": bound(conn, ends)})}
        ends = set()
        for steps in found.values():
            step = following.get(steps[-1])
            if step is not None and step not in steps:
                steps.append(step)
                ends.add(step)
    return found


@prepared
def _moved(conn: Connection) -> Select[tuple[int, int]]:
    query = select(address_move.c.contact, address_move.c.target).where(address_move.c.outcome == "moved")
    return query.where(text(among(conn, "address_move.contact"))).order_by(address_move.c.id)


def is_in_the_way(conn: Connection, contact_id: int, topics: Collection[int]) -> bool:
    """Whether a mail to this person is under way, or a campaign of these topics is being planned: who moved now would
    be planned twice, or not at all.
    """
    under_way = select(message.c.id).where(message.c.contact == contact_id, message.c.state.in_(sorted(RESERVING)))
    half_planned = select(campaign.c.id).where(
        campaign.c.topic.in_(list(topics)),
        campaign.c.started.is_not(None),
        campaign.c.planned.is_(None),
        campaign.c.state.in_(["sending", "paused"]),
    )
    mine = under_way.where(
        message.c.mailbox == select(contact.c.mailbox).where(contact.c.id == contact_id).scalar_subquery()
    )
    return any(conn.execute(query.limit(1)).first() is not None for query in (mine, half_planned))


def hand_over_ledger(conn: Connection, contact_id: int, mailbox: int) -> None:
    """Count a person's mails, and the person, as of another mailbox: what was promised holds across both."""
    old = select(contact.c.mailbox).where(contact.c.id == contact_id).scalar_subquery()
    theirs = update(message).where(message.c.mailbox == old, message.c.contact == contact_id)
    conn.execute(theirs.values(mailbox=mailbox))
    conn.execute(update(contact).where(contact.c.id == contact_id).values(mailbox=mailbox))


def settings_of(conn: Connection, contact_id: int) -> MoveRow:
    """What a person set, was shown, and is called: columns of `contact` that go along."""
    columns: tuple[Any, ...] = tuple(contact.c[name] for name in (*_SET, "ceiling_n", "ceiling_window", "fields_box"))
    return conn.execute(select(*columns).where(contact.c.id == contact_id)).one()


_SET = ("locale", "timezone", "quiet_from", "quiet_to", "own_total_n", "own_total_window")


def change_settings(conn: Connection, contact_id: int, **values: Any) -> None:
    conn.execute(update(contact).where(contact.c.id == contact_id).values(**values))


def refuse_at(conn: Connection, now: int, contact_id: int, confirmation_id: int | None) -> None:
    """Whatever is on its way to a person, or what one question asked about, does not arrive: a yes given before counts
    no more, and the engine ends it at its next look.
    """
    arriving = (address_move.c.target == contact_id, address_move.c.ended.is_(None))
    which = () if confirmation_id is None else (address_move.c.confirmation == confirmation_id,)
    conn.execute(update(address_move).where(*arriving, *which).values(confirmed=None, due=now))
