"""What recipients' pages share beyond any for people without an account: who pressed, and links past their time."""

from flask import Blueprint, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from outreach.domain.errors import TokenExpiredError
from outreach.services.confirm import Client
from outreach.web.language import chosen_locale, present_locale, speak_to, tell
from outreach.web.people import for_people, lost

__all__ = ["blueprint", "chosen_locale", "client", "lost", "present_locale", "speak_to", "tell"]

blueprint = Blueprint("recipient", __name__)


IGNORE_COOKIES = frozenset({"recipient.sign_up", "recipient.one_click"})
"""Exempt from CSRF, because they read nothing of a session and their pages hold no form that would."""

for_people(blueprint, ignores_cookies=IGNORE_COOKIES)


def client() -> Client:
    """Who presses, as evidence."""
    return Client(ip=request.remote_addr or "", browser=request.user_agent.string)


@blueprint.errorhandler(TokenExpiredError)
def _expired(_error: TokenExpiredError) -> ResponseReturnValue:
    return lost(
        gettext("This link is past its time"),
        gettext("It worked for seven days. Nothing was changed, and the request is erased. Sign up again if you like."),
        410,
    )
