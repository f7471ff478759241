"""Pages about one's own data: asking for a fresh link, and what its owner sees and does there for half an hour."""

from flask import Response, abort, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from outreach.domain.errors import InvalidInputError
from outreach.services.rights import ask, room
from outreach.services.rights.carry_out import Correction
from outreach.services.rights.held import INSTANTS
from outreach.web.asking import AskForm
from outreach.web.auth import door
from outreach.web.home import context
from outreach.web.language import chosen_locale, speak_to, tell
from outreach.web.limits import network_prefix
from outreach.web.rights import words
from outreach.web.rights.forms import CorrectForm
from outreach.web.rights.slice import blueprint

__all__ = ["blueprint"]


@blueprint.get("/rights")
@door("visitor")
def start() -> ResponseReturnValue:
    return render_template("rights/start.html", form=AskForm())


@blueprint.post("/rights")
@door("visitor")
def start_now() -> ResponseReturnValue:
    form = AskForm()
    if form.validate():
        try:
            ask.submit_ask(context(), address=form.text("address"), network=network_prefix())
        except InvalidInputError as error:
            form.say(error)
        else:
            return redirect(url_for("rights.asked", lang=chosen_locale()), 303)
    return render_template("rights/start.html", form=form), 422


@blueprint.get("/rights/asked")
@door("visitor")
def asked() -> ResponseReturnValue:
    return render_template("rights/asked.html")


@blueprint.post("/rights/<token>/fresh")
@door("recipient")
def fresh(token: str) -> ResponseReturnValue:
    ask.renew(context(), token)
    return redirect(url_for("rights.asked", lang=chosen_locale()), 303)


@blueprint.get("/rights/<token>")
@door("recipient")
def own(token: str) -> ResponseReturnValue:
    here = _enter(token)
    return render_template("rights/room.html", room=here, token=token, kinds=words.kinds(), states=words.states())


@blueprint.post("/rights/<token>/ask")
@door("recipient")
def press(token: str) -> ResponseReturnValue:
    kind = request.form.get("kind", "")
    if kind not in words.kinds().keys() - {"correction"}:
        abort(400)
    _enter(token)
    made = room.ask(context(), token, kind)
    tell(_said(kind))
    if made.has_result:
        return redirect(url_for("rights.result", token=token, asked=made.ref, lang=chosen_locale()), 303)
    return _back(token)


@blueprint.post("/rights/<token>/lift")
@door("recipient")
def lift(token: str) -> ResponseReturnValue:
    _enter(token)
    if room.lift(context(), token):
        tell(gettext("The restriction is lifted. Mail you agreed to may come again."))
    return _back(token)


@blueprint.get("/rights/<token>/erase")
@door("recipient")
def erase(token: str) -> ResponseReturnValue:
    return render_template("rights/erase.html", room=_enter(token), token=token)


@blueprint.get("/rights/<token>/correct")
@door("recipient")
def correct(token: str) -> ResponseReturnValue:
    here = _enter(token)
    form = CorrectForm(formdata=None, data={"name": here.name, "locale": here.locale, "timezone": here.timezone})
    return render_template("rights/correct.html", form=form, room=here, token=token)


@blueprint.post("/rights/<token>/correct")
@door("recipient")
def correct_now(token: str) -> ResponseReturnValue:
    here = _enter(token)
    form = CorrectForm()
    if form.validate():
        wanted = Correction(form.text("name"), form.text("locale"), form.text("timezone"))
        try:
            has_changed = room.put_right(context(), token, wanted, form.text("words"))
        except InvalidInputError as error:
            form.say(error)
        else:
            if has_changed:
                tell(gettext("Kept. A mail confirms it."))
            return _back(token)
    return render_template("rights/correct.html", form=form, room=here, token=token), 422


@blueprint.get("/rights/<token>/result/<ref:asked>")
@door("recipient")
def result(token: str, asked: bytes) -> ResponseReturnValue:
    here, found = room.see_result(context(), token, asked)
    speak_to(here.locale, here.timezone)
    names = {"parts": words.parts(), "facts": words.facts(), "kinds": words.kinds()}
    facts = {"room": here, "result": found, "token": token, "asked": asked, "instants": INSTANTS}
    return render_template("rights/result.html", names=names, **facts)


@blueprint.get("/rights/<token>/result/<ref:asked>/data.json")
@door("recipient")
def data(token: str, asked: bytes) -> Response:
    _, found = room.see_result(context(), token, asked)
    answer = make_response(found.to_json())
    answer.headers["Content-Type"] = "application/json; charset=utf-8"
    answer.headers["Content-Disposition"] = 'attachment; filename="held-about-you.json"'
    return answer


def _enter(token: str) -> room.Room:
    """The room behind a link, in its owner's language."""
    here = room.see_room(context(), token)
    speak_to(here.locale, here.timezone)
    return here


def _back(token: str) -> ResponseReturnValue:
    return redirect(url_for("rights.own", token=token, lang=chosen_locale()), 303)


def _said(kind: str) -> str:
    return {
        "access": gettext("Here is everything held about you."),
        "portability": gettext("Here is what you gave us."),
        "erasure": gettext("You are being erased. A last mail tells you so; within hours all of it is gone."),
        "objection": gettext("You will get no more mail from us. It counts from the very next one."),
        "restriction": gettext("Held back. Nothing is sent to you, and nothing is deleted, until you lift it."),
    }[kind]
