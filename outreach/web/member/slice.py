"""What every member's page shares: its language, who we are, and pages for what cannot be done or is not there."""

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from outreach.domain.errors import ConflictError, NotAllowedError, NotFoundError, TokenExpiredError
from outreach.services.members import SuspendedError
from outreach.services.public_text import see_house
from outreach.web.auth import MEMBER, present_session
from outreach.web.faults import expect_faults
from outreach.web.home import context
from outreach.web.language import speak_as_asked, speak_to

blueprint = Blueprint("member", __name__)


@blueprint.before_request
def _speak() -> None:
    present = present_session()
    if present is not None and present.kind == MEMBER:
        speak_to(present.locale, present.timezone)
    else:
        speak_as_asked()


@blueprint.context_processor
def _language() -> dict[str, object]:
    return {"house": see_house(context()), "ignores_cookies": False}


def lost(title: str, text: str, status: int) -> ResponseReturnValue:
    """A page for what is not there or cannot be done, with a way on."""
    return render_template("member/lost.html", title=title, text=text), status


expect_faults(blueprint, lost)


@blueprint.errorhandler(TokenExpiredError)
def _expired(_error: TokenExpiredError) -> ResponseReturnValue:
    text = gettext("Such a link works once, for half an hour. Nothing was changed. Ask for a fresh one.")
    return lost(gettext("This link is past its time"), text, 410)


@blueprint.errorhandler(NotFoundError)
def _missing(_error: NotFoundError) -> ResponseReturnValue:
    return lost(gettext("There is nothing here"), gettext("What was here is gone, or is not for this account."), 404)


@blueprint.errorhandler(SuspendedError)
def _suspended(_error: SuspendedError) -> ResponseReturnValue:
    return render_template("member/suspended.html"), 403


@blueprint.errorhandler(NotAllowedError)
def _refused(_error: NotAllowedError) -> ResponseReturnValue:
    return lost(gettext("Not for this account"), gettext("Your account may not do this. Nothing was changed."), 403)


@blueprint.errorhandler(ConflictError)
def _changed(_error: ConflictError) -> ResponseReturnValue:
    text = gettext("What you wanted to do is no longer possible, or was done already. Nothing was changed.")
    return lost(gettext("Things have changed meanwhile"), text, 409)
