"""Tells people of a change before it starts: a service notice each, by the ordinary pipeline, in slices.

A version that lets anybody get more counts its days from when the last of them had been handed over at least once; a
mailbox that takes no mail for days keeps nobody waiting.
"""

import secrets
from typing import Any

from sqlalchemy import ColumnElement, Connection, exists, select

from outreach.domain.actors import ENGINE
from outreach.domain.policies import CAPS, Name, Value
from outreach.domain.tokens import Purpose
from outreach.services.context import Context
from outreach.services.invitation_mail import day
from outreach.services.outbox import Notice, queue_notices
from outreach.services.public_text import House, read_house
from outreach.store import policies as store
from outreach.store.audit import Entry, record
from outreach.store.contacts import find_by_ids
from outreach.store.policies import Version
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import consent
from outreach.store.schema.people import contact
from outreach.store.schema.policies import policy_told

SLICE = 500
TEMPLATE = "policy-change"
_MEMBERS = frozenset({Name.CAP_TOTAL, Name.INVITATIONS, Name.NOTICE})
"""Policies that concern whoever has an account, without any consent: what invitations do counts, and this itself."""


def count_affected(conn: Connection, now: int, name: Name) -> int:
    """How many people we may still write to would be told of a change of this policy."""
    return store.count_affected(conn, now, *_of(name), members=name in _MEMBERS)


def tell(ctx: Context) -> bool:
    """Plan the next slice of notices of one version, or note that all its people were told. False: nothing to do.

    For the engine. The next slice waits until every notice of the one before was tried.
    """
    with ctx.db.reading() as conn:
        if _next(conn) is None:
            return False
    with ctx.db.transaction() as conn:
        version = _next(conn)
        if version is None or _is_on_its_way(conn, version):
            return False
        now = ctx.db.now(conn)
        planned = _plan(conn, ctx, now, version)
        if planned == 0:
            store.note(conn, version.id, told=now)
        body = {"name": str(version.name), "version": version.number, "people": planned or version.people}
        kind = "policy.notice-planned" if planned else "policy.told"
        record(conn, now, Entry(kind=kind, actor=ENGINE.name, body=body))
        return True


def facts_of(version: Version, before: Value, house: House, locale: str) -> dict[str, Any]:
    """What the notice says besides its link: the policy, what held and what will, and from which day."""
    return {
        "policy": str(version.name),
        "is_cap": version.name in CAPS,
        "before": dict(before),
        "after": dict(version.value),
        "starts": day(version.since, house, locale),
    }


def _of(name: Name) -> tuple[ColumnElement[bool], ...]:
    """Whom of the people we may write to a change of this policy concerns."""
    if name == Name.QUIET_HOURS:
        return (contact.c.quiet_from.is_(None),)
    if name in {Name.GIVE_RATIO, Name.CAP_PROMOTIONAL}:
        sells = consent.c.kinds.contains("promotional") & consent.c.state.in_(["granted", "paused"])
        return (exists().where(consent.c.contact == contact.c.id, sells),)
    return ()


def _next(conn: Connection) -> Version | None:
    """The oldest version somebody is still to be told of, unless a newer one takes its place before it could start."""
    found = store.versions(conn)
    for one in found:
        newer = [later for later in found if later.name == one.name and later.id > one.id]
        is_replaced = any(later.starts is not None and later.starts <= one.since for later in newer)
        if one.notice_days is not None and one.told is None and not is_replaced:
            return one
    return None


def _is_on_its_way(conn: Connection, version: Version) -> bool:
    """Whether a notice of the last slice was not tried yet."""
    query = (
        select(message.c.id)
        .join(policy_told, policy_told.c.message == message.c.id)
        .where(policy_told.c.version == version.id, policy_told.c.contact <= version.cursor)
        .order_by(policy_told.c.contact.desc())
    )
    last = query.limit(SLICE).subquery()
    untried = select(message.c.id).where(message.c.id.in_(select(last.c.id)), message.c.state == "planned")
    return conn.execute(untried.where(message.c.first_attempt.is_(None)).limit(1)).first() is not None


def _plan(conn: Connection, ctx: Context, now: int, version: Version) -> int:
    is_theirs = version.name in _MEMBERS
    chosen = store.affected_after(conn, now, version.cursor, SLICE, *_of(version.name), members=is_theirs)
    if not chosen:
        return 0
    people, house = find_by_ids(conn, [person for person, _topic in chosen]), read_house(conn)
    before = _before(conn, version)
    notices = []
    for one, topic in chosen:
        person, ref = people[one], secrets.token_bytes(16)
        path = "me" if topic is None else f"stop/{ctx.tokens.issue(Purpose.STOP, ref, now)}"
        link = {"url": f"{ctx.settings.public_url}/{path}", "is_member": topic is None}
        facts = facts_of(version, before, house, person.locale) | link
        notices.append(Notice(person, ref, topic, facts))
    ids = queue_notices(conn, ctx, now, TEMPLATE, notices)
    store.keep_told(conn, version.id, [(notice.person.id, one) for notice, one in zip(notices, ids, strict=True)])
    store.note(conn, version.id, cursor=chosen[-1][0], people=version.people + len(chosen))
    return len(chosen)


def _before(conn: Connection, version: Version) -> Value:
    """What held when this version was made."""
    earlier = [one for one in store.versions(conn, version.name) if one.id < version.id]
    held = store.in_force(earlier, version.made)
    return held.value if held else store.default(conn, version.name)
