"""Mails between two people that still seem to hold an address: their writer is warned and decides, send or drop.

By the link in the warning, which lets send for half an hour after it was mailed and drop for as long as the mail is
held, since a warning may be forwarded; or on the connection's page, signed in. Nobody else ever sees the words.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from outreach.domain.actors import ENGINE, RECIPIENT, Actor
from outreach.domain.errors import ConflictError, NotFoundError
from outreach.domain.tokens import Purpose
from outreach.mail.cleaning import Doubt
from outreach.services import outbox
from outreach.services.context import Context
from outreach.services.members import must_be_open
from outreach.services.public_text import House, read_house
from outreach.services.relaying.letting import let_through
from outreach.store import consents
from outreach.store import relaying as store
from outreach.store.audit import Entry, record
from outreach.store.boxes import ContactKeys
from outreach.store.contacts import Person, find_by_id
from outreach.store.schema.campaigns import message

HELD_DAYS = 7
"""How long a mail waits for its writer."""
FRESH_MINUTES = 30
"""How long after its mailing a link lets the mail go."""
MOST_WARNINGS = 3
"""Links one held mail may cause to be mailed."""

_MINUTE = 60_000_000
_DAY = 86_400_000_000


@dataclass(frozen=True, kw_only=True)
class HeldView:
    """A held mail as its writer meets it. Instants in UTC microseconds.

    `state`: "held"; "sent" or "dropped" once it was decided; "ended" with its connection. `doubts`: what looks like an
    address, masked. `is_fresh`: this link may still let it go; `can_renew`: another can be mailed.
    """

    house: House
    locale: str
    timezone: str
    ref: bytes
    received: int
    octets: int
    until: int
    state: str
    doubts: tuple[Doubt, ...]
    is_fresh: bool
    can_renew: bool


def hold(conn: Connection, ctx: Context, now: int, row: store.RelayedRow, writer: Person) -> None:
    """Keep a mail for its writer to decide about, and warn them. Inside the caller's transaction."""
    until = now + HELD_DAYS * _DAY
    store.change(conn, row.id, state="held", until=until)
    _warn(conn, ctx, now, row, writer)
    body = {"connection": row.connection_ref.hex(), "mail": row.ref.hex(), "until": until}
    record(conn, now, Entry(kind="relay.held", actor=ENGINE.name, contact=writer.ref, body=body))


def view_held(ctx: Context, token: str) -> HeldView:
    """What the link in a warning is about. Changes nothing. Raises TokenError; NotFoundError once forgotten."""
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        row, is_fresh = _asked(conn, ctx, token, now)
        return _view(conn, ctx, row, is_fresh=is_fresh)


def send_held(ctx: Context, token: str) -> HeldView:
    """Let it go on as it was written. Twice is once.

    Raises ConflictError where the link is not fresh any more, or the mail was dropped; else as `view_held`.
    """
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        row, is_fresh = _asked(conn, ctx, token, now)
        if not is_fresh and row.state == "held":
            raise ConflictError("This link is past its half hour. Nothing was sent; have a fresh one mailed to you.")
        _send(conn, ctx, now, row, RECIPIENT)
        return _view(conn, ctx, _again(conn, row), is_fresh=is_fresh)


def drop_held(ctx: Context, token: str) -> HeldView:
    """Drop it: its words are erased. Twice is once. Raises as `view_held`, and ConflictError once it was sent."""
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        row, is_fresh = _asked(conn, ctx, token, now)
        _drop(conn, now, row, RECIPIENT)
        return _view(conn, ctx, _again(conn, row), is_fresh=is_fresh)


def renew_link(ctx: Context, token: str) -> None:
    """Mail its writer a fresh link, while it is held and MOST_WARNINGS were not mailed. Raises as `view_held`."""
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        row, _ = _asked(conn, ctx, token, now)
        row = _locked(conn, row)
        writer = find_by_id(conn, row.writer)
        if writer is not None and _can_renew(conn, row):
            _warn(conn, ctx, now, row, writer)
            body = {"connection": row.connection_ref.hex(), "mail": row.ref.hex()}
            record(conn, now, Entry(kind="relay.link-renewed", actor=RECIPIENT.name, contact=writer.ref, body=body))


def send_own(ctx: Context, actor: Actor, ref: bytes) -> None:
    """The same for a member, signed in. Raises NotFoundError for a mail that is not theirs."""
    with ctx.db.transaction() as conn:
        _send(conn, ctx, ctx.db.now(conn), _own(conn, actor, ref), actor)


def drop_own(ctx: Context, actor: Actor, ref: bytes) -> None:
    """The same for a member, signed in. Raises NotFoundError for a mail that is not theirs."""
    with ctx.db.transaction() as conn:
        _drop(conn, ctx.db.now(conn), _own(conn, actor, ref), actor)


