"""How fast mail may leave: rates, rests after a refusal, and the allowances of a relay that nobody knows yet.

A *pair* is a relay and a provider behind it. What holds a pair back is the least of three: the ceiling an
administrator set, a rate learned from refusals, and the warm-up. Every function takes a pair's `Pace` and the instant,
and returns another: the store keeps it, the pipeline leases by it. Slowing down is all this can do: a pair nothing
holds back has no limit at all.

Rates are thousandths of a message a second; instants and lengths UTC microseconds.
"""

import re
from dataclasses import dataclass, replace

SECOND = 1_000_000
DAY = 86_400 * SECOND
PER_SECOND = 1000
"""One message a second."""

_COST = PER_SECOND * SECOND  # what a message costs at a rate of 1, in microseconds
BURST = 2 * SECOND
"""A pair that was idle may send what its rate allows in so long at once, and always one message."""

_WORTHWHILE = SECOND // 2  # a lane waits until it can send what its rate allows in so long

SLOWEST = 16
"""The lowest rate that is learned: about a message a minute."""
FASTEST = 1_000_000
"""A learned rate that has come up to a thousand messages a second holds nobody back, and is forgotten."""
_FIRST = 10 * PER_SECOND  # a first refusal is taken to have come at this rate at least
_GROWTH = 300  # each accepted message adds a three-hundredth of a message a second
_FIRST_REST, LONGEST_REST = 5 * SECOND, 15 * 60 * SECOND
_NOTABLE = 20  # one refusal in so many is a provider's word; a rarer one is about one address or domain
_ENOUGH = 100  # fewer messages than this tell no more than this many would, so that small batches judge nothing alone
_MEMORY = 1000  # of so many messages half is forgotten

WARM_UP = tuple(50 * 2**day for day in range(14))
"""A provider's allowance on each day of the warm-up: 50, then twice as much as the day before, to 409,600.

Providers and mail services publish schedules of this shape: begin with a few dozen a day, raise the volume step by
step over some weeks, at most doubling it, and let it grow only while mail is accepted.
"""
_SPREAD = 3600  # a day's allowance leaves over so many seconds at least


@dataclass(frozen=True)
class Limits:
    """What the settings say of a pair. `ceiling`: None: no limit; `allowances`: of each day of the warm-up, if any."""

    ceiling: int | None = None
    allowances: tuple[int, ...] = ()

    @property
    def bind(self) -> bool:
        """Whether there is any."""
        return self.ceiling is not None or bool(self.allowances)


@dataclass(frozen=True)
class Pace:
    """What is remembered of a pair.

    `rate`: learned from refusals, None: nothing was. `free`: when the bucket is full again (the clock of a GCRA, ITU-T
    I.371). `resting`: nothing leaves before. `slowed`: the last refusal that counted, `code` its code, `strikes` how
    many there were since anything was accepted. `passed` and `refused`: about how many messages were met since, from
    the first refusal on. `day`: the midnight `sent` counts from, `step` the warm-up days that are over.
    """

    rate: int | None = None
    free: int = 0
    resting: int = 0
    slowed: int = 0
    strikes: int = 0
    code: str = ""
    passed: int = 0
    refused: int = 0
    day: int = 0
    step: int = 0
    sent: int = 0


def learned(pace: Pace, now: int) -> int | None:
    """The rate refusals taught, for a day after the last of them."""
    return pace.rate if now < pace.slowed + DAY else None


