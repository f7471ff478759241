"""The log's pages: searching it, a timeline of what was found, one's saved searches, one entry in full."""

from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from wtforms import StringField
from wtforms.validators import InputRequired, Length

from outreach.domain.errors import InvalidInputError
from outreach.services.officer import saved
from outreach.services.officer.search import list_kinds, search_entries, see_entry, see_timeline
from outreach.web.auth import current_actor, door
from outreach.web.formats import reader_zone
from outreach.web.forms import Form
from outreach.web.home import context
from outreach.web.officer.forms import read_search
from outreach.web.officer.slice import blueprint

ASKED = ("kind", "actor", "since", "until", "contact", "topic", "campaign", "message")


class SaveForm(Form):
    """A name for the search on the page."""

    name = StringField("Name", [InputRequired("Give it a name."), Length(max=saved.LONGEST_NAME)])


@blueprint.get("/compliance/log")
@door("officer")
def log() -> ResponseReturnValue:
    return _page(_asked(request.args), SaveForm(formdata=None), request.args.get("before", ""))


@blueprint.post("/compliance/log/saved")
@door("officer")
def save_search() -> ResponseReturnValue:
    form = SaveForm()
    asked = _asked(request.form)
    if form.validate():
        try:
            read_search(asked)
            saved.save_search(context(), current_actor(), form.text("name"), asked)
        except InvalidInputError as error:
            form.fail(error)
        else:
            flash("The search is saved. It is yours alone.", "ok")
            return redirect(url_for("officer.log", **_filled(asked)), 303)
    return _page(asked, form, "", 422)


@blueprint.post("/compliance/log/saved/<ref:search>/forget")
@door("officer")
def forget_search(search: bytes) -> ResponseReturnValue:
    saved.forget_search(context(), current_actor(), search)
    flash("The search is forgotten.", "ok")
    return redirect(url_for("officer.log"), 303)


@blueprint.get("/compliance/log/entry/<int:entry>")
@door("officer")
def entry(entry: int) -> ResponseReturnValue:
    return render_template("officer/entry.html", entry=see_entry(context(), current_actor(), entry))


def _page(asked: dict[str, str], form: SaveForm, before: str, status: int = 200) -> ResponseReturnValue:
    page = timeline = None
    problem = ""
    try:
        search = read_search(asked)
    except InvalidInputError as error:
        problem, status = str(error), 422
    else:
        page = search_entries(context(), current_actor(), search, before=before)
        if not before:
            timeline = see_timeline(context(), current_actor(), search, reader_zone())
    return render_template(
        "officer/search.html",
        asked=asked,
        filled=_filled(asked),
        kinds=_kinds(),
        page=page,
        timeline=timeline,
        problem=problem,
        form=form,
        searches=saved.saved_searches(context(), current_actor()),
    ), status


def _asked(given: Any) -> dict[str, str]:
    return {name: given.get(name, "").strip() for name in ASKED}


def _filled(asked: dict[str, str]) -> dict[str, Any]:
    return {name: text for name, text in asked.items() if text}


def _kinds() -> list[str]:
    kinds = list_kinds(context(), current_actor())
    families = sorted({kind.partition(".")[0] + "." for kind in kinds})
    return sorted([*kinds, *families])
