"""Policies: what holds, what will and what held, and changing one for a reason, from an instant."""

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from outreach.domain.errors import InvalidInputError
from outreach.domain.policies import Name
from outreach.services.policies import changes, versions
from outreach.services.policies.changes import Changed
from outreach.services.policies.versions import PolicyView
from outreach.web.auth import current_actor, door, needs_proof
from outreach.web.formats import instant, number
from outreach.web.home import context
from outreach.web.officer.policy_forms import FORMS, ChangeForm
from outreach.web.officer.slice import blueprint


@blueprint.get("/compliance/policy")
@door("officer")
def policies() -> ResponseReturnValue:
    return render_template("officer/policies.html", policies=versions.list_policies(context(), current_actor()))


@blueprint.get("/compliance/policy/<policy>")
@door("officer")
def policy(policy: str) -> ResponseReturnValue:
    return render_template("officer/policy.html", policy=_see(policy))


@blueprint.get("/compliance/policy/<policy>/change")
@door("officer")
@needs_proof
def change_policy(policy: str) -> ResponseReturnValue:
    seen = _see(policy)
    kind = FORMS[seen.name]
    return _form(seen, kind(data=kind.typed(seen.value), formdata=None)), 200


@blueprint.post("/compliance/policy/<policy>/change")
@door("officer")
@needs_proof
def policy_changed(policy: str) -> ResponseReturnValue:
    seen = _see(policy)
    form = FORMS[seen.name]()
    if form.validate():
        try:
            value, start, reason = form.value(), form.starts(), form.text("reason")
            done = changes.change_policy(context(), current_actor(), seen.name, value, reason, start=start)
        except InvalidInputError as error:
            form.fail(_at_field(seen.name, error))
        else:
            flash(_told(done), "ok")
            return redirect(url_for("officer.policy", policy=seen.name), 303)
    return _form(seen, form), 422


def _see(name: str) -> PolicyView:
    return versions.see_policy(context(), current_actor(), name)


def _form(seen: PolicyView, form: ChangeForm) -> str:
    return render_template("officer/policy_change.html", policy=seen, form=form)


def _told(done: Changed) -> str:
    """What came of it, in a sentence or two."""
    if done.approval is not None:
        if done.ripe is not None:
            return "Nobody else could approve this, so it waits 24 hours. The log has it. Nothing holds yet."
        return "A second person has to approve this. It was asked for; nothing holds yet."
    if done.people:
        told = "1 person is" if done.people == 1 else f"{number(done.people)} people are"
        return f"{told} told first, from now on. It holds from {instant(done.since).striptags()} at the earliest."
    withheld = f" {number(done.withheld)} planned mails above it were withheld." if done.withheld else ""
    return f"This holds from {instant(done.since).striptags()} on.{withheld}"


def _at_field(name: Name, error: InvalidInputError) -> InvalidInputError:
    """Quiet hours are named otherwise on the form, where a field may not be called "from"."""
    if name == Name.QUIET_HOURS and error.field in {"from", "to"}:
        return InvalidInputError(str(error), f"quiet_{error.field}")
    return error
