"""What the evidence of an agreement tells the person who agreed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Agreed:
    """`at`: when, UTC microseconds, which an import tells; `source`: where an import found it, else "".

    `wording`: the sentence that was agreed to; of a purchase, how objecting was offered.
    """

    at: int
    source: str
    wording: str


def read_agreed(evidence: Mapping[str, Any], *, at: int, wording: str) -> Agreed:
    """By the evidence, as opened. `at`, `wording`: of the event and its text, where the evidence has no others."""
    return Agreed(
        at=int(evidence.get("given", at)),
        source=str(evidence.get("source", "")),
        wording=str(evidence.get("wording", evidence.get("objecting", wording))),
    )
