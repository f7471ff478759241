"""The officer's first page of invitations, volumes and inviters, and the rules of inviting."""

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from outreach.domain.errors import InvalidInputError
from outreach.services import invitation_desk, invitation_policy
from outreach.web.auth import current_actor, door, needs_proof
from outreach.web.home import context
from outreach.web.officer.invitation_forms import PolicyForm, typed_policy
from outreach.web.officer.slice import blueprint


@blueprint.get("/invitations")
@door("officer")
def inviters() -> ResponseReturnValue:
    page = request.args.get("page", 1, type=int)
    return render_template(
        "officer/invitations.html",
        overview=invitation_desk.see_volumes(context(), current_actor()),
        inviters=invitation_desk.list_inviters(context(), current_actor(), page),
        rules=invitation_policy.see_policy(context(), current_actor()),
    )


@blueprint.get("/invitations/policy")
@door("officer")
def invitation_rules() -> ResponseReturnValue:
    rules = invitation_policy.see_policy(context(), current_actor())
    return render_template("officer/invitation_policy.html", rules=rules)


@blueprint.get("/invitations/policy/change")
@door("officer")
@needs_proof
def change_invitation_rules() -> ResponseReturnValue:
    rules = invitation_policy.see_policy(context(), current_actor())
    form = PolicyForm(data=typed_policy(rules.policy), formdata=None)
    return render_template("officer/invitation_policy_change.html", form=form, rules=rules)


@blueprint.post("/invitations/policy")
@door("officer")
@needs_proof
def invitation_rules_changed() -> ResponseReturnValue:
    form = PolicyForm()
    if form.validate():
        try:
            invitation_policy.change_policy(context(), current_actor(), form.policy(), form.text("reason"))
        except InvalidInputError as error:
            form.fail(error)
        else:
            flash("These rules hold from now on, for what waits too.", "ok")
            return redirect(url_for("officer.invitation_rules"), 303)
    rules = invitation_policy.see_policy(context(), current_actor())
    return render_template("officer/invitation_policy_change.html", form=form, rules=rules), 422
