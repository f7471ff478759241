"""What every page about one's own data shares: its language, who we are, and the links that no longer work."""

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from outreach.domain.errors import NotFoundError, TokenExpiredError
from outreach.services.public_text import see_house
from outreach.services.rights.erasure import WorksHereError
from outreach.web.faults import expect_faults
from outreach.web.home import context
from outreach.web.language import speak_as_asked

blueprint = Blueprint("rights", __name__)
blueprint.before_request(speak_as_asked)


@blueprint.context_processor
def _language() -> dict[str, object]:
    return {"house": see_house(context()), "ignores_cookies": False}


def lost(title: str, text: str, status: int, *, token: str | None = None) -> ResponseReturnValue:
    """A page for a link that leads nowhere. `token`: of one whose owner can be mailed a fresh one."""
    return render_template("rights/lost.html", title=title, text=text, token=token), status


expect_faults(blueprint, lost)


@blueprint.errorhandler(TokenExpiredError)
def _expired(_error: TokenExpiredError) -> ResponseReturnValue:
    text = gettext("Such a link works for half an hour. Nothing was changed.")
    return lost(gettext("This link is past its time"), text, 410, token=(request.view_args or {}).get("token"))


@blueprint.errorhandler(NotFoundError)
def _missing(_error: NotFoundError) -> ResponseReturnValue:
    text = gettext("An answer is kept for thirty days. Ask again, and it is made anew.")
    return lost(gettext("There is nothing here"), text, 404)


@blueprint.errorhandler(WorksHereError)
def _works_here(_error: WorksHereError) -> ResponseReturnValue:
    text = gettext("You work here, and the log must be able to explain what staff did. Speak to your administrator.")
    return lost(gettext("Nothing was erased"), text, 409)
