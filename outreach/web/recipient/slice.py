"""What every recipient's page shares: its language, who we are, who pressed, and the links that no longer work."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from werkzeug.exceptions import HTTPException

from outreach.domain.errors import NotFoundError, TokenError, TokenExpiredError
from outreach.services.confirm import Client
from outreach.services.public_text import see_house
from outreach.web.home import context
from outreach.web.language import chosen_locale, present_language, present_locale, speak_as_asked, speak_to, tell

__all__ = ["blueprint", "chosen_locale", "client", "lost", "present_locale", "speak_to", "tell"]

blueprint = Blueprint("recipient", __name__)


IGNORE_COOKIES = frozenset({"recipient.sign_up", "recipient.one_click"})
"""Exempt from CSRF, because they read nothing of a session and their pages hold no form that would."""

blueprint.before_request(speak_as_asked)


def client() -> Client:
    """Who presses, as evidence."""
    return Client(ip=request.remote_addr or "", browser=request.user_agent.string)


@blueprint.context_processor
def _language() -> dict[str, object]:
    return {
        "language": present_language(),
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
