"""The mail every peer sends and the people it goes to. Standard library only: the peers' own processes read it too."""

import textwrap
from dataclasses import dataclass

TITLE = "Northfield Garden"
SUBJECT = "What to sow this week"
SENDER = "news@northfield.example"
LIST_NAME, LIST_HOST = "garden", "lists.northfield.example"
_SENTENCES = 42


@dataclass(frozen=True)
class Reader:
    """One of the list. The number has five digits, so that no reader's name or address is part of another's."""

    number: int

    @property
    def name(self) -> str:
        return f"Robin Reader{self.number:05}"

    @property
    def address(self) -> str:
        return f"reader{self.number:05}@example.org"


def readers(count: int) -> list[Reader]:
    return [Reader(number) for number in range(count)]


def plain() -> str:
    """The body as text, about 4.5 kB, for every reader the same: a peer adds name and link where it adds them."""
    return textwrap.fill(_words(), 72)


def html() -> str:
    """The same words as HTML, without the page around them."""
    return f"<p>{textwrap.fill(_words(), 90)}</p>"


def _words() -> str:
    sentence = "In week {} we sow the row beside it and water it well; last year's crop is on the board by the gate."
    return " ".join(sentence.format(week) for week in range(1, _SENTENCES + 1))
