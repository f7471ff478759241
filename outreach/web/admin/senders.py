"""Senders: the list, a form each, and the signing keys with the records to publish."""

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from outreach.domain.errors import InvalidInputError
from outreach.services import senders as service
from outreach.services.controller import see_controller
from outreach.web.admin.forms import SenderForm
from outreach.web.admin.slice import blueprint
from outreach.web.auth import current_actor, door
from outreach.web.home import context


@blueprint.get("/settings/senders")
@door("administrator")
def senders() -> ResponseReturnValue:
    return render_template("admin/senders.html", senders=service.list_senders(context(), current_actor()))


@blueprint.get("/settings/senders/new")
@door("administrator")
def new_sender() -> ResponseReturnValue:
    house = see_controller(context(), current_actor())
    form = SenderForm(data={"postal_address": house.postal_address if house else ""}).offer(_relays())
    return render_template("admin/sender_new.html", form=form)


@blueprint.post("/settings/senders/new")
@door("administrator")
def add_sender() -> ResponseReturnValue:
    form = SenderForm().offer(_relays())
    if form.validate():
        try:
            ref = service.add_sender(context(), current_actor(), _facts(form))
        except InvalidInputError as error:
            form.fail(error)
        else:
            flash("The sender is added. Now make its signing key.", "ok")
            return redirect(url_for("admin.sender", sender=ref), 303)
    return render_template("admin/sender_new.html", form=form), 422


@blueprint.get("/settings/senders/<ref:sender>")
@door("administrator")
def sender(sender: bytes) -> ResponseReturnValue:
    held, keys = service.see_sender(context(), current_actor(), sender)
    form = SenderForm(data=vars(held)).offer(_relays(), held.relay)
    return render_template("admin/sender.html", form=form, sender=held, keys=keys)


@blueprint.post("/settings/senders/<ref:sender>")
@door("administrator")
def edit_sender(sender: bytes) -> ResponseReturnValue:
    held, keys = service.see_sender(context(), current_actor(), sender)
    form = SenderForm().offer(_relays(), held.relay)
    if form.validate():
        try:
            service.edit_sender(context(), current_actor(), sender, _facts(form))
        except InvalidInputError as error:
            form.fail(error)
        else:
            flash("Saved.", "ok")
            return redirect(url_for("admin.sender", sender=sender), 303)
    return render_template("admin/sender.html", form=form, sender=held, keys=keys), 422


@blueprint.post("/settings/senders/<ref:sender>/key")
@door("administrator")
def make_key(sender: bytes) -> ResponseReturnValue:
    service.make_signing_key(context(), current_actor(), sender, request.form.get("kind", service.RSA))
    flash("A key is made. Publish its record, then start signing with it.", "ok")
    return redirect(url_for("admin.sender", sender=sender), 303)


@blueprint.post("/settings/senders/<ref:sender>/key/use")
@door("administrator")
def use_key(sender: bytes) -> ResponseReturnValue:
    service.use_signing_key(context(), current_actor(), sender, request.form.get("kind", service.RSA))
    flash("Mail of this sender is signed with the new key from now on.", "ok")
    return redirect(url_for("admin.sender", sender=sender), 303)


def _relays() -> list[str]:
    return sorted(context().settings.relays)


def _facts(form: SenderForm) -> service.SenderFacts:
    names = ("name", "postal_address", "from_local", "from_domain", "relay")
    return service.SenderFacts(**{name: form.text(name) for name in names})
