"""A member's first page: their rooms, and what waits in each."""

from flask import render_template
from flask.typing import ResponseReturnValue

from outreach.services.members import see_account
from outreach.web.auth import current_actor, door
from outreach.web.home import context
from outreach.web.member.slice import blueprint


@blueprint.get("/me")
@door("member")
def dashboard() -> ResponseReturnValue:
    return render_template("member/dashboard.html", account=see_account(context(), current_actor()))
