"""What officers type."""

from datetime import date, datetime, time, timedelta
from typing import Any

from wtforms import StringField, TextAreaField
from wtforms.validators import InputRequired, Length

from outreach.domain.errors import InvalidInputError
from outreach.services.officer.search import Search
from outreach.services.reasons import LONGEST_REASON
from outreach.web.formats import reader_zone
from outreach.web.forms import Form

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
