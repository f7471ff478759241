"""What an export of the log is made of: its entries in their places, as they stand in the tables, even damaged ones."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, true

from outreach.domain.audit import HASH, TILE
from outreach.store.audit_log import ENTRY_COLUMNS, stored_bytes
from outreach.store.schema.audit import audit_entry, audit_leaf, checkpoint_note
from outreach.store.schema.consents import consent_text, topic
from outreach.store.schema.transparency import publication, witnessed

_LONGEST = 0xFFFF
_TEXT = "topic.text-published"
_ABOUT_CAMPAIGNS = ("campaign.created", "campaign.edited")
_ABOUT_ALL = ("policy.cap-changed", "policy.begun", "log.key-rotated")
_SHOWN = ("title", "gets", "wording", "sender_name", "locale", "version", "kinds", "cap_n", "cap_window", "ratio_k")


def of_period(since: int, until: int) -> ColumnElement[bool]:
    """Entries dated since ≤ at < until, UTC microseconds."""
    return and_(audit_entry.c.at >= since, audit_entry.c.at < until)


def of_contact(ref: bytes) -> ColumnElement[bool]:
    """Entries about a person, and those that say what they agreed to and what kind of mail they got."""
    theirs = audit_entry.alias("theirs")
    topics = select(theirs.c.topic).where(theirs.c.contact == ref, theirs.c.topic.is_not(None))
    campaigns = select(theirs.c.campaign).where(theirs.c.contact == ref, theirs.c.campaign.is_not(None))
    return or_(
        audit_entry.c.contact == ref,
        and_(audit_entry.c.kind == _TEXT, audit_entry.c.topic.in_(topics)),
        and_(audit_entry.c.kind.in_(_ABOUT_CAMPAIGNS), audit_entry.c.campaign.in_(campaigns)),
        audit_entry.c.kind.in_(_ABOUT_ALL),
    )


def of_campaign(ref: bytes) -> ColumnElement[bool]:
    """Entries about a campaign, and the texts of its topic."""
    its = audit_entry.alias("its")
    topics = select(its.c.topic).where(its.c.campaign == ref, its.c.kind == "campaign.created")
    return or_(
        audit_entry.c.campaign == ref,
        and_(audit_entry.c.kind == _TEXT, audit_entry.c.topic.in_(topics)),
        audit_entry.c.kind.in_(_ABOUT_ALL),
    )


def of_topic(ref: bytes) -> ColumnElement[bool]:
    """Entries about a topic."""
    return or_(audit_entry.c.topic == ref, audit_entry.c.kind.in_(_ABOUT_ALL))


def count(conn: Connection, chosen: ColumnElement[bool], size: int) -> int:
    """How many of the log's first `size` entries are chosen."""
    placed = select(func.count()).join_from(audit_entry, audit_leaf, audit_leaf.c.entry == audit_entry.c.id)
    return int(conn.execute(placed.where(chosen, audit_leaf.c.position < size)).scalar_one())


def entries(conn: Connection, chosen: ColumnElement[bool], size: int) -> Iterable[Any]:
    """Rows of position and ENTRY_COLUMNS of those of the first `size` entries that are chosen, in their order."""
    query = (
        select(audit_leaf.c.position, *ENTRY_COLUMNS)
        .join(audit_entry, audit_entry.c.id == audit_leaf.c.entry)
        .where(chosen, audit_leaf.c.position < size)
        .order_by(audit_leaf.c.position)
    )
    return conn.execution_options(yield_per=1000).execute(query)


def tiles(conn: Connection, size: int) -> Iterator[tuple[list[bytes], list[bytes], list[Any]]]:
    """The first `size` leaves, a tile at a time: hashes as sealed, canonical entries, and rows of those there are.

    What is not there any more stands as 32 zero bytes, an entry as no bytes: whoever verifies sees which.
    """
    query = select(audit_leaf.c.position, audit_leaf.c.hash, audit_entry.c.id, *ENTRY_COLUMNS).outerjoin(
        audit_entry, audit_entry.c.id == audit_leaf.c.entry
    )
    for first in range(0, size, TILE):
        width = min(TILE, size - first)
        hashes, found = [bytes(HASH)] * width, [b""] * width
        within = (audit_leaf.c.position >= first, audit_leaf.c.position < first + width)
        rows = conn.execute(query.where(*within).order_by(audit_leaf.c.position)).all()
        for row in rows:
            if isinstance(row.hash, bytes) and len(row.hash) == HASH:
                hashes[row.position - first] = row.hash
            found[row.position - first] = readable(row) if row.id is not None else b""
        yield hashes, found, [row for row in rows if row.id is not None]


def readable(row: Any) -> bytes:
    """The canonical bytes of a row with ENTRY_COLUMNS; no bytes where they were made into something that is none."""
    try:
        written = stored_bytes(row)
    except (AttributeError, TypeError, ValueError):  # SQLite lets a column hold another type, or broken letters
        return b""
    return written if len(written) <= _LONGEST else b""


def signed_notes(conn: Connection, upto: int | None, limit: int) -> Sequence[tuple[int, str]]:
    """The newest signed checkpoints, (size, note), largest first. `upto`: none of more entries."""
    query = select(checkpoint_note.c.size, checkpoint_note.c.note).order_by(checkpoint_note.c.size.desc())
    smaller = true() if upto is None else checkpoint_note.c.size <= upto
    return [(row.size, row.note) for row in conn.execute(query.where(smaller).limit(limit))]


def shown_notes(conn: Connection, upto: int, limit: int) -> Sequence[tuple[int, str]]:
    """The newest checkpoints that were published or taken by a witness, as `signed_notes`."""
    outside = select(publication.c.size).union(select(witnessed.c.size))
    query = select(checkpoint_note.c.size, checkpoint_note.c.note).where(
        checkpoint_note.c.size.in_(outside), checkpoint_note.c.size <= upto
    )
    return [(row.size, row.note) for row in conn.execute(query.order_by(checkpoint_note.c.size.desc()).limit(limit))]


def texts(conn: Connection, topics: Sequence[bytes] | None) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """(ref, what was shown) of every consent text of these topics, or of all, oldest first."""
    columns = (consent_text.c[name] for name in (*_SHOWN, "ref", "sha256", "published"))
    query = select(*columns, topic.c.ref.label("topic"), topic.c.name).join(topic, topic.c.id == consent_text.c.topic)
    if topics is not None:
        query = query.where(topic.c.ref.in_(topics))
    for row in conn.execute(query.order_by(consent_text.c.id)):
        shown = {name: getattr(row, name) for name in _SHOWN}
        more = {"topic": row.topic.hex(), "topic_name": row.name, "published": row.published}
        yield row.ref, {**shown, **more, "sha256": row.sha256.hex()}
