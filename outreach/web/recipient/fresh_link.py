"""Links whose key leaked: they act no more, but one press mails their owner a fresh one."""

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from outreach.domain.tokens import MAIL_PURPOSES, TokenCompromisedError
from outreach.services.fresh_link import mail_fresh_link
from outreach.web.auth import door
from outreach.web.home import context
from outreach.web.recipient.slice import blueprint, chosen_locale


@blueprint.post("/stop/<token>/fresh")
@door("recipient")
def renew(token: str) -> ResponseReturnValue:
    mail_fresh_link(context(), token)
    return redirect(url_for("recipient.fresh_sent", lang=chosen_locale()), 303)


@blueprint.get("/fresh-link")
@door("recipient")
def fresh_sent() -> ResponseReturnValue:
    return render_template("recipient/fresh_sent.html")


@blueprint.errorhandler(TokenCompromisedError)
def _compromised(error: TokenCompromisedError) -> ResponseReturnValue:
    """One page for every such link: whether it was ever in a mail of ours is not looked at."""
    token = (request.view_args or {}).get("token") if error.purpose in MAIL_PURPOSES else None
    return render_template("recipient/compromised.html", token=token), 410
