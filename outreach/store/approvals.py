"""SQL about approvals: what was asked, who could answer, and answers that are given once."""

import json
import secrets
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert, or_, select, update

from outreach.store.schema.organisation import staff
from outreach.store.schema.people import contact
from outreach.store.schema.policies import approval


@dataclass(frozen=True, kw_only=True)
class Asked:
    """One request for a second yes. Instants in UTC microseconds.

    `body`: what is asked, in refs, numbers and reasons. `ripe`: granted by itself then, for want of anybody else.
    `told_of_ask`, `told_of_answer`: when those concerned were mailed.
    """

    id: int
    ref: bytes
    act: str
    about: bytes | None
    digest: bytes
    body: dict[str, Any]
    reason: str
    asker: str
    staff: int | None
    asked: int
    ripe: int | None
    expires: int
    state: str
    answered: int | None
    answerer: str | None
    words: str
    used: int | None
    told_of_ask: int | None = None
    told_of_answer: int | None = None


def add(conn: Connection, **values: Any) -> Asked:
    """A new request."""
    row = {**values, "ref": secrets.token_bytes(16), "body": json.dumps(values["body"], sort_keys=True)}
    conn.execute(insert(approval).values(row))
    found = by_ref(conn, row["ref"])
    assert found is not None  # noqa: S101  written just now
    return found


def by_ref(conn: Connection, ref: bytes, *, lock: bool = False) -> Asked | None:
    """One request, its row locked until the transaction ends when asked for."""
    query = select(approval).where(approval.c.ref == ref)
    row = conn.execute(query.with_for_update() if lock else query).one_or_none()
    return None if row is None else _asked(row)


def waiting(conn: Connection, now: int) -> list[Asked]:
    """Requests nobody has answered, oldest first."""
    query = select(approval).where(approval.c.state == "asked", approval.c.expires > now)
    return [_asked(row) for row in conn.execute(query.order_by(approval.c.asked, approval.c.id))]


def past(conn: Connection, limit: int) -> list[Asked]:
    """The newest requests that are settled."""
    query = select(approval).where(approval.c.state != "asked").order_by(approval.c.id.desc()).limit(limit)
    return [_asked(row) for row in conn.execute(query)]


def due(conn: Connection, now: int) -> list[bytes]:
    """Refs of open requests whose day's delay or whose time is over."""
    over = or_(approval.c.ripe <= now, approval.c.expires <= now)
    query = select(approval.c.ref).where(approval.c.state == "asked", over)
    return list(conn.execute(query.order_by(approval.c.id)).scalars())


def settle(conn: Connection, asked: Asked, now: int, state: str, **values: Any) -> bool:
    """Move an open request to `state`. False when somebody has answered it meanwhile."""
    query = update(approval).where(approval.c.id == asked.id, approval.c.state == "asked")
    return conn.execute(query.values(state=state, answered=now, **values)).rowcount == 1


def wait_for_somebody(conn: Connection, asked: Asked) -> None:
    """No delay takes a second person's place any more."""
    conn.execute(update(approval).where(approval.c.id == asked.id).values(ripe=None))


def withdraw_about(conn: Connection, now: int, act: str, about: bytes) -> list[bytes]:
    """End what was asked, or granted and not yet used, about this. Returns the refs."""
    query = update(approval).where(
        approval.c.act == act,
        approval.c.about == about,
        approval.c.state.in_(["asked", "approved"]),
        approval.c.used.is_(None),
    )
    return list(conn.execute(query.values(state="withdrawn", answered=now).returning(approval.c.ref)).scalars())


def granted(conn: Connection, act: str, digest: bytes, now: int) -> Asked | None:
    """The newest approval of exactly this that still holds: not used, not past its time."""
    query = select(approval).where(
        approval.c.act == act,
        approval.c.digest == digest,
        approval.c.state == "approved",
        approval.c.used.is_(None),
        approval.c.expires > now,
    )
    row = conn.execute(query.order_by(approval.c.id.desc()).limit(1)).one_or_none()
    return None if row is None else _asked(row)


def use(conn: Connection, asked: Asked, now: int) -> bool:
    """Use up an approval. False when it was used meanwhile."""
    query = update(approval).where(approval.c.id == asked.id, approval.c.used.is_(None))
    return conn.execute(query.where(approval.c.state == "approved").values(used=now)).rowcount == 1


def newest_about(conn: Connection, act: str, about: bytes) -> Asked | None:
    """The newest request about a campaign or contact, whatever became of it."""
    query = select(approval).where(approval.c.act == act, approval.c.about == about)
    row = conn.execute(query.order_by(approval.c.id.desc()).limit(1)).one_or_none()
    return None if row is None else _asked(row)


def open_like(conn: Connection, act: str, digest: bytes, now: int) -> Asked | None:
    """An open request for exactly this."""
    query = select(approval).where(approval.c.act == act, approval.c.digest == digest, approval.c.state == "asked")
    row = conn.execute(query.where(approval.c.expires > now).limit(1)).one_or_none()
    return None if row is None else _asked(row)


def approvers(conn: Connection, *, but: int | None = None) -> set[int]:
    """Ids of working officers who have chosen a password, without `but` and whoever reads the same mailbox."""
    theirs = select(contact.c.mailbox).join(staff, staff.c.contact == contact.c.id).where(staff.c.id == (but or 0))
    query = (
        select(staff.c.id, staff.c.roles)
        .join(contact, contact.c.id == staff.c.contact)
        .where(staff.c.disabled.is_(None), staff.c.password_hash.is_not(None), contact.c.mailbox.not_in(theirs))
    )
    return {row.id for row in conn.execute(query) if "officer" in row.roles.split(",")}


def _asked(row: Row[Any]) -> Asked:
    return Asked(**{**row._mapping, "body": json.loads(row.body)})
