"""The officer's first page of invitations, volumes and inviters, and the rules of inviting."""

from flask import render_template, request
from flask.typing import ResponseReturnValue

from outreach.domain.policies import Name, inviting
from outreach.services import invitation_desk
from outreach.services.policies.versions import see_policy
from outreach.web.auth import current_actor, door
from outreach.web.home import context
from outreach.web.officer.slice import blueprint


@blueprint.get("/invitations")
@door("officer")
def inviters() -> ResponseReturnValue:
    page = request.args.get("page", 1, type=int)
    return render_template(
        "officer/invitations.html",
        overview=invitation_desk.see_volumes(context(), current_actor()),
        inviters=invitation_desk.list_inviters(context(), current_actor(), page),
        by_mail=inviting(see_policy(context(), current_actor(), Name.INVITATIONS).value).by_mail,
    )


@blueprint.get("/invitations/policy")
@door("officer")
def invitation_rules() -> ResponseReturnValue:
    rules = see_policy(context(), current_actor(), Name.INVITATIONS)
    return render_template("officer/invitation_policy.html", rules=rules, policy=inviting(rules.value))
