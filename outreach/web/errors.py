"""One table from errors to statuses. Pages say what happened; nothing private and nothing typed is echoed."""

import traceback
from pathlib import Path

import structlog
from flask import Flask, render_template
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from outreach.domain import errors

STATUS: dict[type[errors.OutreachError], int] = {
    errors.InvalidInputError: 422,
    errors.NotAllowedError: 403,
    errors.NotFoundError: 404,
    errors.ConflictError: 409,
    errors.TokenExpiredError: 410,
    errors.TokenError: 404,
    errors.SettingsError: 503,
    errors.AuditError: 503,
    errors.OutreachError: 500,
}

_TITLES = {
    400: "This request could not be read",
    403: "Not for this account",
    404: "There is nothing here",
    405: "This page cannot be used like that",
    409: "Things have changed meanwhile",
    410: "This link is past its time",
    413: "This is too large",
    421: "Not the right address",
    422: "Something needs correcting",
    429: "A little slower, please",
    503: "Not ready",
}
_TEXTS = {
    400: "Nothing was changed. Go back, reload the page and try again.",
    403: "Your account may not do this. Nothing was changed.",
    404: "The address may be mistyped, or what was here is gone.",
    405: "Nothing was changed. Start from the page with the button.",
    413: "Nothing was kept. Send a smaller file.",
    421: "This installation does not answer for that host name. Use the link exactly as you got it.",
    429: "Too many requests came from your network. Nothing was lost; wait a minute and try again.",
    503: "Nothing was changed. Try again later.",
}

_log = structlog.get_logger("outreach.web")


def status_of(error: errors.OutreachError) -> int:
    """The status of the nearest class in the table."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def handle_errors(app: Flask) -> None:
    """Answer every error with a page in the product's look."""
    app.register_error_handler(errors.OutreachError, _ours)
    app.register_error_handler(CSRFError, _csrf)
    app.register_error_handler(HTTPException, _http)
    if not app.testing:
        app.register_error_handler(Exception, _fault)


def page(status: int, text: str = "") -> tuple[str, int]:
    """An error page. `text` must be safe to show to anybody."""
    title = _TITLES.get(status, "Something went wrong here")
    words = text or _TEXTS.get(
        status, "It is our fault, and it was noted. Look whether what you sent was saved before you send it again."
    )
    return render_template("layout/error.html", title=title, text=words, status=status), status


def _ours(error: errors.OutreachError) -> tuple[str, int]:
    return page(status_of(error), str(error))


def _csrf(_error: CSRFError) -> tuple[str, int]:
    return page(
        400,
        "This form was opened before you signed in or out, or your browser keeps no cookies. "
        "Nothing was changed. Reload the page and send it again.",
    )


def _http(error: HTTPException) -> tuple[str, int] | HTTPException:
    if error.code is None or error.code < 400:
        return error
    return page(error.code)


def _fault(error: Exception) -> tuple[str, int]:
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    where = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in frames]
    _log.error("fault", error=type(error).__name__, where=where)  # never its message: it may hold what was typed
    return page(500)
