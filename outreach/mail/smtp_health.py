"""When a relay is given up, and how long it is left alone before it is tried again."""

BARREN = 3
"""Fresh connections in a row, lost before they were of use, after which a relay is given up."""

_FIRST_SECONDS = 1.0
_LONGEST_SECONDS = 60.0


class Health:
    """Of one relay. `again`: time.monotonic() from which it is worth another try."""

    def __init__(self) -> None:
        self.again = 0.0
        self._pause = 0.0

    @property
    def is_good(self) -> bool:
        return not self._pause

    def fail(self, now: float) -> None:
        """Leave it alone, longer than the last time; what fails while it is left alone is the same failure."""
        if now >= self.again:
            self._pause = min(self._pause * 2, _LONGEST_SECONDS) or _FIRST_SECONDS
            self.again = now + self._pause

    def recover(self) -> None:
        """It took or refused a message as a relay should."""
        self._pause = self.again = 0.0
