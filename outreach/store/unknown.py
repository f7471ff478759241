"""Messages whose outcome nobody knows: which wait for an officer, what is on record, and settling them as ruled."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, insert, select, text

from outreach.domain.message import MessageEvent, MessageState, move
from outreach.store import tally
from outreach.store.audit import Entry, record
from outreach.store.bulk import among, bound
from outreach.store.messages import facts_of
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.campaigns import attempt, campaign, message
from outreach.store.schema.consents import topic
from outreach.store.schema.desk import unknown_ruling
from outreach.store.schema.organisation import sender
from outreach.store.schema.people import contact, contact_key

MOST = 20_000
NEIGHBOURS = 500

# The log's index by kind leads to them: messages have none by state, as each would be touched by every mail.
_UNKNOWN = (
    select(message.c.id)
    .join(audit_entry, audit_entry.c.message == message.c.ref)
    .join(contact_key, contact_key.c.contact == message.c.contact)  # of the erased nothing more is written
    .outerjoin(unknown_ruling, unknown_ruling.c.message == message.c.id)
    .where(audit_entry.c.kind == "message.unknown", message.c.state == "unknown")
)


class Held(NamedTuple):
    """One message and its attempt that ended without an answer. `relay`: that it was handed to, or
    its sender's where that is not on record; `attempt`: 0 for none on record.

    `at`, `began`: UTC microseconds, when the attempt was recorded and when it was committed to.
    """

    id: int
    ref: bytes
    origin: str
    contact: bytes
    provider: str
    campaign: str
    relay: str
    domain: str
    at: int
    began: int
    worker: str
    reply: str
    attempt: int
    is_left: bool


def count_waiting(conn: Connection) -> int:
    """How many wait for an officer's word."""
    waiting = _UNKNOWN.where(unknown_ruling.c.message.is_(None)).distinct().subquery()
    return int(conn.execute(select(func.count()).select_from(waiting)).scalar_one())


def held(conn: Connection) -> list[Held]:
    """Every message with an unknown outcome, at most MOST, in the order in which their attempts ended."""
    ids = conn.execute(_UNKNOWN.distinct().limit(MOST)).scalars().all()
    if not ids:
        return []
    tried = _last_attempts(conn, ids)
    query = (
        select(
            message.c.id,
            message.c.ref,
            message.c.origin,
            message.c.settled,
            contact.c.ref.label("contact"),
            contact.c.provider,
            func.coalesce(campaign.c.name, "").label("campaign"),
            func.coalesce(sender.c.relay, "").label("relay"),
            func.coalesce(sender.c.from_domain, "").label("domain"),
            unknown_ruling.c.ruling,
        )
        .join(contact, contact.c.id == message.c.contact)
        .outerjoin(campaign, campaign.c.id == message.c.campaign)
        .outerjoin(topic, topic.c.id == message.c.topic)
        .outerjoin(sender, sender.c.id == topic.c.sender)
        .outerjoin(unknown_ruling, unknown_ruling.c.message == message.c.id)
        .where(text(among(conn, "message.id")))
    )
    rows = conn.execute(query, {"ids": bound(conn, ids)}).all()
    return sorted((_held(row, tried.get(row.id)) for row in rows), key=lambda one: (one.at, one.id))


def neighbours(conn: Connection, attempts: Collection[int]) -> dict[str, int]:
    """What else was recorded just before, amid and just after these attempts: outcome → how many, theirs left out."""
    known = [one for one in attempts if one]
    if not known:
        return {}
    first, last = min(known) - NEIGHBOURS, max(known) + NEIGHBOURS
    query = select(attempt.c.outcome, func.count().label("n")).where(attempt.c.id >= first, attempt.c.id <= last)
    counts = Counter({row.outcome: row.n for row in conn.execute(query.group_by(attempt.c.outcome))})
    counts["unknown"] -= len(known)
    return {outcome: n for outcome, n in counts.most_common() if n > 0}


def settle_ruled(
    conn: Connection, now: int, ids: Sequence[int], ruling: str, actor: str, said: Mapping[str, Any]
) -> int:
    """End messages as an officer ruled: "arrived" or "lost". Returns how many were still unknown.

    `said`: what the log keeps of the ruling. A lost one takes no place under a cap any more, and is never sent again.
    """
    arrived = ruling == "arrived"
    state = str(move(MessageState.UNKNOWN, MessageEvent.FIND if arrived else MessageEvent.MISS))
    reason = None if arrived else ruling
    place = "" if arrived else ", counted = NULL"
    query = text(
        f"UPDATE message SET state = :state, reason = :reason{place} "
        f"WHERE {among(conn, 'id')} AND state = 'unknown' RETURNING id"
    )
    values = {"ids": bound(conn, ids), "state": state, "reason": reason}
    moved = set(conn.execute(query, values).scalars())
    facts = facts_of(conn, moved)
    body = {"state": state, "reason": reason, "ruled": ruling, **said}
    entries = [
        Entry(
            kind=f"message.{state}",
            actor=actor,
            contact=one.contact,
            topic=one.topic,
            campaign=one.campaign,
            message=one.ref,
            body=body,
        )
        for one in sorted(facts.values())
    ]
    record(conn, now, *entries)
    for campaign_id, n in Counter(one.campaign_id for one in facts.values() if one.campaign_id is not None).items():
        tally.add(conn, now, campaign_id, {("unknown", "no_reply"): -n, (state, reason): n})
    note_ruling(conn, now, moved, ruling)
    return len(moved)


def note_ruling(conn: Connection, now: int, ids: Iterable[int], ruling: str) -> None:
    """Remember what was said of each, so that it is asked about no more."""
    listed = sorted(ids)
    if listed:
        conn.execute(text(f"DELETE FROM unknown_ruling WHERE {among(conn, 'message')}"), {"ids": bound(conn, listed)})
        conn.execute(insert(unknown_ruling), [{"message": one, "ruling": ruling, "at": now} for one in listed])


def _last_attempts(conn: Connection, ids: Sequence[int]) -> dict[int, Any]:
    query = select(attempt).where(text(among(conn, "attempt.message")), attempt.c.outcome == "unknown")
    rows = conn.execute(query.order_by(attempt.c.id), {"ids": bound(conn, ids)})
    return {row.message: row for row in rows}


def _held(row: Any, tried: Any | None) -> Held:
    return Held(
        id=row.id,
        ref=row.ref,
        origin=row.origin,
        contact=row.contact,
        provider=row.provider,
        campaign=row.campaign,
        relay=(tried.relay if tried else None) or row.relay,
        domain=row.domain,
        at=(tried.ended if tried else row.settled) or 0,
        began=(tried.at if tried else row.settled) or 0,
        worker=tried.worker if tried else "",
        reply=(tried.reply if tried else "") or "",
        attempt=tried.id if tried else 0,
        is_left=row.ruling is not None,
    )
