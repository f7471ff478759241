"""Whether one campaign mail may go to one person now: facts in, a typed decision with its reason out.

Bars, then consent, then rest, then frequency, then the hour; the first that says no is the reason, and a missing fact
is a no.
The same rule stands as SQL in `store/decide.py`; a property test holds the two to the same answer.
"""

from dataclasses import dataclass
from enum import StrEnum

from outreach.domain.frequency import Cap, Past, allows, gives_enough, quiet_until
from outreach.domain.soft_opt_in import FOR_EVER


class Reason(StrEnum):
    """Why a message is withheld."""

    ERASED = "erased"
    DECEASED = "deceased"
    NEVER = "never"
    RESTRICTED = "restricted"
    COMPLAINT = "complaint"
    IMPORTED = "imported"
    BOUNCE = "bounce"
    NO_CONSENT = "no_consent"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    PAUSED = "paused"
    KIND = "kind"
    RESTING = "resting"
    CAP_PROMISE = "cap_promise"
    CAP_OWN = "cap_own"
    CAP_TOTAL = "cap_total"
    CAP_PROMOTIONAL = "cap_promotional"
    RATIO = "ratio"
    SAME_MAILBOX = "same_mailbox"
    CANCELLED = "cancelled"
    REQUEST_ENDED = "request_ended"
    BUDGET = "budget"
    STAFF_ENDED = "staff_ended"
    OWN_ADDRESS = "own_address"
    INVITED_BEFORE = "invited_before"
    CONNECTED = "connected"
    CAP_INVITATIONS = "cap_invitations"
    INVITER_STOPPED = "inviter_stopped"
    INVITATION_ENDED = "invitation_ended"
    CONVERSATION_ENDED = "conversation_ended"
    CONNECTION_ENDED = "connection_ended"
    MUTED = "muted"
    HELD_SETTLED = "held_settled"


BARS = (
    Reason.ERASED,
    Reason.DECEASED,
    Reason.NEVER,
    Reason.RESTRICTED,
    Reason.COMPLAINT,
    Reason.IMPORTED,
    Reason.BOUNCE,
)
"""Suppressions, strongest first: the order in which they are named."""

GATES = frozenset(
    {Reason.RESTING, Reason.CAP_PROMISE, Reason.CAP_OWN, Reason.CAP_TOTAL, Reason.CAP_PROMOTIONAL, Reason.RATIO}
)
"""Reasons that time may lift: with "send later" the message waits instead."""

ASKED_NOT_TO = frozenset(
    {
        Reason.ERASED,
        Reason.DECEASED,
        Reason.NEVER,
        Reason.RESTRICTED,
        Reason.COMPLAINT,
        Reason.IMPORTED,
        Reason.WITHDRAWN,
    }
)
"""Reasons a marketer reads as one: which of them it was is the person's own business (promise 9)."""


@dataclass(frozen=True)
class Consented:
    """A person's consent for the topic: its state and the promise in the text they agreed to.

    `soft_from`: of the purchase or inquiry it stands on, where it is none (domain/soft_opt_in.py); UTC microseconds.
    """

    state: str
    expires: int | None
    kinds: frozenset[str]
    promise: Cap
    ratio_k: int
    own: Cap | None = None
    soft_from: int | None = None


@dataclass(frozen=True)
class Facts:
    """Everything the decision may look at. Instants in UTC microseconds, windows in seconds.

    `ledger`: the mailbox's other messages that reserve or have used a place. `reserved`: when this message took its
    place, or now. `total`, `promotional`: the organisation's caps; `ceiling`: the total printed when they agreed.
    `rest_until`: before it no campaign writes, as the mailbox could not take its mail several times in a row.
    `too_old`: a purchase up to then carries no mail.
    """

    topic: int
    kind: str
    has_key: bool
    bars: frozenset[str]
    consent: Consented | None
    ledger: tuple[Past, ...]
    reserved: int
    total: tuple[Cap, ...] = ()
    promotional: tuple[Cap, ...] = ()
    ceiling: Cap | None = None
    own_total: Cap | None = None
    zone: str = "UTC"
    quiet_from: int = 0
    quiet_to: int = 0
    too_old: int = FOR_EVER
    rest_until: int | None = None


@dataclass(frozen=True)
class Send:
    """May go now."""


@dataclass(frozen=True)
class Withhold:
    """May not go."""

    reason: Reason


@dataclass(frozen=True)
class Defer:
    """May go, but not before `until` (UTC microseconds)."""

    until: int


Decision = Send | Withhold | Defer


def decide(facts: Facts, now: int) -> Decision:
    """The rule of promises 3 and 4 for one campaign mail and one person, at `now`."""
    reason = _barred(facts) or _unasked(facts, now) or _too_often(facts, now)
    if reason is not None:
        return Withhold(reason)
    if facts.kind != "service":
        until = quiet_until(now, facts.zone, facts.quiet_from, facts.quiet_to)
        if until > now:
            return Defer(until)
    return Send()


def _barred(facts: Facts) -> Reason | None:
    if not facts.has_key:
        return Reason.ERASED
    return next((bar for bar in BARS if bar in facts.bars), None)


def _unasked(facts: Facts, now: int) -> Reason | None:
    consent = facts.consent
    if consent is None or consent.state not in {"granted", "withdrawn", "expired", "paused"}:
        return Reason.NO_CONSENT
    if consent.state == "withdrawn":
        return Reason.WITHDRAWN
    if consent.state == "expired" or (consent.expires is not None and consent.expires <= now):
        return Reason.EXPIRED
    if consent.soft_from is not None and consent.soft_from <= facts.too_old:
        return Reason.EXPIRED
    if consent.state == "paused":
        return Reason.PAUSED
    if facts.kind not in consent.kinds:
        return Reason.KIND
    if facts.rest_until is not None and facts.rest_until > now:
        return Reason.RESTING
    return None


def _too_often(facts: Facts, now: int) -> Reason | None:
    consent = facts.consent
    if consent is None:
        return Reason.NO_CONSENT
    of_topic = [past for past in facts.ledger if past.is_of(facts.topic)]
    capped = [past for past in facts.ledger if past.is_capped]
    promotional = [past for past in facts.ledger if past.is_promotional]
    counts = facts.kind != "service"
    if not allows(of_topic, consent.promise, now):
        return Reason.CAP_PROMISE
    if consent.own is not None and not allows(of_topic, consent.own, now):
        return Reason.CAP_OWN
    if counts and facts.own_total is not None and not allows(capped, facts.own_total, now):
        return Reason.CAP_OWN
    ceilings = facts.total if facts.ceiling is None else (*facts.total, facts.ceiling)
    if counts and not all(allows(capped, cap, now) for cap in ceilings):
        return Reason.CAP_TOTAL
    if facts.kind == "promotional":
        if not all(allows(promotional, cap, now) for cap in facts.promotional):
            return Reason.CAP_PROMOTIONAL
        if not gives_enough(facts.ledger, facts.topic, consent.ratio_k, facts.reserved):
            return Reason.RATIO
    return None
