"""The officer's page of witnesses: what of the log is published, who took it, and what is wrong with whom."""

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from outreach.services.transparency import witnesses as service
from outreach.web.auth import current_actor, door
from outreach.web.home import context
from outreach.web.officer.slice import blueprint


@blueprint.get("/compliance/witnesses")
@door("officer")
def witnesses() -> ResponseReturnValue:
    seen = service.see_witnesses(context(), current_actor())
    every = context().settings.log_publish_minutes
    return render_template("officer/witnesses.html", seen=seen, every=every)


@blueprint.post("/compliance/witnesses")
@door("officer")
def ask_witness() -> ResponseReturnValue:
    service.ask_again(context(), current_actor(), request.form.get("witness", ""))
    flash("It is asked within half a minute. Reload this page to see what came of it.", "ok")
    return redirect(url_for("officer.witnesses"), 303)
