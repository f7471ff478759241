"""What the verifier reads: the log from its first leaf, and the tables that must follow from it, in bounded pages."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from sqlalchemy import Connection, func, or_, select, text, true

from outreach.store.audit_log import ENTRY_COLUMNS, points_after
from outreach.store.database import Database
from outreach.store.schema.audit import audit_entry, audit_leaf, audit_pending, audit_tile, checkpoint, checkpoint_note
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import consent, consent_event, consent_text, topic
from outreach.store.schema.members import invitation, member
from outreach.store.schema.people import contact
from outreach.store.schema.transparency import audit_node

PAGE = 5000
WIDE_PAGE = 50_000
"""Rows compared with one reading of their entries, which no index gives by ref."""


@contextmanager
def frozen(db: Database) -> Iterator[Connection]:
    """A transaction that sees one instant, and reads even text that is no longer UTF-8 instead of stopping at it."""
    with db.reading() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
            yield connection
            return
        driver: Any = connection.connection.dbapi_connection
        driver.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")
        try:
            yield connection
        finally:
            driver.text_factory = str


def leaves(connection: Connection) -> Iterator[Sequence[Any]]:
    """Pages of leaves in order: position, entry, hash, id (None: no such entry) and ENTRY_COLUMNS."""
    query = (
        select(audit_leaf.c.position, audit_leaf.c.entry, audit_leaf.c.hash, audit_entry.c.id, *ENTRY_COLUMNS)
        .outerjoin(audit_entry, audit_entry.c.id == audit_leaf.c.entry)
        .order_by(audit_leaf.c.position)
        .limit(PAGE)
    )
    last = None
    while page := connection.execute(query if last is None else query.where(audit_leaf.c.position > last)).all():
        yield page
        last = page[-1].position


def checkpoints(connection: Connection) -> Iterator[tuple[int, bytes, bytes, int, str | None]]:
    """Every checkpoint, smallest first: size, root, edge, epoch, note."""
    last = -1
    while page := points_after(connection, last, 1000):
        yield from page
        last = page[-1][0]


def stray_notes(connection: Connection) -> list[int]:
    """Sizes of signed notes without a checkpoint."""
    query = select(checkpoint_note.c.size).outerjoin(checkpoint, checkpoint.c.size == checkpoint_note.c.size)
    return list(connection.execute(query.where(checkpoint.c.size.is_(None)).limit(100)).scalars())


def tile(connection: Connection, level: int, number: int) -> bytes | None:
    query = select(audit_tile.c.hashes).where(audit_tile.c.level == level, audit_tile.c.number == number)
    return connection.execute(query).scalar_one_or_none()


def node(connection: Connection, level: int, number: int) -> bytes | None:
    """The root kept of a full tile of the level below."""
    query = select(audit_node.c.hash).where(audit_node.c.level == level, audit_node.c.number == number)
    return connection.execute(query).scalar_one_or_none()


def tiles_from(connection: Connection, level: int, number: int) -> list[tuple[int, int]]:
    """(level, number) of stored tiles at `level` from `number` on."""
    query = select(audit_tile.c.level, audit_tile.c.number).where(
        audit_tile.c.level == level, audit_tile.c.number >= number
    )
    return [(row.level, row.number) for row in connection.execute(query.limit(100))]


def unplaced(connection: Connection) -> list[int]:
    """Ids of entries that are neither sealed nor waiting to be."""
    query = (
        select(audit_entry.c.id)
        .outerjoin(audit_leaf, audit_leaf.c.entry == audit_entry.c.id)
        .outerjoin(audit_pending, audit_pending.c.entry == audit_entry.c.id)
        .where(audit_leaf.c.entry.is_(None), audit_pending.c.entry.is_(None))
    )
    return list(connection.execute(query.limit(100)).scalars())


def waiting_wrongly(connection: Connection) -> list[int]:
    """Ids in the queue that are sealed already, or are no entry at all."""
    query = (
        select(audit_pending.c.entry)
        .outerjoin(audit_leaf, audit_leaf.c.entry == audit_pending.c.entry)
        .outerjoin(audit_entry, audit_entry.c.id == audit_pending.c.entry)
        .where(or_(audit_leaf.c.entry.is_not(None), audit_entry.c.id.is_(None)))
    )
    return list(connection.execute(query.limit(100)).scalars())


def replayed_entries(connection: Connection) -> Iterator[tuple[bytes | None, bytes | None, Sequence[Any]]]:
    """Entries that change consents and messages, grouped by contact: (after, upto, rows in order of writing).

    The ranges (after, upto] of contact refs cover every possible contact once, so that rows of tables nobody wrote
    an entry about are met too; None is an open end.
    """
    query = (
        select(
            audit_entry.c.id,
            audit_leaf.c.position,
            audit_entry.c.kind,
            audit_entry.c.contact,
            audit_entry.c.topic,
            audit_entry.c.message,
            audit_entry.c.body,
            audit_entry.c.at,
        )
        .outerjoin(audit_leaf, audit_leaf.c.entry == audit_entry.c.id)
        .where(_replayed(), audit_entry.c.contact.is_not(None))
        .order_by(audit_entry.c.contact, audit_entry.c.id)
    )
    after: bytes | None = None
    while True:
        bounded = query if after is None else query.where(audit_entry.c.contact > after)
        page = connection.execute(bounded.limit(PAGE)).all()
        if len(page) < PAGE:
            yield after, None, page
            return
        last = page[-1].contact
        whole = [row for row in page if row.contact != last]
        if not whole:  # one person fills the page: take all there is about them
            whole, upto = list(connection.execute(query.where(audit_entry.c.contact == last))), last
        else:
            upto = whole[-1].contact
        yield after, upto, whole
        after = upto


def replayed_without_contact(connection: Connection) -> Sequence[Any]:
    """Entries of the replayed kinds that name nobody; there should be none."""
    query = select(audit_leaf.c.position, audit_entry.c.kind).outerjoin(
        audit_leaf, audit_leaf.c.entry == audit_entry.c.id
    )
    return connection.execute(query.where(_replayed(), audit_entry.c.contact.is_(None)).limit(100)).all()


def consents(connection: Connection, after: bytes | None, upto: bytes | None) -> Iterable[Any]:
    """Consent rows of the contacts in (after, upto]: contact, topic and text refs, state."""
    query = (
        select(
            contact.c.ref.label("contact"),
            topic.c.ref.label("topic"),
            consent.c.state,
            consent_text.c.ref.label("text"),
        )
        .select_from(consent)
        .join(contact, contact.c.id == consent.c.contact)
        .join(topic, topic.c.id == consent.c.topic)
        .outerjoin(consent_text, consent_text.c.id == consent.c.text)
    )
    return _stream(connection, query.where(_within(after, upto)))


_EVENT = (
    select(
        consent_event.c.ref,
        contact.c.ref.label("contact"),
        topic.c.ref.label("topic"),
        consent_event.c.event,
        consent_event.c.from_state,
        consent_event.c.to_state,
        consent_event.c.at,
        consent_text.c.ref.label("text"),
    )
    .select_from(consent_event)
    .join(topic, topic.c.id == consent_event.c.topic)
    .outerjoin(contact, contact.c.id == consent_event.c.contact)
    .outerjoin(consent_text, consent_text.c.id == consent_event.c.text)
)


def consent_events(connection: Connection, after: bytes | None, upto: bytes | None) -> Iterable[Any]:
    """Consent events of the contacts in (after, upto] that still have a row."""
    return _stream(connection, _EVENT.where(contact.c.id.is_not(None), _within(after, upto)))


def consent_events_named(connection: Connection, refs: Sequence[bytes]) -> Sequence[Any]:
    """Consent events by ref, whether or not the person's row is there."""
    found: list[Any] = []
    for start in range(0, len(refs), 1000):
        found += connection.execute(_EVENT.where(consent_event.c.ref.in_(refs[start : start + 1000]))).all()
    return found


