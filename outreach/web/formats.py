"""How values look on pages: instants in the reader's zone, numbers, frequencies, masked addresses, and the language."""

from datetime import UTC, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from babel.dates import format_datetime as babel_datetime
from flask import Flask, current_app, g, request
from flask_babel import Babel, get_locale, get_timezone, gettext, ngettext, refresh
from flask_babel import format_decimal as babel_decimal
from markupsafe import Markup

from outreach import translations
from outreach.domain import addresses
from outreach.web.auth import MEMBER, OPEN, present_session

LOCALES = {code: translations.name_of(code) for code in translations.LOCALES}
"""The languages recipients' pages speak, each as its speakers call it."""

_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def set_up_formats(app: Flask) -> None:
    """Install Flask-Babel and the filters `instant`, `number`, `duration`, `frequency`, `mask`."""
    Babel(app, locale_selector=_locale, timezone_selector=_zone)
    filters = {"instant": instant, "number": number, "duration": duration, "mask": addresses.mask, "day": day}
    app.jinja_env.filters.update(filters)
    app.jinja_env.globals["frequency"] = frequency


def speak(locale: str, zone: str = "") -> None:
    """Answer this request in `locale`, and show times in `zone`: a recipient's own, from their contact row."""
    g.locale = locale
    if zone:
        g.zone = zone
    refresh()


def instant(value: int | None) -> Markup:
    """UTC microseconds as <time> in the reader's zone, with UTC on hover."""
    return Markup("–") if value is None else _time(value, str(get_locale()), str(get_timezone()), "d MMMM y, HH:mm")


def day(value: int | None) -> Markup:
    """UTC microseconds as a date in the reader's zone."""
    return Markup("–") if value is None else _time(value, str(get_locale()), str(get_timezone()), "d MMMM y")


@lru_cache(maxsize=4096)  # one campaign's readers ask for the same few
def _time(value: int, locale: str, zone: str, pattern: str) -> Markup:
    moment = datetime.fromtimestamp(value / 1_000_000, UTC)
    shown = babel_datetime(moment, pattern, tzinfo=ZoneInfo(zone), locale=locale)
    if "HH" not in pattern:
        return Markup('<time datetime="{}">{}</time>').format(moment.isoformat(), shown)
    hover = f"{moment:%Y-%m-%d %H:%M} UTC"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(moment.isoformat(), hover, shown)


def number(value: int) -> str:
    """11904 as 11,904, the reader's way."""
    return str(babel_decimal(value))


def duration(seconds: int) -> str:
    """A length of time in words: 604800 is "7 days", 7200 "2 hours"."""
    if seconds % _DAY == 0:
        return str(ngettext("%(num)d day", "%(num)d days", seconds // _DAY))
    if seconds % _HOUR == 0:
        return str(ngettext("%(num)d hour", "%(num)d hours", seconds // _HOUR))
    return str(ngettext("%(num)d minute", "%(num)d minutes", max(1, seconds // _MINUTE)))


def frequency(n: int, seconds: int) -> str:
    """A promise in words: (2, 604800) is "2 a week", (5, 864000) "5 in 10 days"."""
    if seconds == _DAY:
        return str(gettext("%(n)d a day", n=n))
    if seconds == 7 * _DAY:
        return str(gettext("%(n)d a week", n=n))
    if seconds == 30 * _DAY:
        return str(gettext("%(n)d a month", n=n))
    return str(gettext("%(n)d in %(length)s", n=n, length=duration(seconds)))


def reader_zone() -> ZoneInfo:
    """The zone in which this reader sees and types times."""
    return ZoneInfo(str(get_timezone() or "UTC"))


def _actors() -> frozenset[str]:
    """Whose door the present page has."""
    view = current_app.view_functions.get(request.endpoint or "")
    return getattr(view, "actors", frozenset())


def _locale() -> str | None:
    """Staff read English. Members and recipients: their own language once we know them, what they ask for, or their
    browser's.
    """
    if not _actors() & (OPEN | {MEMBER}):
        return "en"
    chosen = g.get("locale") or request.args.get("lang")
    if chosen in LOCALES:
        return str(chosen)
    return request.accept_languages.best_match(LOCALES, "en")


def _zone() -> str:
    if "zone" in g:
        return str(g.zone)
    if not _actors() & OPEN:
        session = present_session()
        if session:
            return session.timezone
    return "UTC"
