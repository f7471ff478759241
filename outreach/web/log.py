"""One line a request: method, route rule, status, milliseconds, who. Never the path, which may hold a token."""

import time

import structlog
from flask import Flask, Response, g, request

from outreach.web.auth import SignedIn
from outreach.web.security import FILES

_log = structlog.get_logger("outreach.web")


def log_requests(app: Flask) -> None:
    """Log every answer but those of files under static/."""

    @app.before_request
    def _start() -> None:
        g.started = time.monotonic()

    @app.after_request
    def _line(response: Response) -> Response:
        if request.endpoint in FILES:
            return response
        elapsed = time.monotonic() - g.get("started", time.monotonic())
        _log.info(
            "request",
            method=request.method,
            rule=request.url_rule.rule if request.url_rule else "none",
            status=response.status_code,
            ms=round(elapsed * 1000, 1),
            actor=_who(),
        )
        return response


def _who() -> str:
    """The actor's name if a view asked who is signed in; looking it up only to log would cost a query."""
    user = g.get("_login_user")
    return user.session.actor.name if isinstance(user, SignedIn) else "open"
