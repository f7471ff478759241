"""How a cap of one's own stands in a form: "2/604800" is two mails in seven days, and nothing is the promise."""

from outreach.domain.errors import InvalidInputError
from outreach.domain.frequency import Cap


def cap_value(cap: Cap) -> str:
    """What a form posts for a cap."""
    return f"{cap.n}/{cap.window}"


def read_cap(text: str) -> Cap | None:
    """A posted cap; None for the promise. Raises InvalidInputError (field "cap")."""
    if not text:
        return None
    n, _slash, window = text.partition("/")
    if not (n.isdecimal() and window.isdecimal() and len(text) < 20):
        raise InvalidInputError("Choose one of the numbers offered. Nothing was changed.", "cap")
    return Cap(int(n), int(window))