def doubts_of(keys: ContactKeys, row: store.RelayedRow) -> tuple[Doubt, ...]:
    """What in a held mail looks like an address, masked."""
    facts: Mapping[str, Any] = keys.facts(row.writer, row.words_box)
    return tuple(Doubt(kind, shown) for kind, shown in facts.get("doubts", []))


def _warn(conn: Connection, ctx: Context, now: int, row: store.RelayedRow, writer: Person) -> None:
    token = ctx.tokens.issue(Purpose.HELD, row.ref, now)
    facts = {
        "url": f"{ctx.settings.public_url}/held-mail/{token}",
        "minutes": FRESH_MINUTES,
        "days": HELD_DAYS,
        "doubts": [[one.kind, one.shown] for one in doubts_of(ContactKeys(ctx.keyring, conn), row)],
    }
    about = row.connection_ref
    notice = outbox.queue_notice(conn, ctx, now, writer, template="relay-held", facts=facts, connection=about)
    warning = conn.execute(select(message.c.id).where(message.c.ref == notice)).scalar_one()
    store.change(conn, row.id, warning=warning, warnings=row.warnings + 1)


def _send(conn: Connection, ctx: Context, now: int, row: store.RelayedRow, actor: Actor) -> None:
    row = _locked(conn, row)
    if row.state == "done" and row.outcome in {"dropped", "ended"}:
        raise ConflictError("This mail was dropped before, and its words are gone. Nothing was sent.")
    if row.state == "held":
        _note(conn, now, row, "relay.released", actor)
        let_through(conn, ctx, now, row)


def _drop(conn: Connection, now: int, row: store.RelayedRow, actor: Actor) -> None:
    row = _locked(conn, row)
    if row.state == "held":
        store.finish(conn, [row.id], "dropped")
        _note(conn, now, row, "relay.dropped", actor)
    elif row.outcome not in {"dropped", "ended"}:
        raise ConflictError("This mail was sent on before, so it cannot be dropped.")


def _note(conn: Connection, now: int, row: store.RelayedRow, kind: str, actor: Actor) -> None:
    writer = find_by_id(conn, row.writer)
    body = {"connection": row.connection_ref.hex(), "mail": row.ref.hex()}
    record(conn, now, Entry(kind=kind, actor=actor.name, contact=None if writer is None else writer.ref, body=body))


def _asked(conn: Connection, ctx: Context, token: str, now: int) -> tuple[store.RelayedRow, bool]:
    read = ctx.tokens.read(Purpose.HELD, token, now)
    row = store.by_ref(conn, read.ref)
    if row is None or not row.warnings:
        raise NotFoundError("There is nothing behind this link any more.")
    return row, now < read.issued + FRESH_MINUTES * _MINUTE


def _own(conn: Connection, actor: Actor, ref: bytes) -> store.RelayedRow:
    me = must_be_open(conn, actor)
    row = store.by_ref(conn, ref)
    if row is None or row.writer != me.contact or not row.warnings:
        raise NotFoundError("There is no such mail.")
    return row


def _locked(conn: Connection, row: store.RelayedRow) -> store.RelayedRow:
    """As it is once nobody else can change it: both people first, as everywhere."""
    consents.lock_contacts(conn, [row.reader, row.writer])
    return _again(conn, row)


def _again(conn: Connection, row: store.RelayedRow) -> store.RelayedRow:
    fresh = store.by_ref(conn, row.ref)
    assert fresh is not None  # noqa: S101  only what is over is ever deleted, and that long after
    return fresh


def _can_renew(conn: Connection, row: store.RelayedRow) -> bool:
    if row.state != "held" or row.warnings >= MOST_WARNINGS:
        return False
    on_its_way = select(message.c.id).where(message.c.id == row.warning, message.c.state == "planned")
    return conn.execute(on_its_way).first() is None


def _view(conn: Connection, ctx: Context, row: store.RelayedRow, *, is_fresh: bool) -> HeldView:
    house = read_house(conn)
    writer = find_by_id(conn, row.writer)
    states = {"dropped": "dropped", "ended": "ended"}
    return HeldView(
        house=house,
        locale=house.locale if writer is None else writer.locale,
        timezone=house.timezone if writer is None else writer.timezone,
        ref=row.ref,
        received=row.received,
        octets=row.octets,
        until=row.until or 0,
        state="held" if row.state == "held" else states.get(row.outcome or "", "sent"),
        doubts=doubts_of(ContactKeys(ctx.keyring, conn), row) if row.state == "held" else (),
        is_fresh=is_fresh,
        can_renew=_can_renew(conn, row),
    )
