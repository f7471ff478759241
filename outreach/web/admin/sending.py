"""Sending: how fast mail leaves by each relay to each provider, and forgetting what refusals taught."""

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from outreach.domain.errors import ConflictError, InvalidInputError
from outreach.services import sending as service
from outreach.web.admin.forms import ForgetForm
from outreach.web.admin.slice import blueprint
from outreach.web.auth import current_actor, door
from outreach.web.home import context

PROVIDERS = {"gmail": "Gmail", "microsoft": "Microsoft", "yahoo": "Yahoo", "other": "all others"}


@blueprint.get("/settings/sending")
@door("administrator")
def sending() -> ResponseReturnValue:
    page = service.see_sending(context(), current_actor())
    return render_template("admin/sending.html", page=page, names=PROVIDERS)


@blueprint.get("/settings/sending/forget")
@door("administrator")
def forget_pace() -> ResponseReturnValue:
    asked = f"{request.args.get('provider', '')} {request.args.get('relay', '')}"
    return render_template("admin/sending_forget.html", form=ForgetForm(data={"pair": asked}).offer(_pairs()))


@blueprint.post("/settings/sending/forget")
@door("administrator")
def forget_pace_now() -> ResponseReturnValue:
    form = ForgetForm().offer(_pairs())
    if form.validate():
        provider, _, relay = form.text("pair").partition(" ")
        try:
            service.forget_pace(context(), current_actor(), relay, provider, form.text("reason"))
        except (ConflictError, InvalidInputError) as error:
            form.fail(error)
        else:
            flash(f"What was learned of {PROVIDERS[provider]} by {relay} is forgotten, and the log says why.", "ok")
            return redirect(url_for("admin.sending"), 303)
    return render_template("admin/sending_forget.html", form=form), 422


def _pairs() -> dict[str, str]:
    slowed = service.slowed_pairs(context(), current_actor())
    return {f"{one.provider} {one.relay}": f"{one.relay}: {PROVIDERS[one.provider]}" for one in slowed}
