"""The one way a consent changes: transition, row, append-only event with boxed evidence, and audit entry, together."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.engine import Row

from outreach.domain.actors import Actor
from outreach.domain.consent import GIVING, LIVE, Event, State, transition
from outreach.domain.errors import ConflictError
from outreach.domain.policies import Name, Value
from outreach.domain.soft_opt_in import Soft
from outreach.services.context import Context
from outreach.store import consents as store
from outreach.store import policies
from outreach.store.audit import Entry, record
from outreach.store.boxes import ContactKeys

_DAY = 86_400_000_000
_ALWAYS_WRITTEN = frozenset({Event.CONFIRMED, Event.SOFT, Event.PAUSED, Event.LIMITED, Event.UNLIMITED})
"""Events that carry something new even where the state stays what it was."""


@dataclass(frozen=True, kw_only=True)
class Change:
    """One event for one person and topic. `contact`, `topic`, `text`: inside ids; instants in UTC microseconds.

    `agreed`: when an imported consent was given, from which it expires. `before`: the state to restore.
    `own`: (n, seconds) of the person's own cap, for LIMITED and UNLIMITED. `soft`: what it stands on, for SOFT.
    """

    contact: int
    topic: int
    event: Event
    text: int | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)
    message_ref: bytes | None = None
    paused_until: int | None = None
    agreed: int | None = None
    before: State | None = None
    own: tuple[int, int] | None = None
    soft: Soft | None = None


def apply_event(
    conn: Connection,
    ctx: Context,
    now: int,
    *,
    actor: Actor,
    contact_id: int,
    topic_id: int,
    event: Event,
    text_id: int | None = None,
    evidence: Mapping[str, Any] | None = None,
    message_ref: bytes | None = None,
) -> State:
    """Apply one event; see `apply_changes`."""
    change = Change(
        contact=contact_id,
        topic=topic_id,
        event=event,
        text=text_id,
        evidence=evidence or {},
        message_ref=message_ref,
    )
    return apply_changes(conn, ctx, now, actor=actor, changes=[change])[0].state


@dataclass(frozen=True)
class Applied:
    """What became of a change: the state after it, and the ref of the event that tells of it, if one was written."""

    state: State
    event: bytes | None


@dataclass(frozen=True)
class Held:
    """What the caller holds already. `refs`: of the contacts, locked in this transaction; `rows`: all their consents,
    read since; `keys`: theirs; `topics`: id → `ref` and `expires_days`; `rules`: those of `GIVEN_UNDER`.
    """

    refs: Mapping[int, bytes]
    rows: Sequence[store.Held] | None = None
    keys: ContactKeys | None = None
    topics: Mapping[int, Row[Any]] | None = None
    rules: Mapping[Name, Value] | None = None


GIVEN_UNDER = (Name.EXPIRY, Name.CAP_TOTAL)
"""The policies that say how long a consent lives and what ceiling its owner is shown."""


def apply_changes(
    conn: Connection,
    ctx: Context,
    now: int,
    *,
    actor: Actor,
    changes: Sequence[Change],
    keys: ContactKeys | None = None,
    held: Held | None = None,
    entries: Sequence[Entry] = (),
) -> list[Applied]:
    """Apply at most one change per person and topic, inside the caller's transaction. Returns what became of each.

    `keys`, `held`: what the caller holds already, not to be read again. Else locks the contacts first. `entries`: what
    else the log is told, after the changes. Where an event changes nothing (a second withdrawal) no more is written.
    Raises ConflictError where the consent machine refuses,
    before anything is written.
    """
    if not changes:
        record(conn, now, *entries)
        return []
    refs = held.refs if held else store.lock_contacts(conn, (change.contact for change in changes))
    found = held.rows if held else None
    if found is None:
        found = store.held(conn, list(refs), {change.topic for change in changes})
    rows = {(row.contact, row.topic): row for row in found}
    texts = store.texts(conn, (change.text for change in changes if change.text is not None))
    topics = held.topics if held else None
    if topics is None:
        topics = store.topics(conn, (change.topic for change in changes))
    keys = keys or (held.keys if held else None) or ContactKeys(ctx.keyring, conn)
    keys.load(change.contact for change in changes)
    rules = held.rules if held else None
    if rules is None:
        rules = policies.values_at(conn, now, *GIVEN_UNDER) if _gives(changes) else {}
    longest: int | None = rules[Name.EXPIRY]["most_days"] if rules else None
    steps = [
        _Step(change, rows.get((change.contact, change.topic)), texts, topics[change.topic], longest)
        for change in changes
    ]
    written = [step for step in steps if step.is_written]
    fresh = [step.columns(now) for step in written if step.row is None and step.after != State.NONE]
    store.write(conn, fresh, [step.columns(now) for step in written if step.row is not None])
    store.add_events(conn, [step.event(now, keys) for step in written])
    record(conn, now, *(step.entry(now, actor, refs) for step in written), *entries)
    if people := sorted({change.contact for change in changes if change.event == Event.CONFIRMED}):
        store.set_ceiling(conn, people, store.tightest(rules[Name.CAP_TOTAL]))
    return [Applied(step.after, step.ref if step.is_written else None) for step in steps]


def _gives(changes: Iterable[Change]) -> bool:
    return any(change.event in GIVING for change in changes)


_HELD = LIVE | {State.EXPIRED}


class _Step:
    """One change against the row it meets."""

    def __init__(
        self,
        change: Change,
        row: store.Held | None,
        texts: dict[int, Row[Any]],
        topic: Row[Any],
        longest_days: int | None,
    ) -> None:
        self.change, self.row, self.topic, self.longest_days = change, row, topic, longest_days
        self.ref = secrets.token_bytes(16)
        self.before = State(row.state) if row else State.NONE
        self.after = transition(self.before, change.event, change.before)
        self.text = texts[change.text] if change.text is not None else None
        self.is_written = self.before != self.after or change.event in _ALWAYS_WRITTEN
        if (change.event == Event.SOFT) != (change.soft is not None):
            raise ValueError("a soft opt-in stands on something, and nothing else does")
        if change.event == Event.SOFT and row is not None and row.soft_from is None and self.before in _HELD:
            raise ConflictError("A purchase takes the place of no consent. Nothing was changed.")

    def columns(self, now: int) -> dict[str, Any]:
        """What the consent row becomes."""
        change = self.change
        values: dict[str, Any] = {"contact": change.contact, "topic": change.topic, "state": self.after.value}
        if self.before != self.after:
            values["since"] = now
        if change.event in {Event.LIMITED, Event.UNLIMITED}:
            values["own_n"], values["own_window"] = change.own or (None, None)
        elif self.after == State.PAUSED:
            if change.event == Event.PAUSED:
                values["paused_until"] = change.paused_until
        elif self.after == State.GRANTED:
            values["paused_until"] = None
        if change.event in GIVING:
            values |= self._promise(now)
        elif self.row is None:
            values |= {"text": None if self.text is None else self.text.id}
        if change.event == Event.EXPIRED:
            values["expires"] = None
        return values

    def _promise(self, now: int) -> dict[str, Any]:
        """The promise of the agreed text, copied. A new start forgets the person's own cap; agreeing again keeps it."""
        if self.text is None:
            raise ValueError("a consent is given to a text")
        values: dict[str, Any] = {
            "since": now,
            "text": self.text.id,
            "cap_n": self.text.cap_n,
            "cap_window": self.text.cap_window,
            "ratio_k": self.text.ratio_k,
            "kinds": self.text.kinds,
            "expires": self._expires(now),
            "soft_from": self.change.soft.at if self.change.soft else None,
        }
        if self.before not in {State.GRANTED, State.PAUSED}:
            values |= {"own_n": None, "own_window": None}
        return values

    def _expires(self, now: int) -> int | None:
        soft = self.change.soft
        began = soft.at if soft else now if self.change.agreed is None else self.change.agreed
        lives = (self.topic.expires_days, self.longest_days)
        ends = [began + days * _DAY for days in lives if days is not None]
        return min([*ends, soft.ends] if soft else ends, default=None)

    def event(self, now: int, keys: ContactKeys) -> dict[str, Any]:
        """The append-only event."""
        change = self.change
        return {
            "ref": self.ref,
            "contact": change.contact,
            "topic": change.topic,
            "at": now,
            "event": change.event.value,
            "from_state": self.before.value,
            "to_state": self.after.value,
            "text": change.text,
            "message_ref": change.message_ref,
            "evidence_box": keys.seal(change.contact, change.evidence) if change.evidence else None,
        }

    def entry(self, now: int, actor: Actor, refs: Mapping[int, bytes]) -> Entry:
        """What the log says of it."""
        return Entry(
            kind=f"consent.{self.change.event.value}",
            actor=actor.name,
            contact=refs[self.change.contact],
            topic=self.topic.ref,
            message=self.change.message_ref,
            body={
                "from": self.before.value,
                "to": self.after.value,
                "event": self.ref.hex(),
                "text": None if self.text is None else self.text.ref.hex(),
                **self._limits(now),
            },
        )

    def _limits(self, now: int) -> dict[str, Any]:
        """What the log must say beside the states, so that all that binds us follows from it: the person's own cap, the
        end of a pause and of a consent.
        """
        change = self.change
        if change.event in {Event.LIMITED, Event.UNLIMITED}:
            return {"own": None if change.own is None else list(change.own)}
        if change.event == Event.PAUSED:
            return {"until": change.paused_until}
        if change.soft is not None:
            ground = {"ground": str(change.soft.ground), "dated": change.soft.at}
            return {**ground, "expires": self._expires(now)}
        if change.event in GIVING and self._expires(now) is not None:
            return {"expires": self._expires(now)}
        return {}
