"""The officer's way into the log: by time, kind, actor, contact, topic, campaign or mail; and a search's timeline."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, select

from outreach.domain.actors import Actor, Role
from outreach.domain.errors import NotFoundError
from outreach.services.context import Context
from outreach.store import log_search
from outreach.store.audit_log import stored_bytes
from outreach.store.boxes import ContactKeys
from outreach.store.log_search import Place, Search
from outreach.store.schema.campaigns import campaign
from outreach.store.schema.consents import topic
from outreach.store.schema.members import member
from outreach.store.schema.organisation import staff
from outreach.store.schema.people import contact

__all__ = ["PAGE", "EntryPage", "EntryView", "Search", "Timeline", "list_kinds", "search_entries", "see_entry"]

PAGE = 50
NEWEST = 5_000
"""Matching entries a timeline is drawn from."""

BARS = 60
_STAFF = re.compile("staff:([0-9a-f]{32})")
_MEMBER = re.compile("member:([0-9a-f]{32})")


@dataclass(frozen=True, kw_only=True)
class EntryView:
    """An entry as an officer reads it. `place`: in the log, from 0; None while it waits to be sealed, as is `hash`.

    `actor_name`: the name of a member of staff, or the code of a member, if known; `topic_name`, `campaign_name` too.
    `text`: just what is hashed (`domain.audit.entry_bytes`); `hash`: of its leaf, in hex.
    """

    id: int
    place: int | None
    at: int
    kind: str
    actor: str
    actor_name: str
    contact: bytes | None
    topic: bytes | None
    topic_name: str
    campaign: bytes | None
    campaign_name: str
    message: bytes | None
    body: dict[str, Any]
    text: str
    hash: str


@dataclass(frozen=True)
class EntryPage:
    """Entries, newest first. `older`: hand it back as `before` for the next page; None on the last.

    `reached`: instant down to which the log was looked through, where that was enough for one page; else None.
    """

    entries: tuple[EntryView, ...]
    older: str | None
    reached: int | None = None


@dataclass(frozen=True)
class Bar:
    """Entries from `start` on, UTC microseconds, until the next bar's."""

    start: int
    count: int


@dataclass(frozen=True)
class Timeline:
    """Entries over time, oldest first, a bar for each `days` days of the reader's. `is_cut`: there are older ones."""

    bars: tuple[Bar, ...]
    days: int
    is_cut: bool

    @property
    def most(self) -> int:
        return max((bar.count for bar in self.bars), default=0)


def search_entries(ctx: Context, actor: Actor, search: Search, *, before: str = "", limit: int = PAGE) -> EntryPage:
    """A page of matching entries, newest first. `before`: the `older` of the page above; what is none is ignored."""
    actor.must_be(Role.OFFICER)
    with ctx.db.reading() as conn:
        found = log_search.find(conn, search, _read_place(before), limit + 1)
        shown = found.places[:limit]
        views = tuple(_views(conn, ctx, log_search.entries(conn, shown)))
        if len(found.places) > limit:
            return EntryPage(views, _place(shown[-1]))
        if found.reached is not None:
            return EntryPage(views, _place(found.reached), found.reached.at)
        return EntryPage(views, None)


def see_entry(ctx: Context, actor: Actor, entry_id: int) -> EntryView:
    """One entry, by its number among all that were written. Raises NotFoundError."""
    actor.must_be(Role.OFFICER)
    with ctx.db.reading() as conn:
        place = log_search.place_of(conn, entry_id)
        if place is None:
            raise NotFoundError("There is no such entry.")
        return _views(conn, ctx, log_search.entries(conn, [place]))[0]


def list_kinds(ctx: Context, actor: Actor) -> list[str]:
    """Every kind of entry there is."""
    actor.must_be(Role.OFFICER)
    with ctx.db.reading() as conn:
        return list(log_search.kinds(conn))


def see_timeline(ctx: Context, actor: Actor, search: Search, zone: ZoneInfo) -> Timeline:
    """How the newest NEWEST matching entries lie in time, in at most BARS bars."""
    actor.must_be(Role.OFFICER)
    with ctx.db.reading() as conn:
        found = log_search.find(conn, search, None, NEWEST)
    if not found.places:
        return Timeline((), 1, found.reached is not None)
    days = Counter(datetime.fromtimestamp(place.at / 1_000_000, zone).date() for place in found.places)
    first, last = min(days), max(days)
    width = (last - first).days // BARS + 1
    bars = []
    while first <= last:
        count = sum(days[first + timedelta(days=n)] for n in range(width))
        midnight = datetime(first.year, first.month, first.day, tzinfo=zone)
        bars.append(Bar(int(midnight.timestamp()) * 1_000_000, count))
        first += timedelta(days=width)
    return Timeline(tuple(bars), width, len(found.places) == NEWEST or found.reached is not None)


def _place(place: Place) -> str:
    return f"{place.at}.{place.id}"


def _read_place(text: str) -> Place | None:
    at, _, entry = text.partition(".")
    if not (at.isdecimal() and entry.isdecimal()) or max(len(at), len(entry)) > 18:
        return None
    return Place(int(at), int(entry))


def _views(conn: Connection, ctx: Context, rows: Sequence[Any]) -> list[EntryView]:
    actors = {row.actor for row in rows}
    names = _staff_names(conn, ctx, actors) | _member_codes(conn, actors)
    topics = _names(conn, topic, {row.topic for row in rows if row.topic})
    campaigns = _names(conn, campaign, {row.campaign for row in rows if row.campaign})
    return [
        EntryView(
            id=row.id,
            place=row.position,
            at=row.at,
            kind=row.kind,
            actor=row.actor,
            actor_name=names.get(row.actor, ""),
            contact=row.contact,
            topic=row.topic,
            topic_name=topics.get(row.topic, ""),
            campaign=row.campaign,
            campaign_name=campaigns.get(row.campaign, ""),
            message=row.message,
            body=json.loads(row.body),
            text=stored_bytes(row).decode(),
            hash=row.hash.hex() if row.hash else "",
        )
        for row in rows
    ]


def _names(conn: Connection, table: Any, refs: set[bytes]) -> dict[bytes, str]:
    if not refs:
        return {}
    return {row.ref: row.name for row in conn.execute(select(table.c.ref, table.c.name).where(table.c.ref.in_(refs)))}


def _staff_names(conn: Connection, ctx: Context, actors: set[str]) -> dict[str, str]:
    """The names of members of staff among `actors` ("staff:<ref hex>")."""
    refs = [bytes.fromhex(found[1]) for name in actors if (found := _STAFF.fullmatch(name))]
    if not refs:
        return {}
    query = select(staff.c.ref, contact.c.id, contact.c.fields_box).join(contact, contact.c.id == staff.c.contact)
    rows = conn.execute(query.where(staff.c.ref.in_(refs))).all()
    keys = ContactKeys(ctx.keyring, conn)
    keys.load(row.id for row in rows)
    return {f"staff:{row.ref.hex()}": str(keys.facts(row.id, row.fields_box).get("name", "")) for row in rows}


def _member_codes(conn: Connection, actors: set[str]) -> dict[str, str]:
    """The codes of members among `actors` ("member:<ref hex>"): never their names."""
    refs = [bytes.fromhex(found[1]) for name in actors if (found := _MEMBER.fullmatch(name))]
    if not refs:
        return {}
    query = select(member.c.ref, member.c.code).where(member.c.ref.in_(refs))
    return {f"member:{row.ref.hex()}": row.code for row in conn.execute(query)}
