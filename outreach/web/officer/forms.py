"""What officers type."""

from datetime import date, datetime, time, timedelta
from typing import Any

from wtforms import IntegerField, SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length, NumberRange, Optional

from outreach.domain.errors import InvalidInputError
from outreach.services.audit_search import Search
from outreach.services.policy import CapView
from outreach.services.reasons import LONGEST_REASON
from outreach.web.formats import reader_zone
from outreach.web.forms import Form

ROWS = 3
_UNITS = {"days": 86400, "hours": 3600}
_CHOICES: Any = list(_UNITS)  # WTForms takes plain texts; its published types do not know yet
_REFS = ("contact", "topic", "campaign", "message")


class LookUpForm(Form):
    """Whom to look for."""

    who = StringField(
        "Address in full, or the reference printed in a mail", [InputRequired("Fill this in."), Length(max=320)]
    )


class RevealForm(Form):
    """Why an address is needed."""

    reason = TextAreaField("Why you need the address", [InputRequired("Say why."), Length(max=LONGEST_REASON)])


class LiftForm(Form):
    """Why a bar may be lifted."""

    reason = TextAreaField("Why it may be lifted", [InputRequired("Say why."), Length(max=LONGEST_REASON)])


class VerifyForm(Form):
    """Nothing but the button."""


class CapsForm(Form):
    """The caps of one scope: rows of a number and a length, and why they change."""

    n_1 = IntegerField("At most, mails", [Optional(), NumberRange(0, 1000)])
    length_1 = IntegerField("in any", [Optional(), NumberRange(1, 8784)])
    unit_1 = SelectField("long", choices=_CHOICES)
    n_2 = IntegerField("At most, mails", [Optional(), NumberRange(0, 1000)])
    length_2 = IntegerField("in any", [Optional(), NumberRange(1, 8784)])
    unit_2 = SelectField("long", choices=_CHOICES)
    n_3 = IntegerField("At most, mails", [Optional(), NumberRange(0, 1000)])
    length_3 = IntegerField("in any", [Optional(), NumberRange(1, 8784)])
    unit_3 = SelectField("long", choices=_CHOICES)
    reason = StringField("Reason, kept in the log", [InputRequired("Say why."), Length(max=500)])

    @property
    def rows(self) -> list[tuple[Any, Any, Any]]:
        """The fields of each row."""
        held = self._fields
        return [(held[f"n_{row}"], held[f"length_{row}"], held[f"unit_{row}"]) for row in range(1, ROWS + 1)]

    def caps(self) -> list[tuple[int, int]]:
        """(n, seconds) of each filled row. Raises InvalidInputError for a row filled by half."""
        found = []
        for n, length, unit in self.rows:
            if (n.data is None) != (length.data is None):
                raise InvalidInputError("Give both the number of mails and the length of time.", field=n.short_name)
            if n.data is not None:
                found.append((int(n.data), int(length.data) * _UNITS[unit.data]))
        return found


def typed_caps(caps: list[CapView]) -> dict[str, Any]:
    """The caps in force as the form shows them."""
    typed: dict[str, Any] = {}
    for row, cap in enumerate(caps[:ROWS], 1):
        unit = "days" if cap.window % _UNITS["days"] == 0 else "hours"
        typed |= {f"n_{row}": cap.n, f"length_{row}": cap.window // _UNITS[unit], f"unit_{row}": unit}
    return typed


def read_search(asked: dict[str, str]) -> Search:
    """A search as it stands in the address bar: it holds refs, kinds and days, never an address.

    Days are the reader's. Raises InvalidInputError for what cannot be read.
    """
    refs: dict[str, Any] = {name: _ref(asked[name]) for name in _REFS if asked.get(name)}
    return Search(
        kind=asked.get("kind", ""),
        actor=asked.get("actor", ""),
        since=_midnight(asked.get("since", ""), 0),
        until=_midnight(asked.get("until", ""), 1),
        **refs,
    )


def _ref(text: str) -> bytes:
    try:
        ref = bytes.fromhex(text)
    except ValueError:
        ref = b""
    if len(ref) != 16:
        raise InvalidInputError("A reference in the log is 32 letters and digits, 0 to 9 and a to f.")
    return ref


def _midnight(text: str, days: int) -> int | None:
    """The start of the day typed, `days` later, in the reader's zone: UTC microseconds."""
    if not text:
        return None
    try:
        day = date.fromisoformat(text) + timedelta(days=days)
        moment = datetime.combine(day, time(), reader_zone())
        return int(moment.timestamp()) * 1_000_000
    except (ValueError, OverflowError):
        raise InvalidInputError("Give days as year-month-day, such as 2026-11-22.") from None
