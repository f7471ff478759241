"""What holds, what held and what will hold: the officer's policies as versions, for pages and for other services."""

from dataclasses import dataclass
from itertools import pairwise

from sqlalchemy import Connection

from outreach.domain.actors import Actor, Role
from outreach.domain.errors import NotFoundError
from outreach.domain.frequency import Cap
from outreach.domain.policies import Name, Value, caps_of
from outreach.services.context import Context
from outreach.store import policies as store
from outreach.store.policies import Version


@dataclass(frozen=True, kw_only=True)
class VersionView:
    """A version on a page. `starts`: None while people are still to be told; `ends`: when another took or takes over.

    `is_replaced`: a newer one took its place before it began.
    """

    version: Version
    author: str
    starts: int | None
    ends: int | None
    is_replaced: bool


@dataclass(frozen=True, kw_only=True)
class PolicyView:
    """A policy: what holds now and since when (None: it came with the product), what will, and what was decided."""

    name: Name
    value: Value
    since: int | None
    reason: str
    coming: tuple[VersionView, ...]
    history: tuple[VersionView, ...]


def current(conn: Connection, name: Name, now: int) -> Value:
    """What holds at `now`."""
    return store.value_at(conn, name, now)


def total_caps(ctx: Context) -> tuple[Cap, ...]:
    """The total ceilings that hold now, which are printed wherever people agree."""
    with ctx.db.reading() as conn:
        return caps_of(current(conn, Name.CAP_TOTAL, ctx.db.now(conn)))


def list_policies(ctx: Context, actor: Actor) -> list[PolicyView]:
    """Every policy, for an officer."""
    actor.must_be(Role.OFFICER)
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        found = store.versions(conn)
        return [_view(conn, now, name, [one for one in found if one.name == name]) for name in Name]


def see_policy(ctx: Context, actor: Actor, name: str) -> PolicyView:
    """One policy with its history, newest first. Raises NotFoundError."""
    actor.must_be(Role.OFFICER)
    if name not in set(Name):
        raise NotFoundError("There is no such policy.")
    known = Name(name)
    with ctx.db.reading() as conn:
        return _view(conn, ctx.db.now(conn), known, store.versions(conn, known))


def _view(conn: Connection, now: int, name: Name, versions: list[Version]) -> PolicyView:
    held = store.in_force(versions, now)
    views = _views(versions)
    coming = [
        one
        for one in views
        if not one.is_replaced and one.version is not held and (one.starts is None or one.starts > now)
    ]
    return PolicyView(
        name=name,
        value=held.value if held else store.default(conn, name),
        since=held.starts if held else None,
        reason=held.reason if held else "",
        coming=tuple(sorted(coming, key=lambda one: (one.starts is None, one.starts or 0))),
        history=tuple(reversed(views)),
    )


def _views(versions: list[Version]) -> list[VersionView]:
    line = store.acting(versions)
    ends = {one.id: later.starts for one, later in pairwise(line)}
    acting = {one.id for one in line}
    return [
        VersionView(
            version=one,
            author=one.author,
            starts=one.starts,
            ends=ends.get(one.id),
            is_replaced=one.id not in acting and (one.starts is not None or _is_overtaken(one, line)),
        )
        for one in versions
    ]


def _is_overtaken(one: Version, line: list[Version]) -> bool:
    """Whether a newer version begins before this one, whose people are still to be told, ever could."""
    return any(later.id > one.id and (later.starts or 0) <= one.since for later in line)
