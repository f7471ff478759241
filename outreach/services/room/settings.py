"""What a person sets in their own room for all mail together: a cap over everything, quiet hours, zone and language.

A cap is lower than the ceiling they were shown, never higher (promise 4). Quiet hours protect their reader and nobody
else, so their reader's own take the place of the organisation's, longer or shorter; nobody else can set them
(docs/adr/0028). Each change is an entry of the log and holds for the very next mail.
"""

from dataclasses import dataclass

from sqlalchemy import Connection

from outreach.domain.actors import OWNER
from outreach.domain.frequency import SECOND, Cap
from outreach.domain.own_limits import check_lower, check_quiet, lower_caps
from outreach.services.context import Context
from outreach.services.lowered import lock_mailbox, withhold_surplus
from outreach.services.rights.carry_out import Correction, correct
from outreach.services.rights.way_in import owner_of
from outreach.services.room.topics import RoomView, room_of
from outreach.store import room as store
from outreach.store.audit import Entry, record
from outreach.store.contacts import Person
from outreach.store.decide import Rule, load_rule


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The cap over everything. `ceiling`: what they were shown, or what holds for all today where that is less;
    `own`: their own; `got`: mails within the window of what binds; `lower`: the caps offered.
    """

    room: RoomView
    ceiling: Cap
    own: Cap | None
    got: int
    lower: tuple[Cap, ...]


@dataclass(frozen=True)
class Times:
    """When and in which language mail comes. Hours in minutes after local midnight; `own` None: the organisation's
    `usual` ones; equal ends: none.
    """

    own: tuple[int, int] | None
    usual: tuple[int, int]
    timezone: str
    locale: str


def see_limits(ctx: Context, token: str) -> Limits:
    """The cap over everything, for the owner of a fresh link. Raises TokenError, TokenExpiredError."""
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        person = owner_of(conn, ctx, now, token)
        room = room_of(conn, ctx, now, person)
        ceilings = _ceilings(conn, person, load_rule(conn, now))
        binds = room.total or ceilings[0]
        got = store.counted_in_all(conn, person.mailbox, now - binds.window * SECOND)
        return Limits(room=room, ceiling=ceilings[0], own=room.total, got=got, lower=lower_caps(*ceilings))


def set_total(ctx: Context, token: str, cap: Cap | None) -> Cap | None:
    """Set a cap over everything, or with None take it back. Returns the one before.

    Raises InvalidInputError (field "cap") for one that is not below every ceiling, TokenError, TokenExpiredError.
    """
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        person = owner_of(conn, ctx, now, token, lock=lock_mailbox)
        if cap is not None:
            check_lower(cap, _ceilings(conn, person, load_rule(conn, now)))
        own = store.settings(conn, person.id)
        before = None if own.own_total_n is None else Cap(own.own_total_n, own.own_total_window)
        if cap != before:
            values = {"own_total_n": cap.n if cap else None, "own_total_window": cap.window if cap else None}
            store.change_settings(conn, person.id, values)
            body = {"own": None if cap is None else [cap.n, cap.window]}
            record(conn, now, Entry(kind="contact.limited", actor=OWNER.name, contact=person.ref, body=body))
            if cap is not None:
                withhold_surplus(conn, now, person, None, cap)
        return before


def see_times(ctx: Context, token: str) -> tuple[RoomView, Times]:
    """Quiet hours, zone and language, for the owner of a fresh link. Raises TokenError, TokenExpiredError."""
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        person = owner_of(conn, ctx, now, token)
        return room_of(conn, ctx, now, person), _times(conn, person, load_rule(conn, now))


def set_times(ctx: Context, token: str, wanted: Times) -> Times:
    """Set quiet hours (None: the organisation's), zone and language. Returns what was before.

    Raises InvalidInputError (field "quiet_from", "quiet_to", "timezone" or "locale"), TokenError, TokenExpiredError.
    """
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        person = owner_of(conn, ctx, now, token, lock=lock_mailbox)
        before = _times(conn, person, load_rule(conn, now))
        correct(conn, ctx, now, person, Correction(locale=wanted.locale, timezone=wanted.timezone), actor=OWNER)
        if wanted.own != before.own:
            start, end = (None, None) if wanted.own is None else check_quiet(*wanted.own)
            store.change_settings(conn, person.id, {"quiet_from": start, "quiet_to": end})
            body = {"own": None if start is None else [start, end]}
            record(conn, now, Entry(kind="contact.quiet-hours", actor=OWNER.name, contact=person.ref, body=body))
        return before


def _ceilings(conn: Connection, person: Person, rule: Rule) -> tuple[Cap, ...]:
    """Every cap over everything that binds this person whatever they wish, the tightest first."""
    own = store.settings(conn, person.id)
    shown = () if own.ceiling_n is None else (Cap(own.ceiling_n, own.ceiling_window),)
    return tuple(sorted((*shown, *rule.caps.total), key=lambda cap: cap.n / cap.window))


def _times(conn: Connection, person: Person, rule: Rule) -> Times:
    row = store.settings(conn, person.id)
    own = None if row.quiet_from is None or row.quiet_to is None else (row.quiet_from, row.quiet_to)
    return Times(own, (rule.quiet_from, rule.quiet_to), person.timezone, person.locale)
