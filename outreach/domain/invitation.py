"""Invitations from person to person: what may be written in one, how many a member may send, and whether one may go.

Sources: STANDARDS.md, "Invitations" (BGH I ZR 208/12, I ZR 65/14; Perkins v. LinkedIn). One message per inviter and
mailbox, ever; a cap per mailbox across inviters, in the ledger that promotions stand in; no reminder unless the
recipient asked for one and the inviter acts anew.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from outreach.domain.eligibility import BARS, Decision, Defer, Reason, Send, Withhold
from outreach.domain.frequency import SECOND, Cap, Past, quiet_until

_DAY = 86_400_000_000
_HOUR = 3_600_000_000

HAND_DAYS = 30
"""How long a link passed on by hand can be answered."""

CONNECT_DAYS = 7
"""How long the mail that a connect link brings can be confirmed: as long as any confirmation."""

CONNECT_ASKS_A_DAY = 20
CONNECT_ASKS_A_MONTH = 60
"""Asks through all connect links of one owner that the engine takes in 24 hours and in 30 days, but for those whose
asker confirmed. More of them wait, as those of a full network do: an owner can type at her own link too."""

CONNECT_REPORTS = 3
CONNECT_REPORT_DAYS = 30
"""A connect link is switched off once so many mailboxes reported what came through it, within so many days."""

LOOK_BACK_DAYS = 90
"""Answers older than this no longer count for or against an inviter."""


DEFAULT_RECIPIENT = Cap(2, 30 * 86_400)
"""Invitations one mailbox may be sent, whoever invites, while no officer has set another cap."""


class Way(StrEnum):
    """How an invitation came about: a link the inviter passes on, one mail, or the inviter's public connect link."""

    HAND = "hand"
    MAIL = "mail"
    LINK = "link"


class Answer(StrEnum):
    """How an invitation ended. The inviter learns of the first and the last only."""

    ACCEPTED = "accepted"
    DECLINED = "declined"
    NEVER = "never"
    REPORTED = "reported"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


REFUSALS = frozenset({Answer.DECLINED, Answer.NEVER, Answer.REPORTED})


_STRENGTH: dict[str, int] = {Answer.DECLINED: 1, Answer.REPORTED: 2, Answer.NEVER: 3}


def replaces(answer: Answer, before: str | None, *, is_waiting: bool) -> bool:
    """Whether a refusal takes the place of the answer `before`: the stronger one stands.

    A yes stands too, unless it `is_waiting` for the owner of the connect link it came by.
    """
    if before == Answer.ACCEPTED and not is_waiting:
        return False
    return _STRENGTH.get(before or "", 0) < _STRENGTH[answer]


class Relationship(StrEnum):
    """What the inviter states about the two of them; the recipient reads it."""

    FRIEND = "friend"
    FAMILY = "family"
    COLLEAGUE = "colleague"
    CUSTOMER = "customer"
    ACQUAINTANCE = "acquaintance"


class Report(StrEnum):
    """Why a recipient reports an invitation."""

    UNKNOWN_PERSON = "unknown_person"
    UNWANTED = "unwanted"
    ADVERTISING = "advertising"
    HARASSMENT = "harassment"


@dataclass(frozen=True)
class Policy:
    """What an officer set. `a_day`, `a_month`: invitations one member may make in 24 hours and in 30 days, by hand and
    by mail together. `recipient`: how many one mailbox may be sent, whoever invites. `keep_days`: after so many days an
    unanswered address is erased.
    """

    by_mail: bool = False
    a_day: int = 5
    a_month: int = 20
    recipient: Cap = DEFAULT_RECIPIENT
    keep_days: int = 14


@dataclass(frozen=True)
class Record:
    """What became of the invitations one member had mailed within LOOK_BACK_DAYS.

    Those passed on by hand are not among them, for whoever made the link can answer it too, nor what came through a
    connect link. `refused`: declined, never or reported; `reported` is among them. `unaccepted`: whose time is over
    without a yes, refused and silent alike, less those taken back.
    """

    accepted: int = 0
    refused: int = 0
    reported: int = 0
    unaccepted: int = 0

    @property
    def answered(self) -> int:
        return self.accepted + self.refused

    @property
    def refused_share(self) -> float:
        """Refused among answered, 0 while nobody answered."""
        return self.refused / self.answered if self.answered else 0.0

    @property
    def unaccepted_share(self) -> float:
        """Unaccepted among those that are over, 0 while none is."""
        over = self.accepted + self.unaccepted
        return self.unaccepted / over if over else 0.0


@dataclass(frozen=True)
class Allowance:
    """What a member may send now: at most `a_day` in 24 hours and `a_month` in 30 days."""

    a_day: int
    a_month: int


