"""SQL about policies: their versions, which of them holds at an instant, and who must be told of a change.

A newer version takes the place of every older one from its start on, planned ones included; none is ever changed.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, bindparam, exists, func, insert, or_, select, update

from outreach.domain.policies import Name, Value, defaults
from outreach.store.schema.consents import consent
from outreach.store.schema.members import member
from outreach.store.schema.organisation import controller
from outreach.store.schema.people import contact, contact_key
from outreach.store.schema.policies import policy_progress, policy_told, policy_version

DAY = 86_400_000_000


@dataclass(frozen=True, kw_only=True)
class Version:
    """A version of a policy and how far it has come. Instants in UTC microseconds.

    `notice_days`: people are told so many days before it holds, None: nobody needs to be. `people`: whom a notice was
    planned for; `told`: when the last of them had been handed over; `begun`: when its start was carried out.
    """

    id: int
    ref: bytes
    name: Name
    number: int
    value: Value
    reason: str
    author: str
    made: int
    since: int
    notice_days: int | None
    approval: bytes | None
    cursor: int
    people: int
    told: int | None
    begun: int | None

    @property
    def starts(self) -> int | None:
        """From when it holds; None while people are still to be told."""
        if self.notice_days is None:
            return self.since
        return None if self.told is None else max(self.since, self.told + self.notice_days * DAY)


def versions(conn: Connection, *names: Name) -> list[Version]:
    """Every version of these policies, of all when none is named, oldest first."""
    if not names:
        return _versions(conn, _ALL)
    if len(names) == 1:
        return _versions(conn, _OF_ONE_NAME, {"of_name": str(names[0])})
    return _versions(conn, _OF_NAMES, {"of_names": [str(name) for name in names]})


_ALL = (
    select(policy_version, policy_progress)
    .join(policy_progress, policy_progress.c.version == policy_version.c.id)
    .order_by(policy_version.c.id)
)
_OF_ONE_NAME = _ALL.where(policy_version.c.name == bindparam("of_name"))
_OF_NAMES = _ALL.where(policy_version.c.name.in_(bindparam("of_names", expanding=True)))


def by_ref(conn: Connection, ref: bytes) -> Version | None:
    """One version."""
    query = select(policy_version, policy_progress).join(
        policy_progress, policy_progress.c.version == policy_version.c.id
    )
    found = _versions(conn, query.where(policy_version.c.ref == ref))
    return found[0] if found else None


def acting(of_one_name: Sequence[Version]) -> list[Version]:
    """Those that held, hold or will hold, each from its start until the next one's, in that order.

    Without those a newer one replaced before they began, and those of which people are still to be told.
    """
    found: list[Version] = []
    for one in reversed(of_one_name):
        if one.starts is not None and (not found or one.starts < (found[-1].starts or 0)):
            found.append(one)
    return found[::-1]


def in_force(of_one_name: Sequence[Version], now: int) -> Version | None:
    """The newest version that has started; None while there is none."""
    return next((one for one in reversed(of_one_name) if one.starts is not None and one.starts <= now), None)


def values_at(conn: Connection, now: int, *names: Name) -> dict[Name, Value]:
    """What holds at `now`: each name's version in force, or what the product brings."""
    found = versions(conn, *names)
    values = {}
    for name in names:
        one = in_force([version for version in found if version.name == name], now)
        values[name] = one.value if one else default(conn, name)
    return values


def value_at(conn: Connection, name: Name, now: int) -> Value:
    """What holds at `now`."""
    return values_at(conn, now, name)[name]


def default(conn: Connection, name: Name) -> Value:
    """What holds before the first version; quiet hours are those given when the installation was set up."""
    if name == Name.QUIET_HOURS:
        row = conn.execute(select(controller.c.quiet_from, controller.c.quiet_to)).one_or_none()
        return {"from": row.quiet_from, "to": row.quiet_to} if row else {"from": 0, "to": 0}
    return defaults(name)


def put(
    conn: Connection,
    now: int,
    name: Name,
    value: Value,
    *,
    reason: str,
    author: str,
    since: int | None = None,
    notice_days: int | None = None,
    approval: bytes | None = None,
    begun: int | None = None,
) -> Version:
    """A new version, from `since` or now. The caller holds the planners' turn, so that no two get one number."""
    same = policy_version.c.name == str(name)
    number = conn.execute(select(func.coalesce(func.max(policy_version.c.version), 0) + 1).where(same)).scalar_one()
    values = {"name": str(name), "version": number, "value": json.dumps(dict(value), sort_keys=True)}
    values |= {"reason": reason, "author": author, "made": now, "since": now if since is None else since}
    values |= {"notice_days": notice_days, "approval": approval, "ref": secrets.token_bytes(16)}
    made = conn.execute(insert(policy_version).values(values).returning(policy_version.c.id)).scalar_one()
    conn.execute(insert(policy_progress).values(version=made, begun=begun))
    found = by_ref(conn, bytes(values["ref"]))
    assert found is not None  # noqa: S101  written just now
    return found


def note(conn: Connection, version: int, **values: int) -> None:
    """Keep how far a version has come."""
    conn.execute(update(policy_progress).where(policy_progress.c.version == version).values(values))


def count_affected(conn: Connection, now: int, *extra: ColumnElement[bool], members: bool = False) -> int:
    """How many people we may still write to, of those `extra` holds for. `members`: an open account is enough."""
    query = select(func.count()).select_from(contact).where(*_lives(now, members), *extra)
    return int(conn.execute(query).scalar_one())


def affected_after(
    conn: Connection, now: int, after: int, limit: int, *extra: ColumnElement[bool], members: bool = False
) -> list[tuple[int, int | None]]:
    """The next of them by id: (contact, one topic they agreed to; None for a member who agreed to none)."""
    of_them = select(func.min(consent.c.topic)).where(consent.c.contact == contact.c.id, _is_live(now))
    query = select(contact.c.id, of_them.scalar_subquery().label("topic")).where(
        contact.c.id > after, *_lives(now, members), *extra
    )
    return [(row.id, row.topic) for row in conn.execute(query.order_by(contact.c.id).limit(limit))]


def keep_told(conn: Connection, version: int, messages: Sequence[tuple[int, int]]) -> None:
    """Who is told of a version, and by which message: (contact, message id)."""
    rows = [{"version": version, "contact": person, "message": one} for person, one in messages]
    if rows:
        conn.execute(insert(policy_told), rows)


def _is_live(now: int) -> ColumnElement[bool]:
    stands = consent.c.state.in_(["granted", "paused"])
    return stands & or_(consent.c.expires.is_(None), consent.c.expires > now)


def _lives(now: int, members: bool) -> tuple[ColumnElement[bool], ...]:
    agreed = exists().where(consent.c.contact == contact.c.id, _is_live(now))
    has_account = exists().where(member.c.contact == contact.c.id, member.c.closed.is_(None))
    return exists().where(contact_key.c.contact == contact.c.id), or_(agreed, has_account) if members else agreed


def _versions(conn: Connection, query: Select[Any], values: Mapping[str, Any] | None = None) -> list[Version]:
    return [
        Version(
            id=row.id,
            ref=row.ref,
            name=Name(row.name),
            number=row._mapping[policy_version.c.version],
            value=json.loads(row.value),
            reason=row.reason,
            author=row.author,
            made=row.made,
            since=row.since,
            notice_days=row.notice_days,
            approval=row.approval,
            cursor=row.cursor,
            people=row.people,
            told=row.told,
            begun=row.begun,
        )
        for row in conn.execute(query, values or {})
    ]
