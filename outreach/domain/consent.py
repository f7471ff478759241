"""The consent machine: (state, event) → state, for one person and one topic, as a table one can read.

Submitting somebody's address is `REQUESTED`: it moves nobody but a stranger. The request itself lives in
`confirmation`, beside the state, so no outsider confirms, un-confirms or revives anyone (PRODUCT.md, promise 8).
"""

from enum import StrEnum

from outreach.domain.errors import ConflictError


class State(StrEnum):
    """Where a person stands with a topic."""

    NONE = "none"
    PENDING = "pending"
    GRANTED = "granted"
    PAUSED = "paused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


class Event(StrEnum):
    """What may happen to a consent. The past tense is the event's name in the log."""

    REQUESTED = "requested"  # a form was submitted, by whomever
    CONFIRMED = "confirmed"  # the owner pressed the button
    DECLINED = "declined"  # the owner said no to the request
    LAPSED = "lapsed"  # nobody answered, and the request was erased
    PAUSED = "paused"
    RESUMED = "resumed"
    LIMITED = "limited"  # the owner set a lower cap of their own
    UNLIMITED = "unlimited"  # … and took it back within the hour, in the browser that acted
    WITHDRAWN = "withdrawn"
    RESTORED = "restored"  # undone within the hour, in the browser that acted
    EXPIRED = "expired"
    IMPORTED = "imported"  # evidenced consent brought from another system
    SOFT = "soft"  # no consent: a purchase or inquiry carries mail while an officer allows it (domain/soft_opt_in.py)
    COMPLAINED = "complained"


GIVING = frozenset({Event.CONFIRMED, Event.IMPORTED, Event.SOFT})
"""Events by which a basis begins, under the promise of a text."""

LIVE = frozenset({State.GRANTED, State.PAUSED})
"""States whose basis still stands; only GRANTED lets mail go."""

_STATES = (State.NONE, State.PENDING, State.GRANTED, State.PAUSED, State.WITHDRAWN, State.EXPIRED)
_TO = {
    "·": None,  # refused
    "non": State.NONE,
    "pen": State.PENDING,
    "gra": State.GRANTED,
    "pau": State.PAUSED,
    "wit": State.WITHDRAWN,
    "exp": State.EXPIRED,
}
# from:             none pending granted paused withdrawn expired
_TABLE = """
    requested       pen  pen     gra     pau    wit       exp
    confirmed       gra  gra     gra     gra    gra       gra
    declined        non  non     gra     pau    wit       exp
    lapsed          non  non     gra     pau    wit       exp
    paused          ·    ·       pau     pau    ·         ·
    resumed         ·    ·       gra     gra    ·         ·
    limited         ·    ·       gra     pau    ·         ·
    unlimited       ·    ·       gra     pau    ·         ·
    withdrawn       non  wit     wit     wit    wit       wit
    restored        ·    ·       ·       ·      old       ·
    expired         non  pen     exp     exp    wit       exp
    imported        gra  gra     ·       ·      ·         ·
    soft            gra  gra     gra     pau    ·         gra
    complained      wit  wit     wit     wit    wit       wit
"""


def _read(table: str) -> dict[tuple[State, Event], str]:
    rows = [line.split() for line in table.strip().splitlines()]
    return {(state, Event(row[0])): cell for row in rows for state, cell in zip(_STATES, row[1:], strict=True)}


_NEXT = _read(_TABLE)


def transition(state: State, event: Event, before: State | None = None) -> State:
    """The state after `event`. `before`: for RESTORED, the state the withdrawal ended.

    Raises ConflictError where the event makes no sense. Withdrawing and complaining are never refused.
    """
    cell = _NEXT[state, event]
    after = (before if before in LIVE else None) if cell == "old" else _TO[cell]
    if after is None:
        raise ConflictError(f"This consent is {state.value}, so it cannot be {event.value}. Nothing was changed.")
    return after
