"""Finds entries of the log, newest first, each time by an index and never looking through more than a set number.

The most telling thing asked for (a contact, or the person a message went to; a campaign; whoever acted; a kind; or else
the time) drives an index that orders by time too; the rest is compared with what it yields. Where most of that does not
match, a search stops after SCAN entries and says how far it came: a page costs the same whatever the log's size.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, and_, func, literal_column, or_, select

from outreach.domain.padding import KIND as PADDING
from outreach.store.audit_log import ENTRY_COLUMNS
from outreach.store.schema.audit import audit_entry, audit_leaf
from outreach.store.schema.campaigns import message
from outreach.store.schema.people import contact

SCAN = 20_000
_entry = audit_entry.c
_COMPARED = (_entry.id, _entry.at, _entry.kind, _entry.actor, _entry.topic, _entry.campaign, _entry.message)
_NAMES = ("message", "contact", "campaign", "topic", "actor", "kind")


@dataclass(frozen=True, kw_only=True)
class Search:
    """What to look for. `kind`: exact, or a whole family ending in "."; refs are 16 bytes; instants microseconds."""

    kind: str = ""
    actor: str = ""
    since: int | None = None
    until: int | None = None
    contact: bytes | None = None
    topic: bytes | None = None
    campaign: bytes | None = None
    message: bytes | None = None


class Place(NamedTuple):
    """Where a page ends: instant and id of an entry."""

    at: int
    id: int


@dataclass(frozen=True)
class Found:
    """Places of entries, newest first. `reached`: how far the search came before it had looked at enough."""

    places: tuple[Place, ...]
    reached: Place | None = None


def find(conn: Connection, search: Search, before: Place | None, limit: int) -> Found:
    """The newest `limit` matching entries older than `before`."""
    parts = [_drive(conn, by, rest, search, before, limit) for by, rest in _drivers(conn, search)]
    reached = max((part.reached for part in parts if part.reached is not None), default=None)
    places = sorted((place for part in parts for place in part.places), reverse=True)
    if reached is not None:
        places = [place for place in places if place >= reached]
    return Found(tuple(places[:limit]), reached if len(places) < limit else None)


def entries(conn: Connection, places: Sequence[Place]) -> list[Any]:
    """These entries whole, in this order: id, ENTRY_COLUMNS, and position and hash of their leaf, None until sealed."""
    columns = (_entry.id, *ENTRY_COLUMNS, audit_leaf.c.position, audit_leaf.c.hash)
    query = select(*columns).outerjoin(audit_leaf, audit_leaf.c.entry == _entry.id)
    rows = conn.execute(query.where(_entry.id.in_([place.id for place in places]))).all()
    held = {row.id: row for row in rows}
    return [held[place.id] for place in places]


def place_of(conn: Connection, entry_id: int) -> Place | None:
    """The place of the entry with this id."""
    row = conn.execute(select(_entry.at, _entry.id).where(_entry.id == entry_id)).one_or_none()
    return None if row is None else Place(row.at, row.id)


def kinds(conn: Connection, family: str = "") -> Iterator[str]:
    """Every kind there is, or those of a family ("consent."), by leaping through the index from one to the next."""
    least = select(func.min(_entry.kind))
    kind = conn.execute(least.where(_entry.kind >= family)).scalar_one()
    while kind is not None and kind.startswith(family):
        yield kind
        kind = conn.execute(least.where(_entry.kind > kind)).scalar_one()


def _drivers(conn: Connection, search: Search) -> list[tuple[list[ColumnElement[bool]], dict[str, Any]]]:
    """What an index is asked for, and what is compared besides; several where a family of kinds is asked for."""
    rest = {name: getattr(search, name) for name in _NAMES if getattr(search, name)}
    if "message" in rest and "contact" not in rest and (person := _person(conn, rest["message"])) is not None:
        rest["contact"] = person
    if "contact" in rest:
        return [([_entry.contact == rest.pop("contact")], rest)]
    if "campaign" in rest:
        return [([_entry.campaign == rest.pop("campaign"), _entry.campaign.is_not(None)], rest)]
    if rest.get("actor", "engine") != "engine":  # the index leaves the engine out, as most entries are its own
        return [([_entry.actor == rest.pop("actor"), _entry.actor != literal_column("'engine'")], rest)]
    if "kind" in rest:
        kind = rest.pop("kind")
        every = list(kinds(conn, kind)) if kind.endswith(".") else [kind]
        return [([_entry.kind == one], rest) for one in every]
    return [([_entry.kind != PADDING], rest)]  # which says nothing, and is found by its kind


def _person(conn: Connection, ref: bytes) -> bytes | None:
    """To whom a message went: no index gives entries by message, but a person's are few."""
    query = select(contact.c.ref).join(message, message.c.contact == contact.c.id).where(message.c.ref == ref)
    return conn.execute(query).scalar_one_or_none()


def _drive(
    conn: Connection,
    by: Sequence[ColumnElement[bool]],
    rest: Mapping[str, Any],
    search: Search,
    before: Place | None,
    limit: int,
) -> Found:
    newest = (_entry.at.desc(), _entry.id.desc())
    looked = select(*_COMPARED).where(*by, *_window(search, before)).order_by(*newest)
    if not rest:
        return Found(_places(conn.execute(looked.with_only_columns(_entry.at, _entry.id).limit(limit))))
    seen = looked.limit(SCAN).subquery()
    query = select(seen.c.at, seen.c.id).where(*(_matches(seen.c, name, wanted) for name, wanted in rest.items()))
    places = _places(conn.execute(query.order_by(seen.c.at.desc(), seen.c.id.desc()).limit(limit)))
    if len(places) == limit:
        return Found(places)
    stopped = conn.execute(looked.with_only_columns(_entry.at, _entry.id).offset(SCAN - 1).limit(1)).one_or_none()
    return Found(places, None if stopped is None else Place(*stopped))


def _window(search: Search, before: Place | None) -> Iterator[ColumnElement[bool]]:
    if search.since is not None:
        yield _entry.at >= search.since
    if search.until is not None:
        yield _entry.at < search.until
    if before is not None:
        yield _entry.at <= before.at
        yield or_(_entry.at < before.at, _entry.id < before.id)


def _matches(columns: Any, name: str, wanted: Any) -> ColumnElement[bool]:
    if name == "kind" and wanted.endswith("."):
        return and_(columns.kind >= wanted, columns.kind < wanted[:-1] + "/")
    found: ColumnElement[bool] = columns[name] == wanted
    return found


def _places(rows: Any) -> tuple[Place, ...]:
    return tuple(Place(row.at, row.id) for row in rows)
