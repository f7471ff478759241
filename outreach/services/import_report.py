"""What an import would do, or did: sums, and for what was refused the reasons with the first few row numbers."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from outreach.services.import_rows import Refusal

_MOST_NUMBERS = 50


@dataclass
class Report:
    """What would happen, or what happened.

    `refused`: reason → the first 50 row numbers, in the order they were met; `refusals`: reason → how many rows.
    `refused_bars`: rows of the other file that hold no address. `soft`: how many of `granted` stand on a purchase.
    """

    rows: int = 0
    granted: int = 0
    soft: int = 0
    new_people: int = 0
    barred: int = 0
    refused: dict[Refusal, list[int]] = field(default_factory=lambda: defaultdict(list))
    refusals: Counter[Refusal] = field(default_factory=Counter)
    refused_bars: int = 0
    digest: str = ""
    is_rehearsal: bool = True

    def refuse(self, number: int, why: Refusal) -> None:
        """Count a row, and name it if it is one of the first."""
        self.refusals[why] += 1
        if len(self.refused[why]) < _MOST_NUMBERS:
            self.refused[why].append(number)

    def reasons(self) -> list[tuple[str, int, list[int]]]:
        """(reason, how many rows, the numbers of the first 50), most frequent first."""
        return [(why.value, count, self.refused[why]) for why, count in self.refusals.most_common()]

    def counts(self) -> dict[str, Any]:
        """What the log keeps: nothing of any row."""
        return {
            "rows": self.rows,
            "granted": self.granted,
            "soft": self.soft,
            "barred": self.barred,
            "refused": {why.name.lower(): count for why, count in self.refusals.items()},
        }

    def lines(self) -> list[str]:
        """The same for whoever reads it at a console."""
        would = "to be " if self.is_rehearsal else ""
        lines = [
            f"rows read: {self.rows:,}",
            f"consents {would}granted: {self.granted:,}, people new to us: {self.new_people:,}",
            *([f"of them on a purchase or an inquiry: {self.soft:,}"] if self.soft else []),
            f"addresses barred: {self.barred:,}, rows that are no address: {self.refused_bars:,}",
        ]
        for why, count, numbers in self.reasons():
            named = ", ".join(map(str, numbers)) + (" …" if count > len(numbers) else "")
            lines.append(f"not stored, {why}: {count:,} (rows {named})")
        return lines
