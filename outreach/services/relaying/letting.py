"""Letting mails between two people through, keeping them while their reader muted the connection, and ending both.

Who wrote one that could not be handed on is told: it was taken, so nobody else tells them (RFC 5321 §6.1).
"""

from collections.abc import Sequence

from sqlalchemy import Connection, select

from outreach.domain.actors import ENGINE
from outreach.services import outbox
from outreach.services.context import Context
from outreach.services.invitation_mail import day
from outreach.services.public_text import read_house
from outreach.store import consents
from outreach.store import relaying as store
from outreach.store.audit import Entry, record
from outreach.store.contacts import find_by_id
from outreach.store.schema.campaigns import message

WAITING_DAYS = 30
"""How long mails are kept for somebody who muted the connection."""

_DAY = 86_400_000_000
_SLICE = 500


def let_through(conn: Connection, ctx: Context, now: int, row: store.RelayedRow) -> None:
    """Queue a mail for its reader; while they have the connection muted, keep it for them instead."""
    reader = find_by_id(conn, row.reader)
    if reader is None:
        store.finish(conn, [row.id], "failed")
    elif store.muted_by(conn, row.connection, row.reader):
        _keep(conn, now, row, reader.ref)
    else:
        body = {"relayed": row.ref.hex(), "connection": row.connection_ref.hex()}
        message, _ = outbox.queue_reply(conn, ctx, now, reader, body)
        store.change(conn, row.id, state="going", until=None, message=message)


def let_waiting_through(conn: Connection, ctx: Context, now: int, connection_id: int, reader: int) -> int:
    """After a mute was taken back: what waited goes. Returns how many."""
    settle(conn, now, connection_id)
    waiting = store.unfinished(conn, connection_id, states=["waiting"], reader=reader)
    for row in waiting:
        let_through(conn, ctx, now, row)
    return len(waiting)


def end(conn: Connection, now: int, connection_id: int) -> None:
    """A connection ended: nothing of it goes any more, not even what is on its way; the words are erased."""
    settle(conn, now, connection_id)
    states = ["held", "waiting", "going"]
    store.finish(conn, [row.id for row in store.unfinished(conn, connection_id, states=states)], "ended")


def settle(conn: Connection, now: int, connection_id: int) -> None:
    """Take note of what became of a connection's mails handed to the pipeline; what failed is left to `settle_all`."""
    _settle(conn, now, [row for row in store.settled(conn, _SLICE, connection_id) if row.ended != "failed"])


def settle_all(conn: Connection, ctx: Context, now: int) -> int:
    """The same of all mails; who wrote one that failed is told. Returns how many."""
    writers = {row.writer for row in store.settled(conn, _SLICE) if row.ended == "failed"}
    consents.lock_contacts(conn, writers)
    rows = [row for row in store.settled(conn, _SLICE) if row.ended != "failed" or row.writer in writers]
    _settle(conn, now, rows)
    for row in rows:
        if row.ended == "failed":
            _tell(conn, ctx, now, row)
    return len(rows)


def _settle(conn: Connection, now: int, rows: Sequence[store.RelayedRow]) -> None:
    """Their words go, but for those muted meanwhile."""
    ends: dict[str, list[int]] = {"passed": [], "failed": []}
    for row in rows:
        if row.ended == "withheld" and row.reason == "muted":
            reader = find_by_id(conn, row.reader)
            _keep(conn, now, row, None if reader is None else reader.ref)
        else:
            ends["passed" if row.ended in {"sent", "unknown"} else "failed"].append(row.id)
    for outcome, ids in ends.items():
        store.finish(conn, ids, outcome)


def _tell(conn: Connection, ctx: Context, now: int, row: store.RelayedRow) -> None:
    """Only of what failed: that a mail was withheld is its reader's to know."""
    writer = find_by_id(conn, row.writer)
    if writer is None:
        return
    facts = {"written": day(row.received, read_house(conn), writer.locale)}
    about = row.connection_ref
    notice = outbox.queue_notice(conn, ctx, now, writer, template="relay-failed", facts=facts, connection=about)
    told = conn.execute(select(message.c.id).where(message.c.ref == notice)).scalar_one()
    store.change(conn, row.id, warning=told)


def _keep(conn: Connection, now: int, row: store.RelayedRow, reader_ref: bytes | None) -> None:
    """The entry names the reader alone: who wrote is not told, in no answer about their data either."""
    until = row.received + WAITING_DAYS * _DAY
    store.change(conn, row.id, state="waiting", until=until, message=None)
    body = {"connection": row.connection_ref.hex(), "mail": row.ref.hex(), "until": until}
    record(conn, now, Entry(kind="relay.waiting", actor=ENGINE.name, contact=reader_ref, body=body))
