"""The system page: settings in force, the store, the relays, and what keeps mail from real people."""

from flask import render_template
from flask.typing import ResponseReturnValue

from outreach.services.controller import system_status
from outreach.web.admin.slice import blueprint
from outreach.web.auth import current_actor, door
from outreach.web.home import context


@blueprint.get("/settings/system")
@door("administrator")
def system() -> ResponseReturnValue:
    return render_template("admin/system.html", status=system_status(context(), current_actor()))
