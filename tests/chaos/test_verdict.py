"""The comparison notices: one thing is falsified at a time, and the number that must count it does."""

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from tests.acceptance.people import GARDEN, Answer, Person
from tests.chaos.house import PROMOTIONAL
from tests.chaos.life import Halt, Life, Withdrawal
from tests.chaos.parts import Kill
from tests.chaos.tables import Line, Sent, Tables, Told
from tests.chaos.verdict import Tally, Verdict
from tests.chaos.witness import Deal, Witness

CONTACT, TOPIC, CAMPAIGN = 5, 7, 3
TO = "anna@example.org"
BEGAN = 1000.0


def person() -> Person:
    return Person(1, TO, "192.0.2.1", "en", (GARDEN,), (GARDEN,), Answer.YES)


def line(ref: str = "aa", *, state: str = "sent", reason: str | None = None, campaign: int | None = CAMPAIGN) -> Line:
    return Line(ref, "campaign", "promotional", state, reason, CONTACT, campaign, TOPIC, TO)


def deal(ref: str = "aa", *, at: float = BEGAN, **more: Any) -> Deal:
    """Taken and answered, unless told otherwise."""
    facts = {"code": 250, "asked_for": at + 0.1, "dot": at + 0.2, "takes": True, "replied": at + 0.3, **more}
    return Deal(1, 0, at, 0.0, TO, ref, **facts)


class Case:
    """One mail to one person, as it should be; `verdict` compares what a test has made of it."""

    def __init__(self) -> None:
        nobodys: Any = None
        self.life = Life(nobodys, Random(1), backlog=0)
        self.deals = [deal()]
        self.lines = [line()]
        self.told = {"aa": [Told("sent", None, 250)]}
        self.kills: list[Kill] = []
        self.more: dict[str, int] = {}

    def verdict(self) -> Tally:
        campaigns = {
            number: Sent("Beans", "sent", GARDEN, is_planned=True)
            for number in {one.campaign or 0 for one in self.lines}
        }
        tables = Tables(self.lines, campaigns, self.told, **self.more)
        witness = Witness(self.deals, [(0, BEGAN - 10, BEGAN + 10)])
        return Verdict([person()], self.life, self.kills, witness, tables, moved=lambda instant: instant).reach()

    def unknown(self, cut: Deal) -> None:
        """The mail's outcome is unknown after this."""
        self.deals, self.lines = [cut], [line(state="unknown", reason="no_reply")]
        self.told = {"aa": [Told("unknown", "no_reply", None)]}


def test_what_agrees_is_clean() -> None:
    tally = Case().verdict()
    assert tally.is_clean
    assert tally.numbers["sent"] == 1


def _twice(case: Case) -> None:
    case.deals.append(deal(at=BEGAN + 5))


def _in_two_messages(case: Case) -> None:
    case.deals.append(deal("bb", at=BEGAN + 5))
    case.lines.append(line("bb"))
    case.told["bb"] = [Told("sent", None, 250)]


def _again(case: Case) -> None:
    case.deals.append(deal(at=BEGAN + 5, takes=False, code=451))


def _never_taken(case: Case) -> None:
    case.deals = [replace(case.deals[0], takes=False)]


def _not_settled(case: Case) -> None:
    case.lines = [line(state="planned")]
    case.told = {}


def _no_row(case: Case) -> None:
    case.deals.append(deal("bb"))


def _person_without_row(case: Case) -> None:
    case.lines = [replace(case.lines[0], to="somebody.else@example.org")]


def _never_asked(case: Case) -> None:
    case.life.asked.append("newcomer.0@example.net")


def _request_open(case: Case) -> None:
    case.more = {"requests_open": 1}


def _failed_but_taken(case: Case) -> None:
    case.lines, case.told = [line(state="failed", reason="gave_up")], {"aa": [Told("failed", "gave_up", 451)]}


def _never_refused(case: Case) -> None:
    case.deals, case.lines = [], [line(state="failed", reason="refused")]
    case.told = {"aa": [Told("failed", "refused", 554)]}


def _unsendable(case: Case) -> None:
    case.deals, case.lines = [], [line(state="failed", reason="unsendable")]
    case.told = {"aa": [Told("failed", "unsendable", None)]}


def _not_in_the_log(case: Case) -> None:
    case.told = {}


def _settled_twice_in_the_log(case: Case) -> None:
    case.told["aa"].append(Told("sent", None, 250))


def _other_reason(case: Case) -> None:
    case.told = {"aa": [Told("sent", "bounce", 250)]}


