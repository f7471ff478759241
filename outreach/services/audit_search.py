"""The officer's way into the log: by kind, actor, time, thing, or an address typed in full, a page at a time."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, func, select

from outreach.domain import addresses
from outreach.domain.actors import Actor, Role
from outreach.domain.audit import EMPTY_ROOT
from outreach.domain.errors import InvalidInputError
from outreach.services.bars import BarView, bars_on
from outreach.services.context import Context
from outreach.store import audit_log
from outreach.store.audit import Entry, record
from outreach.store.boxes import ContactKeys
from outreach.store.contacts import find_by_address, find_by_code
from outreach.store.schema.audit import audit_entry, audit_leaf
from outreach.store.schema.campaigns import campaign, message
from outreach.store.schema.consents import topic
from outreach.store.schema.members import member
from outreach.store.schema.organisation import staff
from outreach.store.schema.people import contact, mailbox

PAGE = 50
_STAFF = re.compile("staff:([0-9a-f]{32})")
_MEMBER = re.compile("member:([0-9a-f]{32})")


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


@dataclass(frozen=True, kw_only=True)
class EntryView:
    """An entry as an officer reads it. `place`: in the log, from 0; None while it waits to be sealed.

    `actor_name`: the name of a member of staff, or the code of a member, if known; `topic_name`, `campaign_name` too.
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


@dataclass(frozen=True)
class EntryPage:
    """Entries, newest first. `older`: hand it back as `before` for the next page; None on the last."""

    entries: tuple[EntryView, ...]
    older: int | None


@dataclass(frozen=True)
class Found:
    """Whom a typed address or reference names: contacts' refs, exact first; and the bars that stand on it."""

    contacts: tuple[bytes, ...]
    bars: tuple[BarView, ...]


@dataclass(frozen=True, kw_only=True)
class LogStatus:
    """The newest checkpoint: `root` in hex, `at` None for an empty log; `note` empty until signed."""

    size: int
    root: str
    at: int | None
    note: str
    pending: int
    unknown: int


@dataclass(frozen=True, kw_only=True)
class UnknownMessage:
    """A message whose fate is not known: the final dot went out, no reply came back."""

    ref: bytes
    contact: bytes
    origin: str
    campaign_name: str
    at: int | None
    attempts: int


def search_entries(
    ctx: Context, actor: Actor, search: Search, *, before: int | None = None, limit: int = PAGE
) -> EntryPage:
    """A page of matching entries, newest first. `before`: the `older` of the page above."""
    actor.must_be(Role.OFFICER)
    query = _matching(search).order_by(audit_entry.c.id.desc()).limit(limit + 1)
    if before is not None:
        query = query.where(audit_entry.c.id < before)
    with ctx.db.reading() as conn:
        rows = conn.execute(query).all()
        shown = rows[:limit]
        return EntryPage(tuple(_views(conn, ctx, shown)), shown[-1].id if len(rows) > limit else None)


def list_kinds(ctx: Context, actor: Actor) -> list[str]:
    """Every kind of entry there is, found by leaping through the index from one to the next."""
    actor.must_be(Role.OFFICER)
    kinds: list[str] = []
    with ctx.db.reading() as conn:
        least = select(func.min(audit_entry.c.kind))
        kind = conn.execute(least).scalar_one()
        while kind is not None:
            kinds.append(kind)
            kind = conn.execute(least.where(audit_entry.c.kind > kind)).scalar_one()
    return kinds


def look_up(ctx: Context, actor: Actor, typed: str) -> Found:
    """Find whom an address typed in full, or the reference printed in a mail, names. The look-up is itself audited.

    Also finds other spellings of the same mailbox. Raises InvalidInputError; what was typed is kept nowhere.
    """
    actor.must_be(Role.OFFICER)
    if not typed.strip():
        raise InvalidInputError("Type an address in full, or the reference printed in a mail.", field="who")
    try:
        address = addresses.parse(typed) if "@" in typed else None
    except addresses.AddressError as error:
        raise InvalidInputError(str(error), field="who") from None
    with ctx.db.transaction() as conn:
        found = _by_address(conn, ctx, address) if address else _by_code(conn, typed)
        refs = found.contacts or (None,)
        body = {"by": "address" if address else "reference", "found": len(found.contacts)}
        entries = [Entry(kind="contact.looked-up", actor=actor.name, contact=ref, body=body) for ref in refs]
        record(conn, ctx.db.now(conn), *entries)
        return found


def log_status(ctx: Context, actor: Actor) -> LogStatus:
    """How far the log is sealed, and how many messages wait for review."""
    actor.must_be(Role.OFFICER)
    with ctx.db.reading() as conn:
        newest = audit_log.newest_point(conn)
        unknown = select(func.count()).select_from(message).where(message.c.state == "unknown")
        return LogStatus(
            size=newest.size if newest else 0,
            root=(newest.root if newest else EMPTY_ROOT).hex(),
            at=newest.at if newest else None,
            note=newest.note or "" if newest else "",
            pending=audit_log.count_pending(conn),
            unknown=int(conn.execute(unknown).scalar_one()),
        )


def list_unknown(ctx: Context, actor: Actor, *, limit: int = 200) -> list[UnknownMessage]:
    """Messages that wait for an officer's review, newest first."""
    actor.must_be(Role.OFFICER)
    query = (
        select(
            message.c.ref,
            contact.c.ref.label("contact"),
            message.c.origin,
            func.coalesce(campaign.c.name, "").label("campaign_name"),
            message.c.settled.label("at"),
            message.c.attempts,
        )
        .join(contact, contact.c.id == message.c.contact)
        .outerjoin(campaign, campaign.c.id == message.c.campaign)
        .where(message.c.state == "unknown")
        .order_by(message.c.id.desc())
        .limit(limit)
    )
    with ctx.db.reading() as conn:
        return [UnknownMessage(**row._mapping) for row in conn.execute(query)]


def _matching(search: Search) -> Select[Any]:
    query = select(audit_entry, audit_leaf.c.position).outerjoin(audit_leaf, audit_leaf.c.entry == audit_entry.c.id)
    if search.kind.endswith("."):
        query = query.where(audit_entry.c.kind >= search.kind, audit_entry.c.kind < search.kind[:-1] + "/")
    elif search.kind:
        query = query.where(audit_entry.c.kind == search.kind)
    if search.since is not None:
        query = query.where(audit_entry.c.at >= search.since)
    if search.until is not None:
        query = query.where(audit_entry.c.at < search.until)
    for name in ("actor", "contact", "topic", "campaign", "message"):
        if getattr(search, name):
            query = query.where(audit_entry.c[name] == getattr(search, name))
    return query


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


def _by_address(conn: Connection, ctx: Context, address: addresses.Address) -> Found:
    exact = find_by_address(conn, ctx.keyring, address)
    mailbox_key = ctx.keyring.blind("mailbox", address.mailbox)
    same = select(contact.c.ref).join(mailbox, mailbox.c.id == contact.c.mailbox)
    refs = conn.execute(same.where(mailbox.c.mailbox_key == mailbox_key).order_by(contact.c.id)).scalars().all()
    first = (exact.ref,) if exact else ()
    bars = bars_on(conn, (ctx.keyring.blind("address", address.exact), mailbox_key))
    standing = tuple(bar for bar in bars if bar.lifted is None)
    return Found((*first, *(ref for ref in refs if ref not in first)), standing)


def _by_code(conn: Connection, typed: str) -> Found:
    person = find_by_code(conn, typed)
    return Found((person.ref,) if person else (), ())
