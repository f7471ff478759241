"""What somebody should look at: rules over the log, each with the entries it rests on. A finding accuses nobody."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Connection

from outreach.domain.actors import Actor, Role
from outreach.domain.policies import Name, loosens
from outreach.services.context import Context
from outreach.services.public_text import read_house
from outreach.store.log_acts import Act, acts, busiest

DAYS = 30
_DAY = 86_400_000_000
_MASS = {
    "contact.revealed": (10, "Many addresses revealed"),
    "contact.read": (100, "Many people read about"),
    "contact.looked-up": (100, "Many people looked up"),
    "contact.bar-lifted": (10, "Many bars lifted"),
    "desk.death-recorded": (10, "Many deaths recorded"),
}
"""Acts that one person does now and then: so many of them in 24 hours are unusual."""

_NIGHT = range(6)


@dataclass(frozen=True, kw_only=True)
class Unusual:
    """Something unusual. `entries`: ids in the log, newest first; `count`: how many there are; `at`: of the newest."""

    what: str
    detail: str
    actor: str
    at: int
    count: int
    entries: tuple[int, ...]


SHOWN = 12
"""Entries of a finding that are linked one by one."""


def unusual_acts(ctx: Context, actor: Actor) -> list[Unusual]:
    """What the rules find in the last 30 days, newest first."""
    actor.must_be(Role.OFFICER)
    with ctx.db.reading() as conn:
        return find_unusual(conn, ctx.db.now(conn))


def find_unusual(conn: Connection, now: int) -> list[Unusual]:
    """`unusual_acts` within a transaction, as of `now`."""
    since = now - DAYS * _DAY
    zone = ZoneInfo(read_house(conn).timezone)
    found = [*_mass(conn, since), *_midnight(conn, since, zone)]
    for kind, rule in _SINGLE.items():
        found += [one for act in acts(conn, kind, since) if (one := rule(act)) is not None]
    return sorted(found, key=lambda one: one.at, reverse=True)


def _mass(conn: Connection, since: int) -> Iterator[Unusual]:
    for kind, (many, what) in _MASS.items():
        by_actor: dict[str, list[Act]] = defaultdict(list)
        for act in acts(conn, kind, since):
            by_actor[act.actor].append(act)
        for actor, theirs in by_actor.items():
            most = busiest(theirs, _DAY)
            if len(most) >= many:
                yield _unusual(what, f"{len(most):,} within 24 hours", most, actor)


def _midnight(conn: Connection, since: int, zone: ZoneInfo) -> Iterator[Unusual]:
    for act in acts(conn, "campaign.begun", since):
        local = datetime.fromtimestamp(act.at // 1_000_000, UTC).astimezone(zone)
        if local.hour in _NIGHT:
            yield _unusual("A campaign began at night", f"at {local:%H:%M} where the organisation is", [act])


def _looser(act: Act) -> Unusual | None:
    name, before, after = (act.body.get(part) for part in ("name", "before", "value"))
    if name not in set(Name) or before is None or after is None or not loosens(Name(name), before, after):
        return None
    return _unusual("A policy was loosened", str(name).replace("-", " "), [act])


def _without_evidence(act: Act) -> Unusual | None:
    refused = act.body.get("refused", {}).get("no_evidence", 0)
    if not refused:
        return None
    return _unusual("An import without evidence", f"{refused:,} rows of {act.body.get('rows', 0):,} had none", [act])


def _no_bars(act: Act) -> Unusual | None:
    if act.body.get("barred") or not act.body.get("granted"):
        return None
    return _unusual("An import without anybody barred", f"{act.body['granted']:,} consents granted", [act])


def _imported(act: Act) -> Unusual | None:
    return _without_evidence(act) or _no_bars(act)


def _more_officers(act: Act) -> Unusual | None:
    gained = sorted(set(act.body.get("roles", ())) - set(act.body.get("before", ())))
    if not gained:
        return None
    return _unusual("Somebody was given a role", ", ".join(gained), [act])


def _log_is_wrong(act: Act) -> Unusual | None:
    findings = act.body.get("findings", 0)
    return _unusual("The log did not verify", f"{findings:,} findings", [act]) if findings else None


_SINGLE: dict[str, Callable[[Act], Unusual | None]] = {
    "import.applied": _imported,
    "policy.changed": _looser,
    "staff.roles-changed": _more_officers,
    "audit.verified": _log_is_wrong,
}


def _unusual(what: str, detail: str, rests_on: Sequence[Act], actor: str = "") -> Unusual:
    return Unusual(
        what=what,
        detail=detail,
        actor=actor or rests_on[0].actor,
        at=rests_on[0].at,
        count=len(rests_on),
        entries=tuple(act.id for act in rests_on[:SHOWN]),
    )
