"""The officer takes a part of the log out, as a signed ZIP that can be checked without us."""

from collections.abc import Iterator

from flask import Response, render_template, request
from flask.typing import ResponseReturnValue
from wtforms import SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length, Optional

from outreach.domain.errors import OutreachError
from outreach.services.exports.make import Export, make_export
from outreach.services.exports.wanted import Wanted, What, read_wanted
from outreach.services.reasons import LONGEST_REASON
from outreach.web.auth import current_actor, door, needs_proof
from outreach.web.formats import reader_zone
from outreach.web.forms import Form
from outreach.web.home import context
from outreach.web.officer.slice import blueprint

MOST = 100_000
"""Entries a browser waits for."""

_NAMES = {
    What.WHOLE: "The whole log",
    What.PERIOD: "A period",
    What.CONTACT: "One person",
    What.CAMPAIGN: "One campaign",
    What.TOPIC: "One topic",
}


class ExportForm(Form):
    """What to take out, and why."""

    what = SelectField("What", choices={str(what): name for what, name in _NAMES.items()})
    ref = StringField("Reference of the person, campaign or topic", [Optional(), Length(max=64)])
    since = StringField("First day of a period", [Optional(), Length(max=10)])
    until = StringField("Last day of a period", [Optional(), Length(max=10)])
    held = TextAreaField("A checkpoint kept elsewhere", [Optional(), Length(max=4000)])
    reason = TextAreaField("Why you need it", [InputRequired("Say why."), Length(max=LONGEST_REASON)])

    def wanted(self) -> Wanted:
        """Raises InvalidInputError for what cannot be read. Days are the reader's."""
        return read_wanted({name: self.text(name) for name in ("what", "ref", "since", "until", "held")}, reader_zone())


@blueprint.get("/compliance/exports")
@door("officer")
@needs_proof
def exports() -> ResponseReturnValue:
    asked = {name: request.args[name] for name in ("what", "ref") if name in request.args}
    return render_template("officer/exports.html", form=ExportForm(data=asked, formdata=None))


@blueprint.post("/compliance/exports")
@door("officer")
@needs_proof
def export_now() -> ResponseReturnValue:
    form = ExportForm()
    if form.validate():
        try:
            made = make_export(context(), current_actor(), form.wanted(), form.text("reason"), most=MOST)
        except OutreachError as error:
            form.fail(error)
        else:
            return _download(made)
    return render_template("officer/exports.html", form=form), 422


def _download(made: Export) -> Response:
    answer = Response(_pieces(made), mimetype="application/zip")
    answer.headers["Content-Disposition"] = f'attachment; filename="{made.name}"'
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _pieces(made: Export) -> Iterator[bytes]:
    yield from filter(None, made.octets)  # an empty piece would end the answer early
