"""The organisation's page: who answers for the data, and where."""

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from outreach.domain.errors import ConflictError, InvalidInputError
from outreach.services.controller import Controller, edit_controller, see_controller
from outreach.web.admin.forms import OrganisationForm
from outreach.web.admin.slice import blueprint
from outreach.web.auth import current_actor, door
from outreach.web.home import context


@blueprint.get("/settings")
@door("administrator")
def organisation() -> ResponseReturnValue:
    held = see_controller(context(), current_actor())
    if held is None:
        raise ConflictError("The installation has not been set up yet. Use the set-up link first.")
    return render_template("admin/organisation.html", form=OrganisationForm(data=vars(held)))


@blueprint.post("/settings")
@door("administrator")
def edit_organisation() -> ResponseReturnValue:
    form = OrganisationForm()
    if form.validate():
        try:
            edit_controller(context(), current_actor(), _controller_of(form))
        except InvalidInputError as error:
            form.fail(error)
        else:
            flash("Saved.", "ok")
            return redirect(url_for("admin.organisation"), 303)
    return render_template("admin/organisation.html", form=form), 422


def _controller_of(form: OrganisationForm) -> Controller:
    return Controller(
        name=form.text("name"),
        postal_address=form.text("postal_address"),
        country=form.text("country"),
        privacy_contact=form.text("privacy_contact"),
        locale=form.text("locale"),
        timezone=form.text("timezone"),
    )
