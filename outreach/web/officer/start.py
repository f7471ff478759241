"""The officer's first page: what needs doing, with the way to each; and finding somebody by what they wrote from."""

from flask import redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from outreach.domain.errors import InvalidInputError
from outreach.services.forecast import reason_words
from outreach.services.officer.look_up import look_up as look_up_somebody
from outreach.services.officer.start import see_start
from outreach.web.auth import current_actor, door
from outreach.web.home import context
from outreach.web.officer.forms import LookUpForm, VerifyForm
from outreach.web.officer.slice import blueprint


@blueprint.get("/compliance")
@door("officer")
def compliance() -> ResponseReturnValue:
    start = see_start(context(), current_actor())
    return render_template("officer/start.html", start=start, verify=VerifyForm(), reason_words=reason_words)


@blueprint.get("/compliance/find")
@door("officer")
def find() -> ResponseReturnValue:
    return render_template("officer/find.html", form=LookUpForm())


@blueprint.post("/compliance/find")
@door("officer")
def look_up() -> ResponseReturnValue:
    form = LookUpForm()
    if form.validate():
        try:
            found = look_up_somebody(context(), current_actor(), form.text("who"))
        except InvalidInputError as error:
            form.fail(error)
        else:
            if len(found.contacts) == 1 and not found.bars:
                return redirect(url_for("officer.contact", contact=found.contacts[0]), 303)
            return render_template("officer/found.html", found=found)
    form.who.data = ""
    return render_template("officer/find.html", form=form), 422
