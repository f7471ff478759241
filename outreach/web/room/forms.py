"""What a person types in their own room about when mail may come."""

from datetime import time

from flask_babel import gettext
from wtforms import RadioField, SelectField, TimeField
from wtforms.validators import InputRequired, Optional

from outreach.domain.errors import InvalidInputError
from outreach.services.room.settings import Times
from outreach.web.asking import OwnForm
from outreach.web.choices import languages, zones
from outreach.web.language import later as _


class TimesForm(OwnForm):
    """Quiet hours: the usual ones, one's own, or none; time zone and language."""

    hours = RadioField(_("Quiet hours: nothing but what you ask for comes then"), [InputRequired()])
    quiet_from = TimeField(_("From"), [Optional(strip_whitespace=True)])
    quiet_to = TimeField(_("Until"), [Optional(strip_whitespace=True)])
    timezone = SelectField(_("Your time zone"))
    locale = SelectField(_("Language of pages and mails"), choices=languages)

    def offer(self, times: Times, region: str = "") -> "TimesForm":
        """Name the choices in the page's language; what stands is chosen until something was typed. `region`: whose
        time zones are offered beside the present one, "Europe" say; else those of its own.
        """
        usual = gettext("as usual here: at present there are none")
        if times.usual[0] != times.usual[1]:
            start, end = (_clock(minutes) for minutes in times.usual)
            usual = gettext("as usual here, from %(start)s until %(end)s", start=start, end=end)
        none = gettext("none, whatever is usual here")
        self.hours.choices = [("usual", usual), ("own", gettext("my own")), ("none", none)]
        typed = str(self.timezone.data or "")
        near = region_of(typed if typed in zones() else times.timezone)
        kept = {name for name in (times.timezone, typed) if name in zones()}
        self.timezone.choices = [
            (name, label) for name, label in zones().items() if name in kept or region_of(name) == (region or near)
        ]
        return self

    def wanted(self, times: Times) -> Times:
        """What was chosen.

        Raises InvalidInputError (field "quiet_from" or "quiet_to") for own hours without both times, or with one time
        twice, which might mean the whole day.
        """
        chosen = self.text("hours")
        own: tuple[int, int] | None = None
        if chosen == "none":
            own = (0, 0)
        elif chosen == "own":
            start, end = self.quiet_from.data, self.quiet_to.data
            if start is None or end is None:
                raise InvalidInputError("Give both times as hours and minutes. Nothing was changed.", "quiet_from")
            if start == end:
                words = "Leave at least two hours a day in which mail may come. Nothing was changed."
                raise InvalidInputError(words, "quiet_to")
            own = (_minutes(start), _minutes(end))
        return Times(own, times.usual, self.text("timezone"), self.text("locale"))


def shown(times: Times) -> dict[str, object]:
    """What the form holds at first, and what posting it again puts back."""
    hours = "usual" if times.own is None else "none" if times.own[0] == times.own[1] else "own"
    start, end = times.own if times.own is not None and hours == "own" else (None, None)
    return {
        "hours": hours,
        "quiet_from": None if start is None else time(start // 60, start % 60),
        "quiet_to": None if end is None else time(end // 60, end % 60),
        "timezone": times.timezone,
        "locale": times.locale,
    }


def _clock(minutes: int) -> str:
    """Minutes after midnight as 21:00."""
    return f"{minutes // 60 % 24:02}:{minutes % 60:02}"


def _minutes(value: time) -> int:
    return value.hour * 60 + value.minute


def regions() -> list[str]:
    """The parts of the world that time zones are named by."""
    return sorted({region_of(name) for name in zones()})


def region_of(zone: str) -> str:
    """ "Europe" of "Europe/Stockholm"."""
    return zone.partition("/")[0]
