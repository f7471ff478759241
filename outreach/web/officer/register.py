"""The register of processing: made anew at each look, printable, with an officer's notes in versions."""

from flask import abort, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from wtforms import HiddenField, TextAreaField
from wtforms.validators import Length

from outreach.domain.errors import ConflictError, InvalidInputError
from outreach.services.officer.register import LONGEST_NOTE, SECTIONS, note_history, see_register, write_note
from outreach.web.auth import current_actor, door
from outreach.web.forms import Form
from outreach.web.home import context
from outreach.web.officer.slice import blueprint


class NoteForm(Form):
    """What an officer adds to a part of the register. `version`: the one the form was opened on."""

    words = TextAreaField("Note", [Length(max=LONGEST_NOTE)])
    version = HiddenField()


@blueprint.get("/compliance/register")
@door("officer")
def register() -> ResponseReturnValue:
    seen = see_register(context(), current_actor())
    return render_template("officer/register.html", register=seen, sections=SECTIONS)


@blueprint.get("/compliance/register/<section>")
@door("officer")
def register_note(section: str) -> ResponseReturnValue:
    _check(section)
    notes = note_history(context(), current_actor(), section)
    newest = notes[0] if notes else None
    held = {"words": newest.words if newest else "", "version": newest.version if newest else 0}
    return _note_page(section, NoteForm(data=held, formdata=None))


@blueprint.post("/compliance/register/<section>")
@door("officer")
def write_register_note(section: str) -> ResponseReturnValue:
    _check(section)
    form = NoteForm()
    if form.validate():
        version = form.text("version")
        try:
            write_note(
                context(),
                current_actor(),
                section,
                form.text("words"),
                version=int(version) if version.isdecimal() else 0,
            )
        except (InvalidInputError, ConflictError) as error:
            form.fail(error)
        else:
            flash("The note is in the register. Earlier versions stay.", "ok")
            return redirect(url_for("officer.register"), 303)
    return _note_page(section, form), 422


def _check(section: str) -> None:
    if section not in SECTIONS:
        abort(404)


def _note_page(section: str, form: NoteForm) -> str:
    notes = note_history(context(), current_actor(), section)
    return render_template(
        "officer/register_note.html", section=section, title=SECTIONS[section], form=form, notes=notes
    )
