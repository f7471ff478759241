"""What every slice of pages for people without an account shares: their language, who we are, and links gone wrong."""

from typing import cast

from flask import Blueprint, g, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_wtf.csrf import CSRFError
from werkzeug.local import LocalProxy

from outreach.domain.errors import NotFoundError
from outreach.services.public_text import House, see_house
from outreach.web.faults import expect_faults
from outreach.web.home import context
from outreach.web.language import speak_as_asked


def for_people(blueprint: Blueprint, *, ignores_cookies: frozenset[str] = frozenset()) -> None:
    """Give the pages of `blueprint` what `layout/recipient.html` needs, and faults in their reader's language.

    `ignores_cookies`: endpoints that read nothing of a session.
    """

    def shared() -> dict[str, object]:
        return {
            "house": LocalProxy(_house),
            "ignores_cookies": request.endpoint in ignores_cookies,
        }

    blueprint.before_request(speak_as_asked)
    blueprint.context_processor(shared)
    expect_faults(blueprint, lost)
    blueprint.register_error_handler(NotFoundError, _missing)
    blueprint.register_error_handler(CSRFError, open_again)


def _house() -> House:
    """Who we are, for pages whose view has not given it to them: read when the page first asks."""
    if "house" not in g:
        g.house = see_house(context())
    return cast(House, g.house)


def lost(title: str, text: str, status: int) -> ResponseReturnValue:
    """A page for a link that leads nowhere, with a way on."""
    return render_template("recipient/lost.html", title=title, text=text), status


def _missing(_error: Exception) -> ResponseReturnValue:
    return lost(gettext("There is nothing here"), gettext("What was here is gone, or is no longer offered."), 404)


def open_again(_error: Exception) -> ResponseReturnValue:
    """A form whose token no longer fits, or a browser that keeps none."""
    text = gettext("This page was open for long, or your browser keeps no cookies. Nothing was changed; open it again.")
    return lost(gettext("Please open the page again"), text, 400)
