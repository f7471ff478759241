"""What time ends: consents, pauses, requests nobody answered, and keeping proof of what ended. Called by the engine."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, literal_column, select
from sqlalchemy.engine import Row

from outreach.domain.actors import ENGINE, Actor
from outreach.domain.consent import Event
from outreach.domain.policies import Name
from outreach.domain.soft_opt_in import too_old
from outreach.services.consents import Change, apply_changes
from outreach.services.context import Context
from outreach.store import consents, leaving, policies, requests
from outreach.store.audit import Entry, record
from outreach.store.planning import take_planners_turn
from outreach.store.schema.consents import confirmation, confirmation_topic, consent

_SLICE = 500
_SOFT_SLICES = 20
_LOOK = 5_000
_LOOK_TIME = 20_000_000


def expire(ctx: Context) -> int:
    """End what is past its time, some of each. Returns how many consents, pauses, requests and people ended."""
    ended = _end_consents(ctx) + _end_soft(ctx) + _end_pauses(ctx) + _end_requests(ctx) + _forget_refused(ctx)
    return ended + _end_retention(ctx) + _purge(ctx)


def erase_strangers(conn: Connection, now: int, contacts: Collection[int], *, actor: Actor, reason: str) -> int:
    """Erase those of `contacts` who never agreed to anything; runs inside the caller's transaction."""
    return _erase(conn, now, leaving.only_asked(conn, contacts), actor=actor, reason=reason)


def _erase(conn: Connection, now: int, gone: Mapping[int, bytes], *, actor: Actor, reason: str) -> int:
    leaving.erase(conn, gone)
    record(
        conn,
        now,
        *(
            Entry(kind="contact.erased", actor=actor.name, contact=ref, body={"reason": reason})
            for ref in gone.values()
        ),
    )
    return len(gone)


def _end_consents(ctx: Context) -> int:
    def due(now: int) -> Select[Any]:
        return select(consent.c.contact, consent.c.topic, consent.c.text).where(
            consent.c.expires <= now, consent.c.state.in_(["granted", "paused"])
        )

    return _apply(ctx, due, Event.EXPIRED, "the consent's time is over")


def _end_soft(ctx: Context) -> int:
    """What stands on a purchase that carries no mail any more: too long ago, or an officer allows none."""
    with ctx.db.reading() as conn:
        value = policies.value_at(conn, Name.SOFT_OPT_IN, ctx.db.now(conn))

    def due(now: int) -> Select[Any]:
        stands: ColumnElement[bool] = literal_column(
            "consent.state IN ('granted', 'paused')"
        )  # literal, as in the index
        return select(consent.c.contact, consent.c.topic, consent.c.text).where(
            consent.c.soft_from <= too_old(value, now), stands
        )

    act = "the purchase is too long ago" if value["on"] else "mail after a purchase was switched off"
    ended = 0
    for _ in range(_SOFT_SLICES):
        ended += (slice_ended := _apply(ctx, due, Event.EXPIRED, act))
        if slice_ended < _SLICE:
            break
    return ended


def _end_pauses(ctx: Context) -> int:
    def due(now: int) -> Select[Any]:
        return select(consent.c.contact, consent.c.topic, consent.c.text).where(
            consent.c.paused_until <= now, consent.c.state == "paused"
        )

    return _apply(ctx, due, Event.RESUMED, "the pause is over")


def _apply(ctx: Context, due: Any, event: Event, act: str) -> int:
    with ctx.db.reading() as conn:
        if conn.execute(due(ctx.db.now(conn)).limit(1)).first() is None:
            return 0
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        rows = _locked(conn, due(now))
        changes = [
            Change(contact=row.contact, topic=row.topic, event=event, text=row.text, evidence={"act": act})
            for row in rows
        ]
        apply_changes(conn, ctx, now, actor=ENGINE, changes=changes)
        return len(changes)


def _locked(conn: Connection, query: Select[Any]) -> Sequence[Row[Any]]:
    """The due rows whose people we hold the lock of: asked again once locked, for they may have acted meanwhile."""
    rows = conn.execute(query.limit(_SLICE)).all()
    people = set(consents.lock_contacts(conn, (row.contact for row in rows)))
    return conn.execute(query.where(query.selected_columns[0].in_(people)).limit(_SLICE)).all()


