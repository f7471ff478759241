"""What waits for a second person: each request with its evidence beside the buttons, and what was answered."""

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from wtforms import TextAreaField
from wtforms.validators import InputRequired, Length

from outreach.domain.errors import ConflictError, InvalidInputError
from outreach.services.policies import approvals as service
from outreach.services.reasons import LONGEST_REASON
from outreach.web.auth import current_actor, door, needs_proof
from outreach.web.forms import Form
from outreach.web.home import context
from outreach.web.officer.slice import blueprint


class DeclineForm(Form):
    """Why not."""

    reason = TextAreaField("Why not", [InputRequired("Say why."), Length(max=LONGEST_REASON)])


@blueprint.get("/compliance/approvals")
@door("officer")
def approvals() -> ResponseReturnValue:
    return render_template("officer/approvals.html", desk=service.see_desk(context(), current_actor()))


@blueprint.get("/compliance/approvals/<ref:approval>")
@door("officer")
@needs_proof
def approval(approval: bytes) -> ResponseReturnValue:
    return _page(approval, DeclineForm(formdata=None)), 200


@blueprint.post("/compliance/approvals/<ref:approval>/approve")
@door("officer")
@needs_proof
def approve(approval: bytes) -> ResponseReturnValue:
    try:
        service.approve(context(), current_actor(), approval)
    except ConflictError as error:
        flash(str(error), "warn")
    else:
        flash("Approved. That you did is in the log.", "ok")
    return redirect(url_for("officer.approvals"), 303)


@blueprint.post("/compliance/approvals/<ref:approval>/decline")
@door("officer")
@needs_proof
def decline(approval: bytes) -> ResponseReturnValue:
    form = DeclineForm()
    if form.validate():
        try:
            service.decline(context(), current_actor(), approval, form.text("reason"))
        except InvalidInputError as error:
            form.fail(error)
        except ConflictError as error:
            flash(str(error), "warn")
            return redirect(url_for("officer.approvals"), 303)
        else:
            flash("Declined. Your reason is kept with it.", "ok")
            return redirect(url_for("officer.approvals"), 303)
    return _page(approval, form), 422


def _page(ref: bytes, form: DeclineForm) -> str:
    seen = service.see_request(context(), current_actor(), ref)
    return render_template("officer/approval.html", seen=seen, form=form)
