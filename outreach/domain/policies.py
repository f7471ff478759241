"""What an officer may set, what each value must look like, and whether a change lets people get more than before.

A value is a JSON object. Whatever a policy says, nobody gets more than the text they agreed to promises (promise 4).
"""

from collections.abc import Iterable
from enum import StrEnum

from outreach.domain import policy_kinds as kinds
from outreach.domain.frequency import Cap
from outreach.domain.invitation import Policy
from outreach.domain.policy_kinds import Kind, is_less, is_more, is_number, refuse

Value = kinds.Value

MOST_CAPS = 3
DAY_SECONDS = 86_400
MOST_DAYS = 3660
_LONGEST_WINDOW = 366 * DAY_SECONDS
_MINUTES = 24 * 60


class Name(StrEnum):
    """The policies there are."""

    CAP_PROMOTIONAL = "cap-promotional"
    CAP_TOTAL = "cap-total"
    QUIET_HOURS = "quiet-hours"
    GIVE_RATIO = "give-ratio"
    RETENTION = "retention"
    EXPIRY = "expiry"
    INVITATIONS = "invitations"
    APPROVALS = "approvals"
    NOTICE = "notice"
    BOUNCES = "bounces"
    LINES = "lines"
    REPLIES = "replies"
    RE_PERMISSION = "re-permission"
    SOFT_OPT_IN = "soft-opt-in"


CAPS = {Name.CAP_PROMOTIONAL: "promotional", Name.CAP_TOTAL: "total"}
"""Policies that are caps, by what they count."""


def defaults(name: Name) -> Value:
    """What holds while no officer has set anything."""
    return _KINDS[name].default


def checked(name: Name, value: Value) -> Value:
    """The value as it is kept. Raises InvalidInputError naming the field that is out of bounds."""
    return _KINDS[name].check(value)


def loosens(name: Name, before: Value, after: Value) -> bool:
    """Whether anybody could get more under `after`: more mail, sooner, longer kept, or with fewer people asked."""
    return _KINDS[name].loosens(before, after)


def is_told(name: Name) -> bool:
    """Whether people we write to must be told before this policy is loosened."""
    return _KINDS[name].tells


def caps_of(value: Value) -> tuple[Cap, ...]:
    """The caps of a cap policy."""
    return tuple(Cap(n, window) for n, window in value["caps"])


def of_caps(*caps: tuple[int, int]) -> Value:
    """A cap policy's value from (n, seconds) pairs."""
    return {"caps": [list(one) for one in caps]}


def inviting(value: Value) -> Policy:
    """The rules of inviting."""
    return Policy(
        by_mail=bool(value["by_mail"]),
        a_day=value["a_day"],
        a_month=value["a_month"],
        recipient=Cap(value["recipient_n"], value["recipient_window"]),
        keep_days=value["keep_days"],
    )


def of_inviting(policy: Policy) -> Value:
    """The value of the rules of inviting."""
    return {
        "by_mail": policy.by_mail,
        "a_day": policy.a_day,
        "a_month": policy.a_month,
        "recipient_n": policy.recipient.n,
        "recipient_window": policy.recipient.window,
        "keep_days": policy.keep_days,
    }


def _check_caps(value: Value) -> Value:
    caps = [tuple(one) for one in value.get("caps", ())]
    if len(caps) > MOST_CAPS:
        raise refuse(f"There are at most {MOST_CAPS} caps of a kind.", "caps")
    for n, window in caps:
        if not is_number(n, 0, 1000) or not is_number(window, 3600, _LONGEST_WINDOW):
            raise refuse("A cap is 0 to 1,000 mails in a window of an hour to a year.", "caps")
    return of_caps(*sorted(set(caps), key=lambda one: (one[1], one[0])))


def _check_total(value: Value) -> Value:
    found = _check_caps(value)
    if not found["caps"]:
        raise refuse("There is always a total ceiling.", "caps")
    return found


