"""A person's own room: the way in, their topics, and what they press about each of them or about all."""

from datetime import date

from flask import abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from outreach.domain.errors import InvalidInputError
from outreach.domain.own_limits import PAUSES, check_pause, pause_for, pause_until
from outreach.services.rights import ask
from outreach.services.room import pressing, topics
from outreach.services.room.pressing import Act, Press, Was
from outreach.services.room.topics import RoomView
from outreach.web.asking import AskForm
from outreach.web.auth import door
from outreach.web.home import context
from outreach.web.language import chosen_locale, tell
from outreach.web.limits import network_prefix
from outreach.web.room import words
from outreach.web.room.caps import cap_value, read_cap
from outreach.web.room.slice import back, blueprint, client, forget, greet, remember, way_back


@blueprint.get("/room")
@door("visitor")
def start() -> ResponseReturnValue:
    return render_template("room/start.html", form=AskForm())


@blueprint.post("/room")
@door("visitor")
def start_now() -> ResponseReturnValue:
    form = AskForm()
    if form.validate():
        try:
            ask.submit_ask(context(), address=form.text("address"), network=network_prefix(), leads="room")
        except InvalidInputError as error:
            form.say(error)
        else:
            return redirect(url_for("room.asked", lang=chosen_locale()), 303)
    return render_template("room/start.html", form=form), 422


@blueprint.get("/room/asked")
@door("visitor")
def asked() -> ResponseReturnValue:
    return render_template("room/asked.html")


@blueprint.post("/room/<token>/fresh")
@door("recipient")
def fresh(token: str) -> ResponseReturnValue:
    ask.renew(context(), token, leads="room")
    return redirect(url_for("room.asked", lang=chosen_locale()), 303)


@blueprint.get("/room/<token>")
@door("recipient")
def own(token: str) -> ResponseReturnValue:
    room = greet(topics.see_room(context(), token))
    return render_template("room/own.html", room=room, token=token, undo=way_back(token))


@blueprint.get("/room/<token>/topic/<ref:topic>")
@door("recipient")
def topic(token: str, topic: bytes) -> ResponseReturnValue:
    return _topic_page(token, topic), 200


@blueprint.post("/room/<token>/topics")
@door("recipient")
def change(token: str) -> ResponseReturnValue:
    """One press about the topics named, or with `all` about every one it fits."""
    room = greet(topics.see_room(context(), token))
    named = None if "all" in request.form else _named()
    one = named[0] if named is not None and len(named) == 1 else None
    try:
        wanted = _press(room)
        changed = pressing.press(context(), token, named, wanted, client())
    except InvalidInputError as error:
        if one is None:
            return render_template("room/own.html", room=room, token=token, undo=None, fault=words.refusal(error)), 422
        return _topic_page(token, one, words.refusal(error)), 422
    _remember(token, wanted, changed)
    tell(_said(wanted, changed))
    return back("room.own", token) if one is None else back("room.topic", token, topic=one)


def _topic_page(token: str, ref: bytes, fault: str = "") -> str:
    room, found = topics.see_topic(context(), token, ref)
    greet(room)
    shown = {"room": room, "topic": found, "fault": fault, "pauses": PAUSES}
    return render_template("room/topic.html", token=token, undo=None if fault else way_back(token), **shown)


def _named() -> list[bytes]:
    try:
        named = [bytes.fromhex(ref) for ref in request.form.getlist("topic")]
    except ValueError:
        abort(400)
    return named or abort(400)


def _press(room: RoomView) -> Press:
    """What was pressed. Raises InvalidInputError for a cap, length or day there is not; 400 for no button of ours."""
    act = request.form.get("act", "")
    if act not in set(Act):
        abort(400)
    if act == Act.CAP:
        return Press(Act.CAP, cap=read_cap(request.form.get("cap", "")))
    return Press(Act(act), until=_until(room) if act == Act.PAUSE else None)


def _until(room: RoomView) -> int:
    """When the pause ends: on the day typed, at the instant it ended before, or after the days chosen."""
    now, typed, days = topics.clock(context()), request.form.get("until", ""), request.form.get("days", "")
    before = request.form.get("instant", "")
    if typed:
        try:
            return pause_until(now, date.fromisoformat(typed), room.timezone)
        except ValueError:
            raise InvalidInputError("Give the day as year, month and day. Nothing was changed.", "until") from None
    if before:
        return check_pause(now, int(before) if before.isdecimal() and len(before) < 18 else 0)
    return pause_for(now, int(days) if days.isdecimal() else 0)


def _remember(token: str, wanted: Press, changed: tuple[Was, ...]) -> None:
    """Keep the way back of this press: the press that leaves the same topics as they stood."""
    forget()
    if not changed:
        return
    fields = [("topic", was.topic.hex()) for was in changed]
    before = changed[0]
    if before.state == "paused" and wanted.act in {Act.PAUSE, Act.RESUME} and before.paused_until is not None:
        fields += [("act", "pause"), ("instant", str(before.paused_until))]
    elif wanted.act is Act.CAP:
        fields += [("act", "cap"), ("cap", "" if before.own is None else cap_value(before.own))]
    else:
        fields.append(("act", {Act.STOP: "restore", Act.RESTORE: "stop", Act.PAUSE: "resume"}.get(wanted.act, "pause")))
    remember(token, "room.change", fields, before.title if len(changed) == 1 else gettext("all topics"))


def _said(wanted: Press, changed: tuple[Was, ...]) -> str:
    if not changed:
        return gettext("It was so already.")
    return {
        Act.STOP: gettext("Stopped. It counts from the very next mail."),
        Act.PAUSE: gettext("Paused. Then it goes on by itself."),
        Act.RESUME: gettext("It goes on. Mail may come again."),
        Act.CAP: gettext("Kept. It counts from the very next mail."),
        Act.RESTORE: gettext("It is as it was before you stopped it."),
    }[wanted.act]
