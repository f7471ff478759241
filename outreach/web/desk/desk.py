"""The desk for any member of staff: stops, deaths and opt-ins heard or read. It tells nobody who is known."""

from collections.abc import Callable

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from outreach.domain.errors import InvalidInputError
from outreach.services import desk
from outreach.services.public_text import see_offer
from outreach.web.auth import current_actor, door
from outreach.web.choices import languages
from outreach.web.desk.forms import DeathForm, OptInForm, StopForm
from outreach.web.desk.slice import blueprint
from outreach.web.forms import Form
from outreach.web.home import context


@blueprint.get("/desk")
@door("staff")
def start() -> ResponseReturnValue:
    return render_template("desk/desk.html")


@blueprint.route("/desk/stop", methods=["GET", "POST"])
@door("staff")
def stop() -> ResponseReturnValue:
    form = StopForm()
    form.topic.choices = {"": "Everything", **_topics()}
    return _serve(
        form,
        "desk/stop.html",
        lambda: desk.record_stop(
            context(), current_actor(), form.text("who"), form.text("reason"), topic=form.text("topic")
        ),
        "The stop is recorded. If this person is known to us, it counts from the very next mail.",
    )


@blueprint.route("/desk/deceased", methods=["GET", "POST"])
@door("staff")
def deceased() -> ResponseReturnValue:
    form = DeathForm()
    return _serve(
        form,
        "desk/deceased.html",
        lambda: desk.record_death(context(), current_actor(), form.text("who"), form.text("reason")),
        "It is recorded. Nothing is ever sent there again, no notice either.",
    )


@blueprint.route("/desk/opt-in", methods=["GET", "POST"])
@door("staff")
def opt_in() -> ResponseReturnValue:
    form = OptInForm()
    form.topics.choices = _topics()
    form.locale.choices = languages()

    def act() -> object:
        wish = desk.OptIn(
            address=form.text("address"),
            topics=form.topics.data or [],
            locale=form.text("locale"),
            source=form.text("source"),
            note=form.text("note"),
        )
        return desk.start_opt_in(context(), current_actor(), wish)

    return _serve(
        form,
        "desk/opt_in.html",
        act,
        "The wish is noted. If this address can get mail from us, it will be asked to confirm; nothing else is sent.",
    )


def _topics() -> dict[str, str]:
    return {topic.slug: topic.title for topic in see_offer(context(), "en").topics}


def _serve(form: Form, template: str, act: Callable[[], object], said: str) -> ResponseReturnValue:
    """Show the form, or act on it and say the same to everybody."""
    if request.method != "POST":
        return render_template(template, form=form)
    if form.validate():
        try:
            act()
        except InvalidInputError as error:
            form.fail(error)
        else:
            flash(said, "ok")
            return redirect(url_for("desk.start"), 303)
    return render_template(template, form=form), 422
