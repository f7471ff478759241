"""What a verification finds, in words, with the number of the entry it is about."""

import time
from dataclasses import dataclass, field

_MOST = 200


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong. `entry`: its place in the log, counted from 0; None where it has none."""

    what: str
    entry: int | None = None

    def __str__(self) -> str:
        return self.what if self.entry is None else f"entry {self.entry}: {self.what}"


class OutOfTimeError(Exception):
    """The verification was given less time than the log needs."""


@dataclass
class Findings:
    """Collects at most 200 findings, counts the rest, and watches the clock. `until`: time.monotonic()."""

    until: float | None = None
    found: list[Finding] = field(default_factory=list)
    more: int = 0

    def add(self, what: str, entry: int | None = None) -> None:
        if len(self.found) < _MOST:
            self.found.append(Finding(what, entry))
        else:
            self.more += 1

    def must_hurry(self) -> None:
        """Raise OutOfTimeError once the time is up."""
        if self.until is not None and time.monotonic() > self.until:
            raise OutOfTimeError