def rate_of(pace: Pace, limits: Limits, now: int) -> int | None:
    """The rate in force, None when there is none."""
    left = _warming(pace, limits, now)
    spread = None if left is None else max(1, left * PER_SECOND // _SPREAD)
    return min((rate for rate in (limits.ceiling, learned(pace, now), spread) if rate is not None), default=None)


def allowance(pace: Pace, limits: Limits, now: int) -> int | None:
    """How many more may leave today (UTC); None when the pair does not warm up."""
    whole = _warming(pace, limits, now)
    return None if whole is None else max(0, whole - _today(pace, now).sent)


def warm_up_day(pace: Pace, limits: Limits, now: int) -> int | None:
    """Which day of the warm-up it is, from 1; None when there is none or it is over."""
    return None if _warming(pace, limits, now) is None else _today(pace, now).step + 1


def is_held(pace: Pace, limits: Limits, now: int) -> bool:
    """Whether anything may hold this pair back just now, so that room must be leased."""
    return now < pace.resting or rate_of(pace, limits, now) is not None


def room(pace: Pace, limits: Limits, now: int) -> int | None:
    """How many messages may leave now; None: as many as there are."""
    if now < pace.resting:
        return 0
    rate, left = rate_of(pace, limits, now), allowance(pace, limits, now)
    if rate is None:
        return left
    fits = max(0, (now + _burst(rate) - max(now, pace.free)) * rate // _COST)
    return fits if left is None else min(fits, left)


def take(pace: Pace, limits: Limits, now: int, messages: int) -> Pace:
    """Lease `messages`, of which `room` has said that they fit."""
    pace, rate = _today(pace, now), rate_of(pace, limits, now)
    if rate is not None:
        pace = replace(pace, free=max(now, pace.free) + _cost(messages, rate))
    return pace if _warming(pace, limits, now) is None else replace(pace, sent=pace.sent + messages)


def give_back(pace: Pace, limits: Limits, now: int, messages: int) -> Pace:
    """Return what was leased and not used.

    In the first hour of a day its allowance gets nothing back: the lease may be of the day before.
    """
    rate = rate_of(pace, limits, now)
    if rate is not None:
        pace = replace(pace, free=max(0, pace.free - messages * _COST // rate))
    of_today = now - pace.day > 3600 * SECOND
    return replace(pace, sent=max(0, pace.sent - messages)) if of_today else pace


def next_room(pace: Pace, limits: Limits, now: int) -> int:
    """When enough may leave to be worth a batch: half a second's worth, what the day still allows, or after a refusal
    one message.
    """
    start = max(now, pace.resting)
    left = allowance(pace, limits, start)
    if left == 0:
        start = max(start, _today(pace, now).day + DAY)
        left = allowance(pace, limits, start)
    rate = rate_of(pace, limits, start)
    if rate is None:
        return start
    least = 1 if pace.strikes else max(1, rate * _WORTHWHILE // _COST)
    cost = _cost(least if left is None else max(1, min(least, left)), rate)
    return max(start, pace.free - _burst(rate) + cost)


def note(pace: Pace, now: int, passed: int, refused: int) -> Pace:
    """After any batch: count what was met, the older the less. What comes while the pair rests left before."""
    passed, refused = pace.passed + passed, pace.refused + refused
    if now < pace.resting or refused == 0:
        return pace
    while passed + refused > _MEMORY:
        passed, refused = passed // 2, refused // 2
    return replace(pace, passed=passed if refused else 0, refused=refused)


def is_notable(pace: Pace, refused: int) -> bool:
    """Whether refusals, of which the batch just noted had `refused`, are about the pace, not about single addresses.

    Any is while nothing was accepted since the last that counted; else one in twenty of what was met lately is.
    """
    tried = max(_ENOUGH, pace.passed + pace.refused)
    return refused > 0 and (pace.strikes > 0 or pace.refused * _NOTABLE >= tried)


def slow_down(pace: Pace, limits: Limits, now: int, accepted: int, refused: int, code: str) -> Pace:
    """After a batch of which the provider refused a notable part: cut the rate, and rest.

    The rate is cut to about the share that was accepted, by three tenths at least and to an eighth at most; where
    none was in force, from what the batch was (two seconds' worth). The rest doubles with each refusal in a row, and
    ends with a single message. Refusals that come while the pair rests are of mail that was already on its way.
    """
    if now < pace.resting:
        return pace
    tried = accepted + refused
    base = rate_of(pace, limits, now) or max(_FIRST, tried * _COST // BURST)
    share = base * (accepted + 4) // (tried + 8)
    rate = min(base, FASTEST, max(SLOWEST, base // 8, min(share, base * 7 // 10)))
    rest = min(_FIRST_REST << min(pace.strikes, 20), LONGEST_REST)
    until = now + rest
    free = max(pace.free, until + _burst(rate) - _cost(1, rate))
    strikes = pace.strikes + 1
    return replace(
        pace, rate=rate, free=free, resting=until, slowed=now, strikes=strikes, code=code, passed=0, refused=0
    )


def recover(pace: Pace, limits: Limits, now: int, accepted: int) -> Pace:
    """After a batch that was accepted: a little faster, and at the ceiling what was learned is forgotten.

    A full pace so doubles in three and a half minutes, and mail that does not use it changes it little.
    """
    if pace.rate is None or now < pace.resting or accepted == 0:
        return pace
    rate = pace.rate + accepted * PER_SECOND // _GROWTH
    if learned(pace, now) is None or rate >= min(limits.ceiling or FASTEST, FASTEST):
        return forget(pace, limits, now)
    return replace(pace, rate=rate, strikes=0)


def forget(pace: Pace, limits: Limits, now: int) -> Pace:
    """Without what refusals taught. Ceilings and warm-up are not learned, and stay."""
    pace = replace(pace, rate=None, resting=0, slowed=0, strikes=0, code="", passed=0, refused=0)
    return replace(pace, free=min(pace.free, now + _burst(rate_of(pace, limits, now) or FASTEST)))


def try_again(room_at: int, now: int, attempts: int) -> int:
    """When a message refused for the pace goes again: with the next room, a minute later for each attempt, at most 30.

    So what a provider refuses for itself, whatever the pace, does not come back at the head of every batch.
    """
    return max(room_at, now + min(attempts, 30) * 60 * SECOND)


def per_second(rate: int) -> str:
    """A rate as the log writes it: 17500 is "17.5/s"."""
    return f"{rate / PER_SECOND:.3f}".rstrip("0").rstrip(".") + "/s"


_PACE_WORDS = re.compile(
    r"rate[ -]?limit|(?:unusual|sending|message|mail|connection|excessive) rate|rate (?:has been |is |was )?exceeded|"
    r"too (?:many (?:\w+ ){0,2}(?:connection|message|mail|session|request)|much mail|fast|quickly|frequent)|throttl|"
    r"(?:unexpected|unusual|excessive|high) volume|"
    r"(?:daily|hourly|sending|message|connection)s? (?:\w+ )?(?:quota|limit)|"
    r"slow(?:ing)? down|block ?list|\[TSS?\d\d\]|\bRP-00\d\b|\bSC-00\d\b|\bS(?:775|3114|3140|3150|77719)\b",
    re.IGNORECASE,
)
_ABOUT_ONE = re.compile(r"[45]\.[12]\.\d+")  # RFC 3463: this address, this mailbox
_GREY = re.compile(r"gr[ea]y[- ]?list", re.IGNORECASE)
_LINE_WAS_LOST = {"4.4.1", "4.4.2"}


def is_slow_down(code: int | None, enhanced: str, reply: str) -> bool:
    """Whether a final reply asks for less mail, rather than refusing this one.

    421 (RFC 5321 §3.8), a policy code 4.7.x or congestion 4.4.5 (RFC 3463), and any refusal whose words speak of
    rates: Gmail's 421 4.7.28 "unusual rate", Microsoft's RP-001 to 003 and 451 4.7.6xx (S775), Yahoo's [TSS04]
    "unexpected volume", Amazon SES's 454 "sending rate exceeded". Microsoft's block list (550, S3140 and S3150) refuses
    for good and all alike, so the rest must wait too. Not greylisting, which is about one address, nor codes about an
    address or a mailbox (Gmail's 450 4.2.1 is the recipient's own rate), nor a line that broke.
    """
    if code is None or code < 400 or enhanced in _LINE_WAS_LOST:
        return False
    if _ABOUT_ONE.fullmatch(enhanced) or _GREY.search(reply):
        return False
    if code == 421 or enhanced == "4.4.5" or enhanced.startswith("4.7."):
        return True
    return _PACE_WORDS.search(reply) is not None


def _warming(pace: Pace, limits: Limits, now: int) -> int | None:
    """The whole allowance of this day of the warm-up, None when there is none or it is over."""
    step = _today(pace, now).step
    return limits.allowances[step] if step < len(limits.allowances) else None


def _today(pace: Pace, now: int) -> Pace:
    """The same on the day of `now`. A day on which nothing left has shown a provider nothing, and is no step."""
    midnight = now - now % DAY
    if midnight <= pace.day:
        return pace
    return replace(pace, day=midnight, sent=0, step=pace.step + (pace.sent > 0))


def _burst(rate: int) -> int:
    """The depth of the bucket in microseconds: never less than one message."""
    return max(BURST, _cost(1, rate))


def _cost(messages: int, rate: int) -> int:
    """Microseconds that `messages` take at `rate`, rounded up."""
    return -(-messages * _COST // rate)
