"""What every recipient's page shares: its language, who we are, who pressed, and the links that no longer work."""

from dataclasses import dataclass

from flask import Blueprint, flash, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import get_locale, gettext
from werkzeug.exceptions import HTTPException

from outreach import translations
from outreach.domain.errors import NotFoundError, TokenError, TokenExpiredError
from outreach.services.confirm import Client
from outreach.services.public_text import see_house
from outreach.web.formats import speak
from outreach.web.home import context

blueprint = Blueprint("recipient", __name__)


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


IGNORE_COOKIES = frozenset({"recipient.sign_up", "recipient.one_click"})
"""Exempt from CSRF, because they read nothing of a session and their pages hold no form that would."""

_ALL = tuple(Tongue(code, translations.name_of(code)) for code in translations.LOCALES)


def chosen_locale() -> str | None:
    """The language asked for in the page's address, if it is one of ours."""
    return translations.closest(request.args.get("lang", ""))


def present_locale() -> str:
    """The language this page is being written in."""
    return translations.closest(str(get_locale())) or "en"


@blueprint.before_request
def _speak_as_asked() -> None:
    speak(chosen_locale() or _browsers() or "")


def _browsers() -> str | None:
    """The first of our languages a browser asks for; `sv-SE` will do with Swedish."""
    found = (translations.closest(tag) for tag in request.accept_languages.values())
    return next((locale for locale in found if locale), None)


def speak_to(locale: str, zone: str = "") -> None:
    """Answer in the language chosen on the page, else the person's own, else their browser's."""
    speak(chosen_locale() or translations.closest(locale) or _browsers() or "", zone)


def client() -> Client:
    """Who presses, as evidence."""
    return Client(ip=request.remote_addr or "", browser=request.user_agent.string)


def tell(text: str) -> None:
    """Say once, above the next page, what a press did."""
    flash(text, "ok")


@blueprint.context_processor
def _language() -> dict[str, object]:
    code = present_locale()
    chosen = chosen_locale()
    return {
        "language": Language(code, translations.direction(code), f"?lang={chosen}" if chosen else "", _ALL),
        "house": see_house(context()),
        "ignores_cookies": request.endpoint in IGNORE_COOKIES,
    }


def lost(title: str, text: str, status: int) -> ResponseReturnValue:
    """A page for a link that leads nowhere, with a way on."""
    return render_template("recipient/lost.html", title=title, text=text), status


@blueprint.errorhandler(TokenExpiredError)
def _expired(_error: TokenExpiredError) -> ResponseReturnValue:
    return lost(
        gettext("This link is past its time"),
        gettext("It worked for seven days. Nothing was changed, and the request is erased. Sign up again if you like."),
        410,
    )


@blueprint.errorhandler(TokenError)
def _foreign(_error: TokenError) -> ResponseReturnValue:
    return lost(
        gettext("This link is not complete"),
        gettext("It is not one of ours, or a part of it got lost. Nothing was changed. Copy the whole link."),
        404,
    )


@blueprint.errorhandler(NotFoundError)
def _missing(_error: NotFoundError) -> ResponseReturnValue:
    return lost(gettext("There is nothing here"), gettext("What was here is gone, or is no longer offered."), 404)


@blueprint.errorhandler(HTTPException)
def _refused(error: HTTPException) -> ResponseReturnValue | HTTPException:
    if error.code == 429:
        text = gettext("Too many requests came from your network. Nothing was lost; wait a minute and try again.")
        return lost(gettext("A little slower, please"), text, 429)
    if error.code == 400:
        text = gettext("Nothing was changed. Open the page again and use its buttons.")
        return lost(gettext("This request could not be read"), text, 400)
    return error