_FEW = 5
"""Invitations below which a share says nothing."""


def allowance(policy: Policy, record: Record) -> Allowance:
    """The policy's caps, tightened when invitations are not accepted: declining, reporting and silence weigh the same.

    The member reads their allowance, so it must not tell one from the other, nor before an invitation's time is over.
    Of at least five, more than three quarters halve it, more than nine tenths quarter it; at least 1 a day stays.
    """
    parts = 1
    if record.accepted + record.unaccepted >= _FEW and record.unaccepted_share > 0.75:
        parts = 4 if record.unaccepted_share > 0.9 else 2
    return Allowance(max(1, policy.a_day // parts), max(1, policy.a_month // parts))


def suspension(record: Record) -> str:
    """Why a member must be suspended: "reports", "refusals", or "" for not at all.

    Three reports, or ten answers of which nine in ten were refusals.
    """
    if record.reported >= 3:
        return "reports"
    if record.answered >= 2 * _FEW and record.refused_share >= 0.9:
        return "refusals"
    return ""


def next_free(pressed: Iterable[int], allowed: Allowance, now: int) -> int:
    """When a member may make another: `now`, or the instant an earlier one leaves its window. UTC microseconds.

    `pressed`: when the member made each, whatever became of it, so that the answer tells nothing about anybody.
    """
    made = sorted(pressed, reverse=True)
    free = now
    for most, window in ((allowed.a_day, _DAY), (allowed.a_month, 30 * _DAY)):
        within = [at for at in made if at > now - window]
        if len(within) >= most:
            free = max(free, within[most - 1] + window)
    return free


@dataclass(frozen=True)
class Facts:
    """Everything the decision about one invitation mail may look at. Instants in UTC microseconds.

    `ledger`: the mailbox's other messages that reserve or have used a place. `caps`: the organisation's promotional
    and total caps, the total printed when this person last agreed, and their own. `may_mail`: the policy allows the
    way it came, and its connect link (if it came by one) was not switched off before the visitor asked.
    """

    has_key: bool
    bars: frozenset[str]
    is_open: bool
    is_inviter_active: bool
    may_mail: bool
    is_own: bool
    is_before: bool
    is_connected: bool
    ledger: tuple[Past, ...]
    recipient: Cap
    promotional: tuple[Cap, ...] = ()
    total: tuple[Cap, ...] = ()
    zone: str = "UTC"
    quiet_from: int = 0
    quiet_to: int = 0


def decide(facts: Facts, now: int) -> Decision:
    """Whether one invitation may go now: bars, then the inviter's act, then once-ever, then caps, then the hour.

    A cap only defers: the invitation waits for its window, and ends with its time.
    """
    reason = _refused(facts)
    if reason is not None:
        return Withhold(reason)
    until = max(_frees_at(facts, now), now)
    until = max(until, quiet_until(until, facts.zone, facts.quiet_from, facts.quiet_to))
    return Defer(until) if until > now else Send()


def _refused(facts: Facts) -> Reason | None:
    if not facts.has_key:
        return Reason.ERASED
    bar = next((bar for bar in BARS if bar in facts.bars), None)
    if bar is not None:
        return bar
    checks = (
        (facts.is_open, Reason.INVITATION_ENDED),
        (facts.is_inviter_active and facts.may_mail, Reason.INVITER_STOPPED),
        (not facts.is_own, Reason.OWN_ADDRESS),
        (not facts.is_before, Reason.INVITED_BEFORE),
        (not facts.is_connected, Reason.CONNECTED),
    )
    return next((reason for holds, reason in checks if not holds), None)


def _frees_at(facts: Facts, now: int) -> int:
    """When every cap has room for one more; within the hour while a place is reserved by something on its way."""
    invitations = [past for past in facts.ledger if past.origin == "invitation"]
    promotional = [past for past in facts.ledger if past.is_promotional]
    capped = [past for past in facts.ledger if past.is_capped]
    rules = [(invitations, facts.recipient)]
    rules += [(promotional, cap) for cap in facts.promotional] + [(capped, cap) for cap in facts.total]
    return max(_free(ledger, cap, now) for ledger, cap in rules)


def _free(ledger: Iterable[Past], cap: Cap, now: int) -> int:
    """When `cap` has room for one more of `ledger`."""
    window = cap.window * SECOND
    taken = [past.counted for past in ledger if past.counted is None or past.counted > now - window]
    if len(taken) < cap.n:
        return now
    reserved = sum(1 for at in taken if at is None)
    if reserved >= cap.n:
        return now + _HOUR
    counted = sorted((at for at in taken if at is not None), reverse=True)
    return counted[cap.n - reserved - 1] + window
