"""Staff: the list, inviting, roles, closing and opening accounts. What changes power asks for the password again."""

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from outreach.domain.actors import Role
from outreach.domain.errors import ConflictError, InvalidInputError
from outreach.services import staff as service
from outreach.web.admin.forms import InviteForm, RolesForm
from outreach.web.admin.slice import blueprint
from outreach.web.auth import current_actor, current_session, door, needs_proof
from outreach.web.home import context


@blueprint.get("/settings/staff")
@door("administrator")
def staff() -> ResponseReturnValue:
    return render_template("admin/staff.html", members=service.list_staff(context(), current_actor()))


@blueprint.get("/settings/staff/invite")
@door("administrator")
@needs_proof
def invite() -> ResponseReturnValue:
    return render_template("admin/invite.html", form=InviteForm())


@blueprint.post("/settings/staff/invite")
@door("administrator")
@needs_proof
def invite_now() -> ResponseReturnValue:
    form = InviteForm()
    if form.validate():
        invitation = service.Invitation(
            name=form.text("name"), address=form.text("address"), roles=_roles(form.roles.data)
        )
        try:
            service.invite_staff(context(), current_session(), invitation)
        except InvalidInputError as error:
            form.fail(error)
        else:
            flash("The account is made, and a link to choose a password is on its way.", "ok")
            return redirect(url_for("admin.staff"), 303)
    return render_template("admin/invite.html", form=form), 422


@blueprint.get("/settings/staff/<ref:member>")
@door("administrator")
@needs_proof
def member(member: bytes) -> ResponseReturnValue:
    held = service.see_member(context(), current_actor(), member)
    form = RolesForm(data={"roles": [role.value for role in held.roles]})
    return render_template("admin/member.html", form=form, member=held)


@blueprint.post("/settings/staff/<ref:member>")
@door("administrator")
@needs_proof
def change_roles(member: bytes) -> ResponseReturnValue:
    form = RolesForm()
    try:
        if form.validate():
            service.change_roles(context(), current_session(), member, _roles(form.roles.data))
            flash("The roles are changed. They count from the next page on.", "ok")
            return redirect(url_for("admin.staff"), 303)
    except InvalidInputError as error:
        form.fail(error)
    except ConflictError as error:
        form.fail(InvalidInputError(str(error), "roles"))
    held = service.see_member(context(), current_actor(), member)
    return render_template("admin/member.html", form=form, member=held), 422


@blueprint.post("/settings/staff/<ref:member>/invite-again")
@door("administrator")
@needs_proof
def invite_again(member: bytes) -> ResponseReturnValue:
    service.invite_again(context(), current_session(), member)
    flash("A fresh link is on its way; earlier ones no longer work.", "ok")
    return redirect(url_for("admin.staff"), 303)


@blueprint.post("/settings/staff/<ref:member>/disable")
@door("administrator")
@needs_proof
def disable(member: bytes) -> ResponseReturnValue:
    paused = service.disable_staff(context(), current_session(), member)
    words = "The account is disabled and its sessions are ended."
    if paused:
        words += f" {paused} of their campaigns are paused until another marketer adopts them."
    flash(words, "ok")
    return redirect(url_for("admin.staff"), 303)


@blueprint.post("/settings/staff/<ref:member>/enable")
@door("administrator")
@needs_proof
def enable(member: bytes) -> ResponseReturnValue:
    service.enable_staff(context(), current_session(), member)
    flash("The account is open again. Paused campaigns stay paused.", "ok")
    return redirect(url_for("admin.staff"), 303)


def _roles(typed: list[str] | None) -> frozenset[Role]:
    return frozenset(Role(role) for role in typed or [])
