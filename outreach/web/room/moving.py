"""Pages about going along to another address: asked for in the room, answered behind mailed links."""

from flask import abort, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from outreach.domain.errors import InvalidInputError
from outreach.services.room import moving
from outreach.services.room.moving import MoveView
from outreach.web.asking import AskForm
from outreach.web.auth import door
from outreach.web.home import context
from outreach.web.language import speak_to, tell
from outreach.web.limits import network_prefix
from outreach.web.room.slice import back, blueprint, client, greet


@blueprint.get("/room/<token>/address")
@door("recipient")
def address(token: str) -> ResponseReturnValue:
    return _address_page(token, AskForm(formdata=None))


@blueprint.post("/room/<token>/address")
@door("recipient")
def ask_move(token: str) -> ResponseReturnValue:
    greet(moving.see_moves(context(), token).room)
    form = AskForm()
    if form.validate():
        try:
            moving.ask_move(context(), token, form.text("address"), client(), network_prefix())
        except InvalidInputError as error:
            form.say(error)
        else:
            tell(gettext("If mail can go to that address, a question is on its way to it. Until then nothing changes."))
            return back("room.address", token)
    return _address_page(token, form), 422


@blueprint.post("/room/<token>/address/stop")
@door("recipient")
def stop_move(token: str) -> ResponseReturnValue:
    greet(moving.see_moves(context(), token).room)
    stopped = moving.stop_here(context(), token)
    tell(gettext("Stopped. All stays at this address.") if stopped else gettext("There is nothing left to stop."))
    return back("room.address", token)


@blueprint.get("/moving/<token>")
@door("recipient")
def arriving(token: str) -> ResponseReturnValue:
    return _arriving_page(token, moving.view_move(context(), token))


@blueprint.post("/moving/<token>")
@door("recipient")
def answer_move(token: str) -> ResponseReturnValue:
    answer = request.form.get("answer", "")
    if answer not in {"yes", "no"}:
        abort(400)
    if answer == "no":
        moving.say_no(context(), token)
        return back("room.arriving", token)
    code, is_human = request.form.get("code", "")[:40], request.form.get("human") == "yes"
    try:
        view = moving.say_yes(context(), token, client(), code=code, is_human=is_human)
    except InvalidInputError:
        fault = gettext("This is not the code in the room of the other address. Nothing was changed.")
        fault = fault if code.strip() else gettext("Type the code that the room of the other address shows.")
        return _arriving_page(token, moving.view_move(context(), token), typed=code, fault=fault), 422
    return _arriving_page(token, view, typed=code) if view.needs_step else back("room.arriving", token)


@blueprint.get("/keep/<token>")
@door("recipient")
def leaving(token: str) -> ResponseReturnValue:
    return _leaving_page(token, moving.view_keep(context(), token))


@blueprint.post("/keep/<token>")
@door("recipient")
def keep(token: str) -> ResponseReturnValue:
    moving.keep(context(), token)
    return back("room.leaving", token)


def _address_page(token: str, form: AskForm) -> str:
    seen = moving.see_moves(context(), token)
    greet(seen.room)
    return render_template("room/address.html", seen=seen, form=form, token=token)


def _arriving_page(token: str, view: MoveView, *, typed: str = "", fault: str = "") -> str:
    """`typed`: the code; `fault`: what is wrong with it."""
    speak_to(view.locale, view.timezone)
    return render_template("room/arriving.html", view=view, token=token, typed=typed, fault=fault)


def _leaving_page(token: str, view: MoveView) -> str:
    speak_to(view.locale, view.timezone)
    return render_template("room/leaving.html", view=view, token=token)
