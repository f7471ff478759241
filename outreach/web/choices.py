"""The long lists forms choose from: countries, time zones, languages, roles."""

from functools import cache
from zoneinfo import available_timezones

from babel import Locale

from outreach.domain.actors import Role
from outreach.translations import LOCALES, name_of

ROLES = {
    Role.MARKETER.value: "Marketer: writes and schedules campaigns, never sees an address",
    Role.OFFICER.value: "Compliance officer: publishes consent texts, sets caps, audits, approves reveals",
    Role.ADMINISTRATOR.value: "Administrator: sets up senders, relays, keys and staff",
}


@cache
def countries() -> dict[str, str]:
    """ISO 3166 codes with English names, by name."""
    names = Locale("en").territories
    listed = [(code, str(name)) for code, name in names.items() if len(code) == 2 and code.isalpha()]
    shown = [pair for pair in listed if pair[0] not in {"EU", "EZ", "UN", "QO", "ZZ", "XA", "XB"}]
    return {"": "Choose a country", **dict(sorted(shown, key=lambda pair: pair[1]))}


@cache
def zones() -> dict[str, str]:
    """IANA time zones that are places, and UTC."""
    places = sorted(name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "SystemV/")))
    return {"UTC": "UTC", **{name: name.replace("_", " ") for name in places}}


def languages() -> dict[str, str]:
    """The languages recipients' pages speak."""
    return {code: name_of(code) for code in LOCALES}
