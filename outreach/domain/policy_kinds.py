"""What a policy is made of, and the policies about what comes back, asking again, and other bases than consent.

For `domain/policies.py`, which names them all. A value is a JSON object.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from outreach.domain.errors import InvalidInputError

Value = Mapping[str, Any]
Change = Callable[[Value, Value], bool]

MOST_SOFT_MONTHS = 24
"""So long a purchase may carry mail; two years is what CASL allows (s. 10(10)(a)), where other laws name no end."""
INQUIRY_MONTHS = 6
"""So long an inquiry may (CASL s. 10(10)(e)), whatever the policy says."""


@dataclass(frozen=True)
class Kind:
    """`check` raises InvalidInputError naming a field; `loosens(before, after)`; `default` is what the product brings.

    `tells`: whether people we write to are affected by a change that loosens.
    """

    default: Value
    check: Callable[[Value], Value]
    loosens: Change
    tells: bool = True


def refuse(words: str, field: str) -> InvalidInputError:
    """The error of a value that is out of bounds."""
    return InvalidInputError(f"{words} Nothing was changed.", field)


def is_number(value: object, least: int, most: int) -> bool:
    """Whether it is a whole number within bounds."""
    return type(value) is int and least <= value <= most


def is_more(key: str) -> Change:
    """Loosens where `key` grows; None is without end."""

    def more(before: Value, after: Value) -> bool:
        if before[key] is None:
            return False
        return after[key] is None or after[key] > before[key]

    return more


def is_less(key: str) -> Change:
    """Loosens where `key` shrinks."""
    return lambda before, after: bool(after[key] < before[key])


def any_of(*changes: Change) -> Change:
    """Loosens where one of them does."""
    return lambda before, after: any(change(before, after) for change in changes)


def _check_bounces(value: Value) -> Value:
    bounds = (
        ("hard", 5, "A mailbox is barred after 1 to 5 hard bounces."),
        ("soft", 20, "A mailbox rests after 1 to 20 soft bounces in a row."),
        ("rest_days", 90, "A rest is 1 to 90 days."),
    )
    return _numbers(value, *((field, 1, most, words) for field, most, words in bounds))


def _check_lines(value: Value) -> Value:
    return _numbers(
        value,
        ("complaints", 1, 100, "Give 1 to 100 complaints in 10,000 mails; providers begin to refuse at 30."),
        ("bounces", 1, 2000, "Give 1 to 2,000 bounces in 10,000 mails."),
        ("least", 1, 100_000, "A campaign is judged from 1 to 100,000 mails on."),
    )


def _check_replies(value: Value) -> Value:
    found = _numbers(
        value,
        ("most", 0, 1000, "0 to 1,000 replies may wait for an answer."),
        ("days", 1, 90, "A reply may wait 1 to 90 days."),
    )
    return {**found, "blocks": bool(value.get("blocks"))}


def _check_re_permission(value: Value) -> Value:
    found = _numbers(value, ("days_before", 1, 180, "People are asked 1 to 180 days before their consent ends."))
    silent = value.get("silent_days")
    if silent is not None and not is_number(silent, 90, 3660):
        raise refuse("Silence is 90 to 3,660 days, or leave this empty.", "silent_days")
    return {"on": bool(value.get("on")), **found, "silent_days": silent}


def _check_soft(value: Value) -> Value:
    words = f"It lives for 1 to {MOST_SOFT_MONTHS} months after the purchase."
    return {"on": bool(value.get("on")), **_numbers(value, ("months", 1, MOST_SOFT_MONTHS, words))}


def _numbers(value: Value, *bounds: tuple[str, int, int, str]) -> dict[str, Any]:
    for field, least, most, words in bounds:
        if not is_number(value.get(field), least, most):
            raise refuse(words, field)
    return {field: value[field] for field, *_ in bounds}


def _is_switched_on(before: Value, after: Value) -> bool:
    return bool(after["on"] and not before["on"])


def _while_on(change: Change) -> Change:
    """What is switched off lets nobody get anything, whatever else it says."""
    return lambda before, after: bool(after["on"]) and change(before, after)


def _is_silence_shorter(before: Value, after: Value) -> bool:
    old, new = before["silent_days"], after["silent_days"]
    return new is not None and (old is None or new < old)


def _is_unblocked(before: Value, after: Value) -> bool:
    return bool(before["blocks"] and not after["blocks"])


# Of these three nobody needs to be told: they say when we stop by ourselves, and promise nothing to anybody.
BOUNCES = Kind(
    {"hard": 1, "soft": 5, "rest_days": 7},
    _check_bounces,
    any_of(is_more("hard"), is_more("soft"), is_less("rest_days")),
    tells=False,
)
LINES = Kind(
    {"complaints": 30, "bounces": 500, "least": 200},
    _check_lines,
    any_of(is_more("complaints"), is_more("bounces"), is_more("least")),
    tells=False,
)
REPLIES = Kind(
    {"most": 5, "days": 7, "blocks": False},
    _check_replies,
    any_of(is_more("most"), is_more("days"), _is_unblocked),
    tells=False,
)
RE_PERMISSION = Kind(
    {"on": False, "days_before": 30, "silent_days": None},
    _check_re_permission,
    _while_on(any_of(_is_switched_on, is_more("days_before"), _is_silence_shorter)),
)
SOFT_OPT_IN = Kind(
    {"on": False, "months": MOST_SOFT_MONTHS}, _check_soft, _while_on(any_of(_is_switched_on, is_more("months")))
)
