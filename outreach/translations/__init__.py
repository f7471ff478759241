"""Catalogues of what recipients read: English in the templates, Swedish and Dutch beside this file.

`python -m outreach.translations` compiles them; `extract` refreshes them from the templates after a text changed.
"""

import gettext
from functools import lru_cache
from pathlib import Path

from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

LOCALES = ("en", "sv", "nl")
"""What a recipient's page and mail can be read in; the first is what templates are written in."""

FOLDER = Path(__file__).parent
DOMAIN = "messages"


def catalogue(locale: str) -> gettext.NullTranslations:
    """The catalogue of `locale` for `gettext` and `ngettext`; English for one we do not have."""
    return _catalogue(locale if locale in LOCALES else LOCALES[0])


def closest(wanted: str) -> str | None:
    """Our locale for a language tag such as `sv-SE`, if we have one."""
    primary = wanted.replace("_", "-").split("-")[0].lower()
    return primary if primary in LOCALES else None


def name_of(locale: str) -> str:
    """What speakers call it: Svenska."""
    return (Locale(locale).get_display_name(locale) or locale).capitalize()


@lru_cache(maxsize=64)
def direction(locale: str) -> str:
    """`ltr` or `rtl`, for the page's `dir`."""
    return str(Locale(locale).text_direction)


def catalogue_file(locale: str) -> Path:
    return FOLDER / locale / "LC_MESSAGES" / f"{DOMAIN}.po"


def compile_all() -> list[Path]:
    """Write each `.mo` that is missing or older than its `.po`. Returns what was written."""
    written = []
    for locale in LOCALES[1:]:
        source = catalogue_file(locale)
        target = source.with_suffix(".mo")
        if target.exists() and target.stat().st_mtime_ns >= source.stat().st_mtime_ns:
            continue
        with source.open("rb") as text:
            read = read_po(text, locale=locale, domain=DOMAIN)
        fresh = target.with_suffix(".mo.new")
        with fresh.open("wb") as binary:
            write_mo(binary, read)
        fresh.replace(target)
        written.append(target)
    return written


@lru_cache
def _catalogue(locale: str) -> gettext.NullTranslations:
    if locale == LOCALES[0]:
        return gettext.NullTranslations()
    compile_all()
    return gettext.translation(DOMAIN, FOLDER, [locale])
