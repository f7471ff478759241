"""What a person presses in their own room about their topics: stop, pause, go on, a cap of their own, and back again.

Each press is consent events and entries like any other (`services/consents.apply_changes`), counts for the very next
mail, and returns what it was before, so that the page can offer the way back. Nothing here goes above the promise of
the text a person agreed to; more than that needs a new consent.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, select

from outreach.domain.actors import OWNER
from outreach.domain.consent import LIVE, Event, State
from outreach.domain.errors import ConflictError, NotFoundError
from outreach.domain.frequency import Cap
from outreach.domain.own_limits import check_lower
from outreach.domain.tokens import Purpose
from outreach.services.confirm import Client, close_declined
from outreach.services.consents import Change, apply_changes
from outreach.services.context import Context
from outreach.services.lowered import lock_mailbox, withhold_surplus
from outreach.services.rights.way_in import owner_of
from outreach.services.room.topics import can_restore
from outreach.store import address_moves
from outreach.store import room as store
from outreach.store.contacts import Person
from outreach.store.schema.consents import confirmation


class Act(StrEnum):
    """What a button does to a topic."""

    STOP = "stop"
    PAUSE = "pause"
    RESUME = "resume"
    CAP = "cap"
    RESTORE = "restore"


@dataclass(frozen=True)
class Press:
    """One press. `until`: for PAUSE, when it ends (UTC microseconds); `cap`: for CAP, the person's own, or None to go
    back to the promise.
    """

    act: Act
    until: int | None = None
    cap: Cap | None = None


@dataclass(frozen=True)
class Was:
    """Where a topic stood before a press: what the way back puts back."""

    topic: bytes
    title: str
    state: str
    paused_until: int | None
    own: Cap | None


def press(ctx: Context, token: str, topics: Collection[bytes] | None, wanted: Press, client: Client) -> tuple[Was, ...]:
    """Do it to these topics (refs), or to every one it fits. Returns those that changed, as they were; twice is once.

    STOP of everything also answers every open question with no. Raises TokenError, TokenExpiredError, NotFoundError for
    a topic the person never agreed to, InvalidInputError for a cap above a promise, and ConflictError where one topic
    is named that the press does not fit.
    """
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        person = owner_of(conn, ctx, now, token, lock=lock_mailbox)
        last = store.last_events(conn, person.id) if wanted.act is Act.RESTORE else {}
        chosen = _choose(store.standings(conn, person.id), topics, wanted, last, now)
        told = _evidence(ctx, now, token, wanted, client)
        changes = [_change(row, wanted, told, last.get(row.topic)) for row in chosen]
        apply_changes(conn, ctx, now, actor=OWNER, changes=changes)
        if wanted.act is Act.CAP and wanted.cap is not None:
            for row in chosen:
                withhold_surplus(conn, now, person, row.topic, wanted.cap)
        if wanted.act is Act.STOP and topics is None:
            _answer_no(conn, ctx, now, person)
            address_moves.refuse_at(conn, now, person.id, None)
        return tuple(Was(row.ref, row.title, row.state, row.paused_until, _own(row)) for row in chosen)


def _choose(
    rows: Sequence[Any], topics: Collection[bytes] | None, wanted: Press, last: Mapping[int, Any], now: int
) -> list[Any]:
    """The rows a press changes, of those named. Raises NotFoundError, ConflictError, InvalidInputError as `press`."""
    if topics is None:  # a pause that runs already is left as it is
        of_all = [row for row in rows if wanted.act is not Act.PAUSE or row.state == State.GRANTED]
        return [row for row in of_all if _fits(row, wanted, None, now)]
    named = [row for row in rows if row.ref in topics]
    if len(named) < len(set(topics)):
        raise NotFoundError("There is no such topic here.")
    chosen = [row for row in named if _fits(row, wanted, last.get(row.topic), now)]
    if len(named) == 1 and not chosen and not _is_so_already(named[0], wanted):
        raise ConflictError("Things have changed meanwhile, so this no longer fits. Nothing was changed.")
    return chosen


def _fits(row: Any, wanted: Press, last: Any, now: int) -> bool:
    """Whether the press changes anything about a topic. Raises InvalidInputError for a cap above its promise."""
    if wanted.act is Act.STOP:
        return row.state not in {State.WITHDRAWN, State.EXPIRED}
    if wanted.act is Act.RESTORE:
        return can_restore(row, last, now)
    if row.state not in LIVE:
        return False
    if wanted.act is Act.RESUME:
        return bool(row.state == State.PAUSED)
    if wanted.act is Act.PAUSE:
        return wanted.until is not None and wanted.until > now and row.paused_until != wanted.until
    if wanted.cap is not None:
        check_lower(wanted.cap, [Cap(row.cap_n, row.cap_window)])
    return _own(row) != wanted.cap


def _is_so_already(row: Any, wanted: Press) -> bool:
    """Whether a topic stands as the press wants it: pressing twice is pressing once."""
    wished = {Act.STOP: {State.WITHDRAWN, State.EXPIRED}, Act.RESUME: {State.GRANTED}, Act.RESTORE: LIVE}
    if wanted.act in wished:
        return row.state in wished[wanted.act]
    return bool(row.state in LIVE)


def _change(row: Any, wanted: Press, told: Mapping[str, Any], last: Any) -> Change:
    events = {
        Act.STOP: Event.WITHDRAWN,
        Act.PAUSE: Event.PAUSED,
        Act.RESUME: Event.RESUMED,
        Act.RESTORE: Event.RESTORED,
        Act.CAP: Event.UNLIMITED if wanted.cap is None else Event.LIMITED,
    }
    own = _own(row)
    return Change(
        contact=row.contact,
        topic=row.topic,
        event=events[wanted.act],
        text=row.text,
        evidence={**told, "own_before": None if own is None else [own.n, own.window]},
        paused_until=wanted.until,
        before=State(last.from_state) if wanted.act is Act.RESTORE else None,
        own=None if wanted.cap is None else (wanted.cap.n, wanted.cap.window),
    )


_SAID = {
    Act.STOP: "pressed “Stop” in their own room",
    Act.PAUSE: "pressed “Pause” in their own room",
    Act.RESUME: "pressed “Go on” in their own room",
    Act.CAP: "chose how many in their own room",
    Act.RESTORE: "took back a stop in their own room",
}


def _evidence(ctx: Context, now: int, token: str, wanted: Press, client: Client) -> dict[str, Any]:
    read = ctx.tokens.read(Purpose.RIGHTS, token, now)
    link = {"purpose": read.purpose.value, "ref": read.ref.hex(), "issued": read.issued, "key": read.key}
    return {"act": _SAID[wanted.act], "token": link, "ip": client.ip, "browser": client.browser[:500]}


def _own(row: Any) -> Cap | None:
    return None if row.own_n is None else Cap(row.own_n, row.own_window)


def _answer_no(conn: Connection, ctx: Context, now: int, person: Person) -> None:
    open_ = select(confirmation).where(
        confirmation.c.contact == person.id, confirmation.c.about == "topics", confirmation.c.answered.is_(None)
    )
    for question in conn.execute(open_.with_for_update()).all():
        close_declined(conn, ctx, now, question)
