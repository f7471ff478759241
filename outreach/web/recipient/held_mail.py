"""Deciding about a mail that waits, from the link in its warning: for who wrote it, with an account or without."""

from flask import redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from outreach.services.relaying import held
from outreach.web.auth import door
from outreach.web.home import context
from outreach.web.recipient.slice import blueprint, chosen_locale, speak_to, tell


@blueprint.get("/held-mail/<token>")
@door("recipient")
def held_mail(token: str) -> ResponseReturnValue:
    view = held.view_held(context(), token)
    speak_to(view.locale, view.timezone)
    return render_template("recipient/held_mail.html", view=view, token=token)


@blueprint.post("/held-mail/<token>/send")
@door("recipient")
def send_held(token: str) -> ResponseReturnValue:
    held.send_held(context(), token)
    return _back(token)


@blueprint.post("/held-mail/<token>/drop")
@door("recipient")
def drop_held(token: str) -> ResponseReturnValue:
    held.drop_held(context(), token)
    return _back(token)


@blueprint.post("/held-mail/<token>/renew")
@door("recipient")
def renew_held(token: str) -> ResponseReturnValue:
    held.renew_link(context(), token)
    tell(gettext("If it still waits, a fresh link is on its way to your address."))
    return _back(token)


def _back(token: str) -> ResponseReturnValue:
    return redirect(url_for("recipient.held_mail", token=token, lang=chosen_locale()), 303)
