"""The life of a message: (state, event) → state, which states reserve a place under a cap, and which are final.

waiting ─release→ planned ──attempt→ attempted ─accept→ sent ←────find─┐
   │                 ↑ │                   ├─reject→ failed ←─miss─┤
   └─withhold→ withheld←┘                  ├─lose→ unknown ────────┘
                     └──put_back, defer────┘
"""

from enum import StrEnum

from outreach.domain.errors import ConflictError


class MessageState(StrEnum):
    """`waiting` means "send later" and reserves nothing; `planned` holds a place until it is settled."""

    WAITING = "waiting"
    PLANNED = "planned"
    ATTEMPTED = "attempted"
    SENT = "sent"
    WITHHELD = "withheld"
    FAILED = "failed"
    UNKNOWN = "unknown"


class MessageEvent(StrEnum):
    """What can happen to a message. `lose`: the final dot went out and no reply came back.

    `find`, `miss`: an officer says of a lost one that it arrived, or did not. Nothing sends it again.
    """

    RELEASE = "release"
    WITHHOLD = "withhold"
    ATTEMPT = "attempt"
    PUT_BACK = "put_back"
    DEFER = "defer"
    ACCEPT = "accept"
    REJECT = "reject"
    LOSE = "lose"
    FIND = "find"
    MISS = "miss"


_S, _E = MessageState, MessageEvent
TRANSITIONS: dict[tuple[MessageState, MessageEvent], MessageState] = {
    (_S.WAITING, _E.RELEASE): _S.PLANNED,
    (_S.WAITING, _E.WITHHOLD): _S.WITHHELD,
    (_S.PLANNED, _E.ATTEMPT): _S.ATTEMPTED,
    (_S.PLANNED, _E.WITHHOLD): _S.WITHHELD,
    (_S.ATTEMPTED, _E.ACCEPT): _S.SENT,
    (_S.ATTEMPTED, _E.REJECT): _S.FAILED,
    (_S.ATTEMPTED, _E.LOSE): _S.UNKNOWN,
    (_S.ATTEMPTED, _E.DEFER): _S.PLANNED,
    (_S.ATTEMPTED, _E.PUT_BACK): _S.PLANNED,
    (_S.UNKNOWN, _E.FIND): _S.SENT,
    (_S.UNKNOWN, _E.MISS): _S.FAILED,
}
RESERVING = frozenset({_S.PLANNED, _S.ATTEMPTED})
FINAL = frozenset({_S.SENT, _S.WITHHELD, _S.FAILED, _S.UNKNOWN})
COUNTED = RESERVING | {_S.SENT, _S.UNKNOWN}
"""States that take a place under a cap, now or over their window."""

_RETRY_MINUTES = (30, 60, 120, 240, 480)
GIVE_UP_AFTER = 5 * 86_400_000_000
"""Microseconds after the first attempt (RFC 5321 §4.5.4.1: at least 4 to 5 days)."""


def move(state: MessageState, event: MessageEvent) -> MessageState:
    """The next state. Raises ConflictError when the event cannot happen to a message in this state."""
    try:
        return TRANSITIONS[state, event]
    except KeyError:
        raise ConflictError(f"A {state} message cannot {event}.") from None


def retry_delay(attempts: int, *, reached: bool) -> int:
    """Microseconds until the next try after `attempts` deferred ones.

    RFC 5321 §4.5.4.1: at least 30 minutes after a server's 4xx. A relay that could not be reached at all (`reached`
    false) has refused nobody, and is tried again after a minute, then more slowly.
    """
    if not reached:
        return min(attempts, 10) * 60_000_000
    return _RETRY_MINUTES[min(attempts, len(_RETRY_MINUTES)) - 1] * 60_000_000
