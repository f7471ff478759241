"""Mails whose outcome nobody knows: groups of one cause, what is on record, and an officer's word on a whole group."""

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from wtforms import RadioField, TextAreaField
from wtforms.validators import InputRequired, Length

from outreach.domain.errors import InvalidInputError
from outreach.services.officer.unknown import Ruling, rule_on_group, see_group, see_unknown
from outreach.services.reasons import LONGEST_REASON
from outreach.web.auth import current_actor, door
from outreach.web.forms import Form
from outreach.web.home import context
from outreach.web.officer.slice import blueprint

_SAID = {
    Ruling.ARRIVED: "They are sent: {mails} that arrived.",
    Ruling.LOST: "They are failed: {mails} that did not arrive, and are never sent again.",
    Ruling.LEFT: "They are left as they are: {mails} whose outcome stays unknown.",
}


class RulingForm(Form):
    """What became of a group's mails, and how one knows; nothing is chosen beforehand."""

    ruling = RadioField(
        "What became of these mails",
        [InputRequired("Choose one.")],
        choices={
            Ruling.ARRIVED.value: "They arrived",
            Ruling.LOST.value: "They did not arrive. They cannot be sent again: they are failed",
            Ruling.LEFT.value: "Nobody can tell. Leave them unknown, and ask no more",
        },
    )
    reason = TextAreaField("How you know; the log keeps it", [InputRequired("Say how."), Length(max=LONGEST_REASON)])


@blueprint.get("/compliance/unknown")
@door("officer")
def unknown() -> ResponseReturnValue:
    return render_template("officer/unknown_groups.html", waiting=see_unknown(context(), current_actor()))


@blueprint.get("/compliance/unknown/<ref:group>")
@door("officer")
def unknown_group(group: bytes) -> ResponseReturnValue:
    seen = see_group(context(), current_actor(), group)
    return render_template("officer/unknown_group.html", group=seen, form=RulingForm(formdata=None))


@blueprint.post("/compliance/unknown/<ref:group>")
@door("officer")
def rule_on_unknown(group: bytes) -> ResponseReturnValue:
    form = RulingForm()
    if form.validate():
        ruling = Ruling(form.text("ruling"))
        try:
            count = rule_on_group(context(), current_actor(), group, ruling, form.text("reason"))
        except InvalidInputError as error:
            form.fail(error)
        else:
            flash(_SAID[ruling].format(mails=f"{count:,} mail{'' if count == 1 else 's'}"), "ok")
            return redirect(url_for("officer.unknown"), 303)
    seen = see_group(context(), current_actor(), group)
    return render_template("officer/unknown_group.html", group=seen, form=form), 422
