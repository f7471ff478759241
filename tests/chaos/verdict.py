"""The comparison: the sink's log, the tables and the audit log must tell the same of every message and every person."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from tests.acceptance.people import Person
from tests.chaos.doubt import Doubts
from tests.chaos.house import PROMISE, PROMOTIONAL, TOTAL, WINDOW
from tests.chaos.life import Halt, Life
from tests.chaos.parts import Kill
from tests.chaos.tables import FINAL, Line, Tables
from tests.chaos.witness import Deal, Witness

GRACE = 2.0
"""Seconds within which a mail decided before an act may still begin (promise 3)."""

_CLOCK = 0.25
_NAMED = ("duplicates", "lost", "unknown", "unknown_limit", "over_cap", "unaudited")
_MORE = (
    "again",
    "false_unknown",
    "after_withdrawal",
    "after_halt",
    "sent",
    "withheld",
    "failed",
    "cut",
    "gap_ms",
    "asked_again",
)


@dataclass
class Tally:
    """What is printed. `faults`: in words, without addresses, what lies behind a number that is not nought."""

    kills: int = 0
    numbers: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def fault(self, number: str, words: str) -> None:
        self.numbers[number] += 1
        self.faults.append(f"{number}: {words}")

    def line(self, **more: object) -> str:
        """The last line of the proof."""
        pairs = [("kills", self.kills), *((name, self.numbers[name]) for name in (*_NAMED, *_MORE)), *more.items()]
        return "chaos " + " ".join(f"{name}={value}" for name, value in pairs)

    @property
    def is_clean(self) -> bool:
        """What the sink itself cut no kill explains, so it does not count against the limit."""
        return not self.faults and self.numbers["unknown"] - self.numbers["cut"] <= self.numbers["unknown_limit"]


@dataclass
class Verdict:
    """Everything there is to compare. `moved`: an instant of ours on the product's clock, in seconds."""

    people: Sequence[Person]
    life: Life
    kills: Sequence[Kill]
    witness: Witness
    tables: Tables
    moved: Callable[[float], float]
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        self.lines = {line.ref: line for line in self.tables.lines}
        self.deals: dict[str, list[Deal]] = defaultdict(list)
        for deal in self.witness.deals:
            if deal.ref:
                self.deals[deal.ref].append(deal)
        self.taken = [deal for deal in self.witness.deals if deal.takes]
        self.times = Counter(deal.ref for deal in self.taken)

    def reach(self) -> Tally:
        """Compare all of it."""
        self.tally.kills = len(self.kills)
        for state, count in Counter(line.state for line in self.tables.lines).items():
            self.tally.numbers[state] = count
        self._nobody_twice()
        self._nobody_again_after_doubt()
        self._nobody_lost()
        self._every_state_is_true()
        self._every_unknown_is_true()
        self._nobody_over_cap()
        self._everything_is_logged()
        self._nobody_after_withdrawal()
        self._nothing_while_halted()
        return self.tally

    def _nobody_twice(self) -> None:
        """A confirmation alone may come once more, where the log says that its first hand-off stayed unknown."""
        for ref, times in self.times.items():
            line = self.lines.get(ref)
            spare = self._doubts_told(line) if line is not None and line.origin == "confirmation" else 0
            self.tally.numbers["asked_again"] += min(spare, times - 1)
            for _ in range(times - 1 - spare):
                self.tally.fault("duplicates", f"message {ref} was taken {times} times")
        pairs = Counter((line.to, line.campaign) for line in self._taken_lines() if line.campaign is not None)
        for (_, number), times in pairs.items():
            for _ in range(times - 1):
                self.tally.fault("duplicates", f"somebody got campaign {number} in {times} messages")

    def _doubts_told(self, line: Line) -> int:
        return sum(1 for entry in self.tables.told[line.ref] if entry.state == "unknown")

    def _taken_lines(self) -> Iterable[Line]:
        return (self.lines[ref] for ref in self.times if ref in self.lines)

    def _nobody_again_after_doubt(self) -> None:
        """What was taken, or may have been, is never handed over again."""
        for ref, deals in self.deals.items():
            line = self.lines.get(ref)
            if line is None or line.origin == "confirmation":
                continue
            for deal in deals[:-1]:
                if deal.takes or deal.replied is None:
                    self.tally.fault("again", f"message {ref} was handed over again after it may have arrived")

    def _nobody_lost(self) -> None:
        for line in self.tables.lines:
            if not line.is_final:
                self.tally.fault("lost", f"message {line.ref} ended {line.state}")
        for ref in self.times:
            if ref not in self.lines:
                self.tally.fault("lost", f"message {ref} was taken and is in no table")
        rows = Counter((line.campaign, line.to) for line in self.tables.lines if line.campaign is not None)
        for number, sent in self.tables.campaigns.items():
            if not sent.is_planned:
                continue
            for person in self.people:
                if sent.topic in person.topics and rows[number, person.to] != 1:
                    times = rows[number, person.to]
                    self.tally.fault("lost", f"person {person.number} has {times} rows of campaign {number}")
        asked = {line.to for line in self.tables.lines if line.origin == "confirmation"}
        for place, address in enumerate(self.life.asked):
            if address not in asked:
                self.tally.fault("lost", f"newcomer {place} was never to be asked")
        if self.tables.requests_open:
            self.tally.fault("lost", f"{self.tables.requests_open} requests were never looked at")

    def _every_state_is_true(self) -> None:
        """What the table says, the sink must have seen."""
        refused = {(deal.to, deal.code) for deal in self.witness.deals if deal.code >= 400}
        for line in self.tables.lines:
            taken = self.times[line.ref]
            about = f"{line.origin} {line.ref}"
            if line.state == "sent" and not taken:
                self.tally.fault("lost", f"{about} counts as sent, the sink never took it")
            elif line.state in {"withheld", "failed"} and taken and not self._doubts_told(line):
                self.tally.fault("unaudited", f"{about} counts as {line.state}, the sink took it")
            elif line.state == "failed" and line.reason in {"address", "refused"}:
                codes = {entry.code for entry in self.tables.told[line.ref] if entry.state == "failed"}
                if not any((line.to, code) in refused for code in codes):
                    self.tally.fault("unaudited", f"{about} counts as refused, the sink never refused it")
            elif line.state == "failed" and line.reason != "gave_up":
                self.tally.fault("unaudited", f"{about} failed ({line.reason}) for no reason of the sink's")

    def _every_unknown_is_true(self) -> None:
        doubts = Doubts(self.witness, self.kills)
        for line in self.tables.lines:
            if line.state == "unknown" and (fault := doubts.prove(line, self.deals[line.ref])):
                self.tally.fault("false_unknown", f"message {line.ref}: {fault}")
        for fault in doubts.beyond():
            self.tally.fault("false_unknown", fault)
        workers = sum(1 for kill in self.kills if kill.slot is not None)
        self.tally.numbers["unknown_limit"] = workers * self.witness.connections
        self.tally.numbers["cut"] = doubts.cut
        self.tally.numbers["gap_ms"] = round(1000 * max(doubts.gaps, default=0))

    def _nobody_over_cap(self) -> None:
        mailboxes = {person.to: person.mailbox for person in self.people}
        promotional, total = defaultdict[str, list[float]](list), defaultdict[str, list[float]](list)
        promised = defaultdict[tuple[str, int | None], list[float]](list)
        for deal in self.taken:
            line = self.lines.get(deal.ref)
            if line is None or deal.dot is None or (line.kind == "service" and line.origin != "invitation"):
                continue
            mailbox, at = mailboxes.get(line.to, line.to), self.moved(deal.dot)
            total[mailbox].append(at)
            if line.kind == "promotional" or line.origin == "invitation":
                promotional[mailbox].append(at)
            if line.origin == "campaign":
                promised[mailbox, line.topic].append(at)
        for name, most, groups in (
            ("promotional", PROMOTIONAL, promotional.values()),
            ("total", TOTAL, total.values()),
            ("promised", PROMISE, promised.values()),
        ):
            for times in groups:
                if _is_over(times, most):
                    self.tally.fault("over_cap", f"a mailbox got more than {most} {name} mails in a week")

    def _everything_is_logged(self) -> None:
        for line in self.tables.lines:
            if line.is_final and (fault := self._disagreement(line)):
                self.tally.fault("unaudited", f"message {line.ref} {fault}")
        for ref in self.times:
            if not {"sent", "unknown"} & {one.state for one in self.tables.told.get(ref, [])}:
                self.tally.fault("unaudited", f"message {ref} was taken, the log does not know")
        for ref in self.tables.told.keys() - self.lines.keys():
            self.tally.fault("unaudited", f"the log speaks of message {ref}, which is in no table")
        if self.tables.pending:
            self.tally.fault("unaudited", f"{self.tables.pending} entries were never sealed")

    def _disagreement(self, line: Line) -> str:
        """What is wrong with the entries of a settled message; "" when they agree with its row."""
        told = self.tables.told.get(line.ref, [])
        ends = [one for one in told if one.state in FINAL]
        if line.origin == "confirmation":
            ends = [one for one in ends[:-1] if one.state != "unknown"] + ends[-1:]
        if len(ends) != 1 or told[-1] is not ends[0]:
            return f"was settled {len(ends)} times in the log"
        if (ends[0].state, ends[0].reason) != (line.state, line.reason):
            return f"is {line.state} ({line.reason}), the log says {ends[0].state} ({ends[0].reason})"
        return ""

    def _nobody_after_withdrawal(self) -> None:
        """A transaction that ended before its Message-ID came counts for people who had stopped everything."""
        stopped = {(one.contact, one.topic): one.at for one in self.life.withdrawals}
        for deal in self.witness.deals:
            line = self.lines.get(deal.ref)
            at = self._silent.get(deal.to) if line is None else stopped.get((line.contact, line.topic or 0))
            if at is not None and deal.began - deal.late > at + GRACE + _CLOCK:
                self.tally.fault("after_withdrawal", f"MAIL FROM {deal.began - at:.2f} s after somebody stopped")

    @cached_property
    def _silent(self) -> dict[str, float]:
        """Since when people who stopped every topic of theirs wanted nothing, by address."""
        owners = {line.contact: line.to for line in self.tables.lines}
        topics = {person.to: len(person.topics) for person in self.people}
        stops: dict[str, list[float]] = defaultdict(list)
        for one in self.life.withdrawals:
            stops[owners[one.contact]].append(one.at)
        return {to: max(times) for to, times in stops.items() if len(times) == topics.get(to)}

    def _nothing_while_halted(self) -> None:
        halts: dict[int | None, list[Halt]] = defaultdict(list)
        for halt in self.life.halts:
            halts[halt.campaign].append(halt)
        for deal in self.witness.deals:
            line = self.lines.get(deal.ref)
            for halt in halts[line.campaign] if line is not None else ():
                if halt.at + GRACE + _CLOCK < deal.began - deal.late < halt.until:
                    self.tally.fault("after_halt", f"MAIL FROM {deal.began - halt.at:.2f} s after a pause or cancel")


def _is_over(times: list[float], most: int) -> bool:
    """Whether any rolling window holds more than `most` of these instants (seconds)."""
    ordered = sorted(times)
    return any(later - earlier < WINDOW for earlier, later in zip(ordered, ordered[most:], strict=False))
