"""The reckoning: delivered mail, the message table and the audit log must tell the same, person by person."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from tests.acceptance.books import Books, Line
from tests.acceptance.office import Campaign
from tests.acceptance.people import GARDEN, Answer, Person
from tests.acceptance.postman import Letter, Postman
from tests.acceptance.product import DAY
from tests.acceptance.recipients import Crowd

WEEK = 7 * DAY
GRACE = 2.0
"""Seconds within which a mail decided before a withdrawal may still begin."""


@dataclass
class Tally:
    """What is printed. `faults`: in words, without addresses, what lies behind a number that is not nought."""

    people: int
    delivered: int = 0
    withheld: int = 0
    duplicates: int = 0
    lost: int = 0
    over_cap: int = 0
    after_withdrawal: int = 0
    get_changes: int = 0
    faults: list[str] = field(default_factory=list)

    def line(self) -> str:
        names = ("people", "delivered", "withheld", "duplicates", "lost", "over_cap", "after_withdrawal", "get_changes")
        return "acceptance " + " ".join(f"{name}={getattr(self, name)}" for name in names)

    @property
    def is_clean(self) -> bool:
        wrong = (self.duplicates, self.lost, self.over_cap, self.after_withdrawal, self.get_changes)
        return not any(wrong) and not self.faults

    def must_be_clean(self) -> None:
        """Fail with the first faults."""
        assert self.is_clean, "\n".join([self.line(), *self.faults[:20]])


@dataclass
class Reckoning:
    """Everything there is to compare. `campaigns`: those scheduled, by subject."""

    books: Books
    post: Postman
    crowd: Crowd
    campaigns: dict[str, Campaign]
    tally: Tally

    def settle(self) -> None:
        """Compare all of it; numbers and faults go into the tally."""
        self.lines = self.books.lines()
        self.told = self.books.settlements()
        self.accepted = Counter(letter.ref for letter in self._known())
        self.persons = {person.to: person for person in self.crowd.people}
        self.tally.delivered = sum(1 for letter in self._known() if letter.is_campaign)
        self.tally.withheld = sum(1 for line in self.lines if line.campaign and line.state == "withheld")
        self._nobody_twice()
        self._books_match_mail()
        self._log_matches_books()
        self._nobody_lost()
        self._nobody_over_cap()
        self._nobody_after_withdrawal()

    def _known(self) -> list[Letter]:
        """Mail to the people: staff's own left out."""
        return [letter for letter in self.post.letters if not letter.to.endswith("@northfield.example")]

    def _fault(self, number: str, words: str) -> None:
        setattr(self.tally, number, getattr(self.tally, number) + 1)
        self.tally.faults.append(f"{number}: {words}")

    def _nobody_twice(self) -> None:
        pairs = Counter((letter.to, letter.subject) for letter in self._known() if letter.is_campaign)
        for (to, subject), times in pairs.items():
            for _ in range(times - 1):
                self._fault("duplicates", f"{self._name(to)} got “{subject}” {times} times")
        again = {line.ref for line in self.lines if line.origin == "confirmation" and "unknown" in self._states(line)}
        for ref, times in self.accepted.items():
            if times > 1 and ref not in again:
                self._fault("duplicates", f"message {ref.hex()} was taken {times} times")

    def _books_match_mail(self) -> None:
        lines = {line.ref: line for line in self.lines}
        for letter in self._known():
            line = lines.get(letter.ref)
            if line is None:
                self._fault("lost", f"message {letter.ref.hex()} was delivered and is in no table")
            elif line.to not in {"", letter.to}:
                self._fault("lost", f"message {line.ref.hex()} went to another than its owner")
            elif letter.subject != line.campaign and line.campaign:
                self._fault("lost", f"message {line.ref.hex()} is another campaign's")
        for line in self.lines:
            times = self.accepted[line.ref]
            fits = {"sent": times >= 1, "unknown": True}.get(line.state, times == 0)
            if not fits:
                self._fault("lost", f"message {line.ref.hex()} is {line.state}, and was taken {times} times")

    def _log_matches_books(self) -> None:
        for line in self.lines:
            states = self._states(line)
            if line.state in {"sent", "withheld", "failed", "unknown"} and states[-1:] != [line.state]:
                self._fault("lost", f"message {line.ref.hex()} is {line.state}, its log says {states}")
            if line.campaign and len(states) > 1:
                self._fault("lost", f"message {line.ref.hex()} was settled more than once: {states}")
        unknown = self.told.keys() - {line.ref for line in self.lines}
        known_elsewhere = {letter.ref for letter in self.post.letters}
        for ref in unknown - known_elsewhere:
            self._fault("lost", f"the log tells of message {ref.hex()}, which is in no table")

    def _states(self, line: Line) -> list[str]:
        return self.told.get(line.ref, [])

    def _nobody_lost(self) -> None:
        """Whoever agreed has exactly one outcome for each campaign to their topics, and one we can explain."""
        held: dict[tuple[str, str], list[Line]] = defaultdict(list)
        for line in self.lines:
            if line.campaign:
                held[line.to, line.campaign].append(line)
        for person in self.crowd.people:
            for campaign in self.campaigns.values():
                self._account(person, campaign, held.pop((person.to, campaign.subject), []))
        for (to, subject), lines in held.items():
            self._fault("lost", f"“{subject}” has {len(lines)} rows for {self._name(to)}, who is not in its audience")
        reached = {letter.to for letter in self.post.letters}
        kept = {line.to for line in self.lines}
        for person in self.crowd.people:
            if person.answer is not Answer.GONE and person.to not in reached:
                self._fault("lost", f"person {person.number} never got their confirmation mail")
            if person.answer is not Answer.YES and person.to in kept:
                self.tally.faults.append(f"person {person.number} never agreed and is still held after two weeks")

    def _account(self, person: Person, campaign: Campaign, lines: list[Line]) -> None:
        if not person.agreed(campaign.topic):
            if lines:
                self._fault("lost", f"person {person.number} never agreed to “{campaign.subject}”")
        elif len(lines) != 1:
            self._fault("lost", f"person {person.number} has {len(lines)} rows of “{campaign.subject}”")
        elif not self._explained(person, campaign, lines[0]):
            line = lines[0]
            self._fault(
                "lost", f"person {person.number}, “{campaign.subject}”: {line.state} ({line.reason}), {person.plan}"
            )

    def _explained(self, person: Person, campaign: Campaign, line: Line) -> bool:
        has_twin = sum(1 for other in self.crowd.people if other.mailbox == person.mailbox) > 1
        match (line.state, line.reason):
            case ("sent" | "unknown", _):
                return True
            case ("withheld", "withdrawn"):
                return person.to in self.crowd.stopped and campaign.topic == GARDEN
            case ("withheld", "same_mailbox" | "cap_promotional"):
                return has_twin
            case ("withheld", "bounce") | ("failed", "address"):
                return person.never_takes(550)
            case ("failed", "gave_up"):
                return person.never_takes(452)
        return False

    def _nobody_over_cap(self) -> None:
        offers = {subject for subject, campaign in self.campaigns.items() if campaign.kind == "promotional"}
        by_mailbox: dict[str, list[float]] = defaultdict(list)
        for letter in self._known():
            if letter.subject in offers and letter.to in self.persons:
                at = self.books.product.moved(letter.handed.ended)
                by_mailbox[self.persons[letter.to].mailbox].append(at)
        for times in by_mailbox.values():
            for earlier, later in zip(sorted(times), sorted(times)[1:], strict=False):
                if later - earlier < WEEK:
                    self._fault("over_cap", f"two offers within {(later - earlier) / DAY:.3f} days")

    def _nobody_after_withdrawal(self) -> None:
        topics = {subject: campaign.topic for subject, campaign in self.campaigns.items()}
        about = {letter.handed: topics.get(letter.subject) for letter in self._known()}
        for handed in self.post.handed:
            stopped = self.crowd.stopped.get(handed.to)
            if stopped is None or handed.begun - handed.late <= stopped + GRACE:
                continue
            person = self.persons[handed.to]
            topic = about.get(handed, GARDEN if person.ticked == (GARDEN,) else None)
            if topic == GARDEN:
                late = handed.begun - stopped
                self._fault("after_withdrawal", f"person {person.number}: MAIL FROM {late:.2f} s after the 200")

    def _name(self, to: str) -> str:
        person = self.persons.get(to)
        return f"person {person.number}" if person else "somebody unknown"
