"""Bringing people from another system, and the form other sites may embed."""

from flask import render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import FileStorage

from outreach.domain.errors import ConflictError, InvalidInputError
from outreach.services.import_contacts import Import, apply_import, rehearse_import
from outreach.services.import_report import Report
from outreach.services.public_text import see_offer
from outreach.web.auth import current_actor, door
from outreach.web.desk.forms import ImportForm
from outreach.web.desk.slice import blueprint
from outreach.web.home import context


@blueprint.route("/audience/import", methods=["GET", "POST"])
@door("officer")
def import_page() -> ResponseReturnValue:
    form = ImportForm()
    report: Report | None = None
    if request.method != "POST":
        return render_template("desk/import.html", form=form, report=None)
    if form.validate():
        act = apply_import if request.form.get("act") == "import" else rehearse_import
        try:
            report = act(context(), current_actor(), _files(form))
        except (InvalidInputError, ConflictError) as error:
            form.fail(error)
    return render_template("desk/import.html", form=form, report=report), 422 if form.errors else 200


@blueprint.get("/embed/<slug>")
@door("marketer", "officer", "administrator")
def embed(slug: str) -> ResponseReturnValue:
    offer = see_offer(context(), request.args.get("lang", "en"), slug)
    return render_template("desk/embed.html", topic=offer.chosen, base=context().settings.public_url)


def _files(form: ImportForm) -> Import:
    return Import(
        rows=_bytes(form.rows.data) or b"",
        suppressions=_bytes(form.suppressions.data),
        no_suppressions=bool(form.no_suppressions.data),
    )


def _bytes(upload: object) -> bytes | None:
    return upload.read() or None if isinstance(upload, FileStorage) and upload.filename else None