def _log_of_nothing(case: Case) -> None:
    case.told["cc"] = [Told("withheld", "withdrawn", None)]


def _not_sealed(case: Case) -> None:
    case.more = {"pending": 1}


def _over_cap(case: Case) -> None:
    for number in range(PROMOTIONAL):
        ref = f"b{number}"
        case.deals.append(deal(ref, at=BEGAN + 60 * number))
        case.lines.append(line(ref, campaign=10 + number))
        case.told[ref] = [Told("sent", None, 250)]


def _after_withdrawal(case: Case) -> None:
    case.life.withdrawals.append(Withdrawal(CONTACT, TOPIC, BEGAN - 2.5))


def _nameless_after_withdrawal(case: Case) -> None:
    case.life.withdrawals.append(Withdrawal(CONTACT, TOPIC, BEGAN + 1))
    case.deals.append(Deal(1, 0, BEGAN + 5, 0.0, TO, code=451, replied=BEGAN + 5))


def _while_paused(case: Case) -> None:
    case.life.halts.append(Halt(CAMPAIGN, BEGAN - 3, BEGAN + 1))


def _unknown_though_answered(case: Case) -> None:
    case.unknown(deal())


def _unknown_though_never_begun(case: Case) -> None:
    case.unknown(deal("zz", takes=False))
    case.deals = []


def _killed_long_after_the_reply(case: Case) -> None:
    case.unknown(deal())
    case.kills = [Kill("worker-0", 0, BEGAN + 2, BEGAN + 2)]


def _another_worker_was_killed(case: Case) -> None:
    case.unknown(deal())
    case.kills = [Kill("worker-1", 1, BEGAN + 0.3, BEGAN + 0.3)]


FALSE = [
    ("duplicates", _twice),
    ("duplicates", _in_two_messages),
    ("again", _again),
    ("lost", _never_taken),
    ("lost", _not_settled),
    ("lost", _no_row),
    ("lost", _person_without_row),
    ("lost", _never_asked),
    ("lost", _request_open),
    ("unaudited", _failed_but_taken),
    ("unaudited", _never_refused),
    ("unaudited", _unsendable),
    ("unaudited", _not_in_the_log),
    ("unaudited", _settled_twice_in_the_log),
    ("unaudited", _other_reason),
    ("unaudited", _log_of_nothing),
    ("unaudited", _not_sealed),
    ("over_cap", _over_cap),
    ("after_withdrawal", _after_withdrawal),
    ("after_withdrawal", _nameless_after_withdrawal),
    ("after_halt", _while_paused),
    ("false_unknown", _unknown_though_answered),
    ("false_unknown", _unknown_though_never_begun),
    ("false_unknown", _killed_long_after_the_reply),
    ("false_unknown", _another_worker_was_killed),
]


@pytest.mark.parametrize(("number", "falsify"), FALSE, ids=[falsify.__name__[1:] for _, falsify in FALSE])
def test_what_is_false_is_counted(number: str, falsify: Callable[[Case], None]) -> None:
    case = Case()
    falsify(case)
    tally = case.verdict()
    assert tally.numbers[number], tally.faults
    assert not tally.is_clean


@pytest.mark.parametrize(
    "cut",
    [
        deal(replied=None, code=354, ended=BEGAN + 0.4, by="sink"),
        deal(dot=None, takes=False, replied=None, code=354, ended=BEGAN + 0.2, by="sink"),
        deal("", dot=None, takes=False, replied=None, code=354, ended=BEGAN + 0.2, by="sink"),
    ],
    ids=["before the reply", "in the body", "in the body, before its Message-ID"],
)
def test_a_connection_the_sink_cut_leaves_a_true_doubt(cut: Deal) -> None:
    case = Case()
    case.unknown(cut)
    tally = case.verdict()
    assert not tally.faults
    assert (tally.numbers["unknown"], tally.numbers["cut"]) == (1, 1)


def test_a_worker_killed_around_the_reply_leaves_a_true_doubt_one_for_each_connection() -> None:
    case = Case()
    case.unknown(deal())
    case.kills = [Kill("worker-0", 0, BEGAN + 0.31, BEGAN + 0.32)]
    assert case.verdict().is_clean
    case.deals.append(deal("bb"))
    case.lines.append(line("bb", state="unknown", reason="no_reply", campaign=CAMPAIGN + 1))
    case.told["bb"] = [Told("unknown", "no_reply", None)]
    assert "over 1 open connections" in "".join(case.verdict().faults)
