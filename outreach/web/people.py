"""What every slice of pages for people without an account shares: their language, who we are, and links gone wrong."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from outreach.domain.errors import NotFoundError, TokenError
from outreach.services.public_text import see_house
from outreach.web.home import context
from outreach.web.language import present_language, speak_as_asked


def for_people(blueprint: Blueprint, *, ignores_cookies: frozenset[str] = frozenset()) -> None:
    """Give the pages of `blueprint` what `layout/recipient.html` needs, and faults in their reader's language.

    `ignores_cookies`: endpoints that read nothing of a session.
    """

    def shared() -> dict[str, object]:
        return {
            "language": present_language(),
            "house": see_house(context()),
            "ignores_cookies": request.endpoint in ignores_cookies,
        }

    blueprint.before_request(speak_as_asked)
    blueprint.context_processor(shared)
    blueprint.register_error_handler(TokenError, _foreign)
    blueprint.register_error_handler(NotFoundError, _missing)
    blueprint.register_error_handler(CSRFError, open_again)
    blueprint.register_error_handler(HTTPException, _refused)


def lost(title: str, text: str, status: int) -> ResponseReturnValue:
    """A page for a link that leads nowhere, with a way on."""
    return render_template("recipient/lost.html", title=title, text=text), status


def _foreign(_error: Exception) -> ResponseReturnValue:
    return lost(
        gettext("This link is not complete"),
        gettext("It is not one of ours, or a part of it got lost. Nothing was changed. Copy the whole link."),
        404,
    )


def _missing(_error: Exception) -> ResponseReturnValue:
    return lost(gettext("There is nothing here"), gettext("What was here is gone, or is no longer offered."), 404)


def open_again(_error: Exception) -> ResponseReturnValue:
    """A form whose token no longer fits, or a browser that keeps none."""
    text = gettext("This page was open for long, or your browser keeps no cookies. Nothing was changed; open it again.")
    return lost(gettext("Please open the page again"), text, 400)


def _refused(error: HTTPException) -> ResponseReturnValue | HTTPException:
    if error.code == 429:
        text = gettext("Too many requests came from your network. Nothing was lost; wait a minute and try again.")
        return lost(gettext("A little slower, please"), text, 429)
    if error.code == 400:
        text = gettext("Nothing was changed. Open the page again and use its buttons.")
        return lost(gettext("This request could not be read"), text, 400)
    return error
