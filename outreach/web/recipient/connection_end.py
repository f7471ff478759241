"""Ending a connection from the mail that told of it, for people without an account: one page, one button."""

from flask import redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from outreach.services import connections
from outreach.web.auth import door
from outreach.web.home import context
from outreach.web.recipient.slice import blueprint, chosen_locale, speak_to


@blueprint.get("/connection/<token>/end")
@door("recipient")
def connection_end(token: str) -> ResponseReturnValue:
    view = connections.view_end(context(), token)
    speak_to(view.locale, view.timezone)
    return render_template("recipient/connection_end.html", view=view, token=token)


@blueprint.post("/connection/<token>/end")
@door("recipient")
def end_connection(token: str) -> ResponseReturnValue:
    connections.end_by_link(context(), token)
    return redirect(url_for("recipient.connection_end", token=token, lang=chosen_locale()), 303)