def count_consent_events(connection: Connection) -> int:
    return int(connection.execute(select(func.count()).select_from(consent_event)).scalar_one())


def messages(connection: Connection, after: bytes | None, upto: bytes | None) -> Iterable[Any]:
    """Messages to the contacts in (after, upto]."""
    query = select(
        message.c.ref, contact.c.ref.label("contact"), message.c.state, message.c.reason, message.c.attempts
    ).join(contact, contact.c.id == message.c.contact)
    return _stream(connection, query.where(_within(after, upto)))


def invitations(connection: Connection) -> Iterator[tuple[bytes | None, bytes | None, Sequence[Any]]]:
    """Pages of invitations by ref: (after, upto, rows). The ranges (after, upto] cover every possible ref once."""
    columns = (invitation.c[name] for name in ("ref", "way", "answer", "settlement", "report"))
    return _ranges(connection, select(*columns).order_by(invitation.c.ref), invitation.c.ref)


def members(connection: Connection) -> Iterator[tuple[bytes | None, bytes | None, Sequence[Any]]]:
    """Pages of members by ref, as `invitations`."""
    columns = (member.c[name] for name in ("ref", "suspended", "suspended_for", "judged_from"))
    return _ranges(connection, select(*columns).order_by(member.c.ref), member.c.ref)


def entries_of(connection: Connection, kinds: Sequence[str]) -> Iterable[Any]:
    """Entries of `kinds` in the order they were written."""
    columns = (audit_leaf.c.position, *(audit_entry.c[name] for name in ("id", "at", "kind", "actor", "body")))
    query = select(*columns).outerjoin(audit_leaf, audit_leaf.c.entry == audit_entry.c.id)
    return _stream(connection, query.where(audit_entry.c.kind.in_(kinds)).order_by(audit_entry.c.id))


def _ranges(connection: Connection, query: Any, ref: Any) -> Iterator[tuple[bytes | None, bytes | None, Sequence[Any]]]:
    after: bytes | None = None
    while True:
        page = connection.execute((query if after is None else query.where(ref > after)).limit(WIDE_PAGE)).all()
        upto = page[-1].ref if len(page) == WIDE_PAGE else None
        yield after, upto, page
        if upto is None:
            return
        after = upto


def _replayed() -> Any:
    kind = audit_entry.c.kind
    return or_(kind.like("consent.%"), kind.like("message.%"), kind == "contact.erased")


def _within(after: bytes | None, upto: bytes | None) -> Any:
    lower = true() if after is None else contact.c.ref > after
    return lower if upto is None else lower & (contact.c.ref <= upto)


def _stream(connection: Connection, query: Any) -> Iterable[Any]:
    return connection.execution_options(yield_per=1000).execute(query)
