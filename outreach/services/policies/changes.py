"""Changing a policy: for a reason, from an instant; who gets more by it is told first; a second person may be needed.

A change that lets nobody get more may hold at once. One that does holds only once everybody we may still write to was
told so many days before, unless there is nobody to tell. Nothing here raises what a person was promised (promise 4).
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from outreach.domain import policies as rules
from outreach.domain.actors import Actor, Role
from outreach.domain.errors import ConflictError, InvalidInputError
from outreach.domain.policies import Name, Value
from outreach.services.context import Context
from outreach.services.policies import notices, starts
from outreach.services.policies.asking import Act, Subject, ask_in
from outreach.services.reasons import check_reason
from outreach.store import policies as store
from outreach.store.approvals import Asked
from outreach.store.audit import Entry, record
from outreach.store.planning import take_planners_turn
from outreach.store.policies import DAY, Version

_MINUTE = 60_000_000
LONGEST_AHEAD_DAYS = 366


@dataclass(frozen=True)
class Changed:
    """What became of a change. `approval`: it waits for a second yes, else it is `version`. `people`: to be told first;
    `withheld`: planned mails above a cap that were withheld at once. Instants in UTC microseconds.
    """

    since: int
    people: int = 0
    withheld: int = 0
    version: int | None = None
    approval: bytes | None = None
    ripe: int | None = None


@dataclass(frozen=True)
class _Plan:
    """A change as it would be made now."""

    name: Name
    value: Value
    before: Value
    since: int
    people: int
    notice_days: int | None
    base: int
    loosens: bool


def change_policy(
    ctx: Context, actor: Actor, name: Name, value: Value, reason: str, *, start: int | None = None
) -> Changed:
    """Decide a new version, or ask for the second yes it needs. `start`: None for as soon as it may hold.

    Raises InvalidInputError naming the field ("start" and "reason" among them) and changes nothing.
    """
    actor.must_be(Role.OFFICER)
    kept = rules.checked(name, value)
    said = check_reason(reason, "why this changes", "Nothing was changed.")
    with ctx.db.transaction() as conn:
        take_planners_turn(conn)  # no decision is half made by the old rules, and two officers do not cross
        now = ctx.db.now(conn)
        plan = _plan(conn, now, name, kept, start)
        if start is not None and plan.notice_days is not None and start < plan.since:
            raise InvalidInputError(_too_early(plan), "start")
        if not _needs_approval(conn, now, plan):
            return _decide(conn, now, actor.name, plan, said)
        asked = ask_in(conn, now, actor, Act.POLICY, _subject(plan, start), said, until=plan.since)
        return Changed(plan.since, plan.people, approval=asked.ref, ripe=asked.ripe)


def carry_out(conn: Connection, now: int, asked: Asked) -> Changed:
    """Make the version an approval is about. The caller holds the planners' turn.

    Raises ConflictError when the policy was changed since it was asked.
    """
    bound = asked.body["bound"]
    name, value = Name(bound["name"]), bound["value"]
    start = bound["start"]
    plan = _plan(conn, now, name, value, None if start is None else max(start, now))
    if plan.base != bound["base"]:
        raise ConflictError("This policy was changed after this was asked. Decline it, and let it be asked anew.")
    return _decide(conn, now, asked.asker, plan, asked.reason, asked)


def _plan(conn: Connection, now: int, name: Name, value: Value, start: int | None) -> _Plan:
    """Raises InvalidInputError where nothing would change, or for a start that is past or too far ahead."""
    if start is not None and not now - _MINUTE <= start <= now + LONGEST_AHEAD_DAYS * DAY:
        raise InvalidInputError("A change starts now or within a year. Nothing was changed.", "start")
    made = store.versions(conn, name)
    held = store.in_force(made, now)
    before = held.value if held else store.default(conn, name)
    then = store.in_force(made, start or now)
    at_start = then.value if then else before
    is_planned = bool(made) and made[-1] is not held
    if value == before == at_start and not is_planned:
        raise InvalidInputError("These are the rules in force. Nothing was changed.")
    loosens = rules.loosens(name, before, value) or rules.loosens(name, at_start, value)
    people = notices.count_affected(conn, now, name) if loosens and rules.is_told(name) else 0
    days = store.value_at(conn, Name.NOTICE, now)["days"] if people else None
    earliest = now if days is None else now + days * DAY
    since = max(start or now, earliest)
    return _Plan(name, value, before, since, people, days, made[-1].number if made else 0, loosens)


def _too_early(plan: _Plan) -> str:
    return (
        f"This lets people get more, so they are told at least {plan.notice_days} days before it starts. Choose a "
        "later time, or let it start as soon as it may. Nothing was changed."
    )


def _needs_approval(conn: Connection, now: int, plan: _Plan) -> bool:
    """Whether a second yes is asked for: by the rules in force, and always before those are weakened."""
    held = store.value_at(conn, Name.APPROVALS, now)
    if held["policies"]:
        return True
    weakens = plan.name == Name.APPROVALS and plan.loosens
    return weakens and (held["campaign_over"] is not None or held["reveals"])


def _subject(plan: _Plan, start: int | None) -> Subject:
    bound: dict[str, Any] = {"name": str(plan.name), "value": dict(plan.value), "start": start, "base": plan.base}
    shown = {"before": dict(plan.before), "people": plan.people, "notice_days": plan.notice_days, "since": plan.since}
    return Subject(None, bound, shown)


def _decide(
    conn: Connection, now: int, author: str, plan: _Plan, reason: str, approval: Asked | None = None
) -> Changed:
    version = store.put(
        conn,
        now,
        plan.name,
        plan.value,
        reason=reason,
        author=author,
        since=plan.since,
        notice_days=plan.notice_days,
        approval=approval.ref if approval else None,
    )
    record(conn, now, Entry(kind="policy.changed", actor=author, body=_body(version, plan)))
    withheld = starts.begin(conn, now, version, author) if version.starts is not None and version.starts <= now else 0
    return Changed(version.since, plan.people, withheld, version.number)


def _body(version: Version, plan: _Plan) -> dict[str, Any]:
    return {
        "name": str(version.name),
        "version": version.number,
        "before": dict(plan.before),
        "value": dict(version.value),
        "since": version.since,
        "notice_days": version.notice_days,
        "people": plan.people,
        "reason": version.reason,
        "approval": version.approval.hex() if version.approval else None,
    }
