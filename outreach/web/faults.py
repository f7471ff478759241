"""Faults that pages for people who are no staff share, whatever they look like: a broken link, a request refused."""

from collections.abc import Callable

from flask import Blueprint
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from werkzeug.exceptions import HTTPException

from outreach.domain.errors import TokenError
from outreach.domain.tokens import TokenCompromisedError

Lost = Callable[[str, str, int], ResponseReturnValue]
"""Makes the page of a fault: title, text, status."""


def expect_faults(blueprint: Blueprint, lost: Lost) -> None:
    """Tell readers of this slice what went wrong, in their language, by a page of the slice's own."""

    def foreign(_error: TokenError) -> ResponseReturnValue:
        text = gettext("It is not one of ours, or a part of it got lost. Nothing was changed. Copy the whole link.")
        return lost(gettext("This link is not complete"), text, 404)

    def compromised(_error: TokenCompromisedError) -> ResponseReturnValue:
        text = gettext("The key that protected it became known to somebody else. Nothing was changed.")
        return lost(gettext("This link can no longer be trusted"), text, 410)

    def refused(error: HTTPException) -> ResponseReturnValue | HTTPException:
        if error.code == 429:
            text = gettext("Too many requests came from your network. Nothing was lost; wait a minute and try again.")
            return lost(gettext("A little slower, please"), text, 429)
        if error.code == 400:
            text = gettext("Nothing was changed. Open the page again and use its buttons.")
            return lost(gettext("This request could not be read"), text, 400)
        return error

    blueprint.register_error_handler(TokenError, foreign)
    blueprint.register_error_handler(TokenCompromisedError, compromised)
    blueprint.register_error_handler(HTTPException, refused)
