"""What came back: rates against the lines, every report in words, and undoing one that was wrong."""

from flask import flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from wtforms import TextAreaField
from wtforms.validators import InputRequired, Length

from outreach.domain.errors import ConflictError, InvalidInputError
from outreach.services.intake import figures
from outreach.services.intake import reports as service
from outreach.services.intake.undo import undo_report
from outreach.services.reasons import LONGEST_REASON
from outreach.web.auth import current_actor, door, needs_proof
from outreach.web.forms import Form
from outreach.web.home import context
from outreach.web.officer.slice import blueprint


class UndoForm(Form):
    """Why a report is wrong."""

    reason = TextAreaField("Why it is wrong", [InputRequired("Say why."), Length(max=LONGEST_REASON)])


@blueprint.get("/compliance/reports")
@door("officer")
def reports() -> ResponseReturnValue:
    return render_template(
        "officer/reports.html",
        rates=figures.see_rates(context(), current_actor()),
        reports=service.list_reports(context(), current_actor()),
        stuck=service.stuck_mails(context(), current_actor()),
        days=figures.DAYS,
        wanted=figures.WANTED,
        never=figures.NEVER,
    )


@blueprint.post("/compliance/reports/again")
@door("officer")
def take_up_again() -> ResponseReturnValue:
    count = service.take_up_again(context(), current_actor())
    flash(f"{count:,} mail{' is' if count == 1 else 's are'} looked at once more, within a second or two.", "ok")
    return redirect(url_for("officer.reports"), 303)


@blueprint.get("/compliance/reports/<ref:report>/undo")
@door("officer")
@needs_proof
def undo(report: bytes) -> ResponseReturnValue:
    return _page(report, UndoForm(formdata=None))


@blueprint.post("/compliance/reports/<ref:report>/undo")
@door("officer")
@needs_proof
def undo_now(report: bytes) -> ResponseReturnValue:
    form = UndoForm()
    if form.validate():
        try:
            restored = undo_report(context(), current_actor(), report, form.text("reason"))
        except InvalidInputError as error:
            form.fail(error)
        except ConflictError as error:
            flash(str(error), "warn")
            return redirect(url_for("officer.reports"), 303)
        else:
            flash(f"The report is undone. Consents that live again: {restored:,}.", "ok")
            return redirect(url_for("officer.reports"), 303)
    return _page(report, form, 422)


def _page(report: bytes, form: UndoForm, status: int = 200) -> ResponseReturnValue:
    shown = service.see_report(context(), current_actor(), report)
    return render_template("officer/report_undo.html", report=shown, form=form), status
