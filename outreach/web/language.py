"""The language of pages for people who do not work here: chosen on the page, their own, or their browser's."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from flask import Flask, flash, g, request
from flask_babel import get_locale, lazy_gettext
from werkzeug.local import LocalProxy

from outreach import translations
from outreach.web.formats import speak


@dataclass(frozen=True)
class Tongue:
    """One language a page can be read in."""

    code: str
    name: str


@dataclass(frozen=True)
class Language:
    """The page's language. `query`: what keeps a chosen one in links and forms, empty while it was not chosen."""

    code: str
    direction: str
    query: str
    all: tuple[Tongue, ...]


_ALL = tuple(Tongue(code, translations.name_of(code)) for code in translations.LOCALES)


def chosen_locale() -> str | None:
    """The language asked for in the page's address, if it is one of ours."""
    return translations.closest(request.args.get("lang", ""))


def present_locale() -> str:
    """The language this page is being written in."""
    return translations.closest(str(get_locale())) or "en"


def set_up_language(app: Flask) -> None:
    """Give every template `language`, a `Language`."""
    app.jinja_env.globals["language"] = LocalProxy(_present_language)


def _present_language() -> Language:
    code = present_locale()
    if "language" not in g or g.language.code != code:
        chosen = chosen_locale()
        g.language = Language(code, translations.direction(code), f"?lang={chosen}" if chosen else "", _ALL)
    return cast(Language, g.language)


def speak_as_asked() -> None:
    """Answer in the language chosen on the page, else the browser's."""
    speak(chosen_locale() or _browsers() or "")


def language_of_request() -> Callable[[str], str]:
    """What `speak_to` would speak to a reader whose own language is given, wherever it is asked."""
    chosen, browsers = chosen_locale(), _browsers()
    return lambda locale: chosen or translations.closest(locale) or browsers or translations.LOCALES[0]


def speak_to(locale: str, zone: str = "") -> None:
    """Answer in the language chosen on the page, else the person's own, else their browser's."""
    speak(language_of_request()(locale), zone)


def later(text: str) -> str:
    """`text` in the language of whichever page it is shown on, for labels of forms. Import it as `_`: so it is found
    for the catalogues.
    """
    return cast(str, lazy_gettext(text))


def tell(text: str) -> None:
    """Say once, above the next page, what a press did."""
    flash(text, "ok")


def _browsers() -> str | None:
    """The first of our languages a browser asks for; `sv-SE` will do with Swedish."""
    found = (translations.closest(tag) for tag in request.accept_languages.values())
    return next((locale for locale in found if locale), None)