def _end_requests(ctx: Context) -> int:
    def due(now: int) -> Select[Any]:
        return select(confirmation.c.contact, confirmation.c.id).where(
            confirmation.c.answered.is_(None),
            confirmation.c.expires <= now,
            confirmation.c.about != "renewal",  # services/re_permission.py ends those, and what they are about
        )

    with ctx.db.reading() as conn:
        if conn.execute(due(ctx.db.now(conn)).limit(1)).first() is None:
            return 0
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        rows = _locked(conn, due(now))
        people = {row.contact for row in rows}
        asked = {(row.contact, row.topic) for row in _asked(conn, [row.id for row in rows])}
        pending = {(row.contact, row.topic) for row in consents.held(conn, people) if row.state == "pending"}
        for row in rows:
            requests.change_confirmation(conn, row.id, answered=now, answer="expired", evidence_box=None)
        changes = [Change(contact=who, topic=topic, event=Event.LAPSED) for who, topic in sorted(asked & pending)]
        apply_changes(conn, ctx, now, actor=ENGINE, changes=changes)
        erase_strangers(conn, now, people, actor=ENGINE, reason="never confirmed")
        return len(rows)


def _forget_refused(ctx: Context) -> int:
    """People who said no are erased when their link stops working; until then it still offers "never again"."""

    def due(now: int) -> Select[Any]:
        return select(confirmation.c.contact, confirmation.c.id).where(
            literal_column("confirmation.answer") == literal_column("'declined'"),  # literal, as in the index
            confirmation.c.evidence_box.is_not(None),
            confirmation.c.expires <= now,
        )

    with ctx.db.reading() as conn:
        if conn.execute(due(ctx.db.now(conn)).limit(1)).first() is None:
            return 0
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        rows = _locked(conn, due(now))
        for row in rows:
            requests.change_confirmation(conn, row.id, evidence_box=None)
        return erase_strangers(conn, now, {row.contact for row in rows}, actor=ENGINE, reason="declined")


def _end_retention(ctx: Context) -> int:
    """Erase people whose proof nobody needs any more. Bars stay: they name nobody.

    A look takes 5,000 ids, chosen by the clock so that nothing needs to be remembered: with 100,000 people everybody's
    turn comes every seven minutes.
    """
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        after, upto = _turn(now, leaving.last_id(conn))
        if not leaving.long_ended(conn, now, after, upto, limit=1):
            return 0
    with ctx.db.transaction() as conn:
        take_planners_turn(conn)  # else a slice planned at this instant would write about people who are gone
        due = leaving.long_ended(conn, ctx.db.now(conn), after, upto, limit=_SLICE)
        consents.lock_contacts(conn, due)
        now = ctx.db.now(conn)
        still = leaving.long_ended(conn, now, after, upto, limit=_SLICE)
        gone = {person: ref for person, ref in still.items() if person in due}
        return _erase(conn, now, gone, actor=ENGINE, reason="retention")


def _turn(now: int, last: int) -> tuple[int, int]:
    """The ids (after, upto] to look at now: one of the parts of 5,000 after the other."""
    part = now // _LOOK_TIME % (last // _LOOK + 1)
    return part * _LOOK, (part + 1) * _LOOK


def _asked(conn: Connection, confirmations: Sequence[int]) -> Sequence[Row[Any]]:
    query: Select[Any] = (
        select(confirmation.c.contact, confirmation_topic.c.topic)
        .join(confirmation_topic, confirmation_topic.c.confirmation == confirmation.c.id)
        .where(confirmation.c.id.in_(confirmations))
    )
    return conn.execute(query).all()


def _purge(ctx: Context) -> int:
    with ctx.db.reading() as conn:
        if not requests.has_old(conn, ctx.db.now(conn)):
            return 0
    with ctx.db.transaction() as conn:
        requests.purge(conn, ctx.db.now(conn))
    return 0