def _is_implied(cap: Cap, by: Iterable[Cap]) -> bool:
    """Whether another cap keeps this one: its window, laid end to end over this one's, never holds more."""
    return any(other.n * -(-cap.window // other.window) <= cap.n for other in by)


def _caps_loosen(before: Value, after: Value) -> bool:
    return not all(_is_implied(cap, caps_of(after)) for cap in caps_of(before))


def _check_quiet(value: Value) -> Value:
    for field in ("from", "to"):
        if not is_number(value.get(field), 0, _MINUTES - 1):
            raise refuse("Give a time of day.", field)
    return {"from": value["from"], "to": value["to"]}


def _quiet_minutes(value: Value) -> set[int]:
    start, end = value["from"], value["to"]
    return {(start + minute) % _MINUTES for minute in range((end - start) % _MINUTES)}


def _quiet_loosens(before: Value, after: Value) -> bool:
    return not _quiet_minutes(before) <= _quiet_minutes(after)


def _check_ratio(value: Value) -> Value:
    if not is_number(value.get("least"), 0, 100):
        raise refuse("Ask for 0 to 100 useful mails for each offer.", "least")
    return {"least": value["least"]}


def _check_retention(value: Value) -> Value:
    if not is_number(value.get("most_days"), 1, MOST_DAYS):
        raise refuse(f"Proof is kept for 1 to {MOST_DAYS:,} days at most.", "most_days")
    return {"most_days": value["most_days"]}


def _check_expiry(value: Value) -> Value:
    most = value.get("most_days")
    if most is not None and not is_number(most, 1, MOST_DAYS):
        raise refuse(f"A consent lives for 1 to {MOST_DAYS:,} days at most, or leave this empty.", "most_days")
    return {"most_days": most}


def _check_inviting(value: Value) -> Value:
    policy = inviting(value)
    days, rest = divmod(policy.recipient.window, DAY_SECONDS)
    bounds = (
        ("a_day", 1 <= policy.a_day <= 50, "A member may make 1 to 50 invitations in 24 hours."),
        (
            "a_month",
            policy.a_day <= policy.a_month <= 200,
            "In 30 days a member may make at least as many as in 24 hours, and at most 200.",
        ),
        ("recipient_n", 0 <= policy.recipient.n <= 20, "One mailbox may get 0 to 20 invitations."),
        ("recipient_days", 1 <= days <= 366 and not rest, "The window is 1 to 366 whole days."),
        ("keep_days", 1 <= policy.keep_days <= 60, "An unanswered address is kept 1 to 60 days."),
    )
    for field, holds, words in bounds:
        if not holds:
            raise refuse(words, field)
    return of_inviting(policy)


def _inviting_loosens(before: Value, after: Value) -> bool:
    old, new = inviting(before), inviting(after)
    more = (new.by_mail and not old.by_mail, new.a_day > old.a_day, new.a_month > old.a_month)
    return any(more) or new.keep_days > old.keep_days or not _is_implied(old.recipient, [new.recipient])


def _check_approvals(value: Value) -> Value:
    over = value.get("campaign_over")
    if over is not None and not is_number(over, 0, 100_000_000):
        raise refuse("Give the number of people a campaign may reach on one person's word, or leave it.", "over")
    return {"campaign_over": over, **{part: bool(value.get(part)) for part in ("reveals", "policies")}}


def _approvals_loosen(before: Value, after: Value) -> bool:
    old, new = before["campaign_over"], after["campaign_over"]
    fewer = old is not None and (new is None or new > old)
    return fewer or any(before[part] and not after[part] for part in ("reveals", "policies"))


def _check_notice(value: Value) -> Value:
    if not is_number(value.get("days"), 1, 90):
        raise refuse("People are told 1 to 90 days before.", "days")
    return {"days": value["days"]}


_KINDS: dict[Name, Kind] = {
    Name.CAP_PROMOTIONAL: Kind(of_caps(), _check_caps, _caps_loosen),
    Name.CAP_TOTAL: Kind(of_caps((4, 7 * DAY_SECONDS)), _check_total, _caps_loosen),
    Name.QUIET_HOURS: Kind({"from": 21 * 60, "to": 8 * 60}, _check_quiet, _quiet_loosens),
    Name.GIVE_RATIO: Kind({"least": 0}, _check_ratio, is_less("least")),
    Name.RETENTION: Kind({"most_days": MOST_DAYS}, _check_retention, is_more("most_days")),
    # Counts for consents given from then on, under the words shown then: nobody we write to gets another deal.
    Name.EXPIRY: Kind({"most_days": None}, _check_expiry, is_more("most_days"), tells=False),
    Name.INVITATIONS: Kind(of_inviting(Policy()), _check_inviting, _inviting_loosens),
    Name.APPROVALS: Kind(
        {"campaign_over": None, "reveals": False, "policies": False}, _check_approvals, _approvals_loosen, tells=False
    ),
    Name.NOTICE: Kind({"days": 14}, _check_notice, is_less("days")),
    Name.BOUNCES: kinds.BOUNCES,
    Name.LINES: kinds.LINES,
    Name.REPLIES: kinds.REPLIES,
    Name.RE_PERMISSION: kinds.RE_PERMISSION,
    Name.SOFT_OPT_IN: kinds.SOFT_OPT_IN,
}
