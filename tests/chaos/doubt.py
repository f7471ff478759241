"""Proves each unknown outcome: the sink's log and the list of kills show that nobody could know what became of it."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.chaos.parts import Kill
from tests.chaos.tables import Line
from tests.chaos.witness import Deal, Witness

SLACK = 0.5
"""Seconds a living worker may need, on a busy machine, to read a reply that has arrived and to write it down."""


@dataclass
class Doubts:
    """`cut`: how many the sink caused by cutting a connection; `killed`: how many each kill (by its number) caused.

    `gaps`: seconds from the sink's reply to the kill that kept it from being noted.
    """

    witness: Witness
    kills: Sequence[Kill]
    cut: int = 0
    killed: Counter[int] = field(default_factory=Counter)
    gaps: list[float] = field(default_factory=list)
    _nameless: dict[str, list[Deal]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        for deal in self.witness.deals:
            if not deal.ref and deal.asked_for is not None and deal.ended is not None:
                self._nameless[deal.to].append(deal)

    def prove(self, line: Line, deals: Sequence[Deal]) -> str:
        """Why this message's outcome is in truth unknown is noted; "" then, else what is wrong. `deals`: its own."""
        last = deals[-1] if deals else None
        if last is not None and last.asked_for is not None and self._is_doubtful(last):
            return ""
        for deal in self._nameless[line.to]:
            if (last is None or deal.began > last.began) and self._is_doubtful(deal):
                self._nameless[line.to].remove(deal)
                return ""
        if last is None:
            return "the sink never saw it on its way"
        return f"the sink's last word was {last.code}, and its worker lived to hear it"

    def _is_doubtful(self, deal: Deal) -> bool:
        if deal.replied is None and deal.by == "sink":
            self.cut += 1
            return True
        latest = deal.replied if deal.replied is not None else deal.ended
        assert latest is not None
        for number, kill in enumerate(self.kills):
            if kill.slot == deal.slot and deal.began - SLACK <= kill.after and kill.before <= latest + SLACK:
                self.killed[number] += 1
                if deal.replied is not None:
                    self.gaps.append(kill.before - deal.replied)
                return True
        return False

    def beyond(self) -> list[str]:
        """Kills that left more in doubt than connections were open."""
        found = []
        for number, count in self.killed.items():
            kill = self.kills[number]
            assert kill.slot is not None
            if count > (most := self.witness.open_at(kill.slot, kill.before)):
                found.append(f"the kill of {kill.name} left {count} unknown over {most} open connections")
        return found
