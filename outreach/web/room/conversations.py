"""Pages of a person's own room in which they write to us and read our answers."""

from flask import abort, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from outreach.domain.conversations import LONGEST_WORDS
from outreach.domain.errors import ConflictError, InvalidInputError
from outreach.services.room import conversations
from outreach.web.auth import door
from outreach.web.home import context
from outreach.web.language import tell
from outreach.web.people import lost
from outreach.web.room.slice import back, blueprint, greet


@blueprint.get("/room/<token>/conversations")
@door("recipient")
def talks(token: str) -> ResponseReturnValue:
    return _talks_page(token)


@blueprint.post("/room/<token>/conversations")
@door("recipient")
def begin_talk(token: str) -> ResponseReturnValue:
    seen = conversations.see_talks(context(), token)
    greet(seen.room)
    named, said = request.form.get("topic", ""), request.form.get("words", "")
    about = {one.name: one.ref for one in seen.topics}
    if named and named not in about:
        abort(400)
    try:
        made = conversations.write(context(), token, said, topic=about.get(named))
    except InvalidInputError:
        return _talks_page(token, said=said, chosen=named, fault=_too_long()), 422
    except ConflictError:
        return lost(gettext("That is a lot for one day"), gettext("Nothing was sent. Go on in a conversation."), 409)
    tell(gettext("Sent. You will find the answer here, and by mail."))
    return back("room.talk", token, talk=made)


@blueprint.get("/room/<token>/conversations/<ref:talk>")
@door("recipient")
def talk(token: str, talk: bytes) -> ResponseReturnValue:
    return _talk_page(token, talk)


@blueprint.post("/room/<token>/conversations/<ref:talk>")
@door("recipient")
def go_on(token: str, talk: bytes) -> ResponseReturnValue:
    room, _ = conversations.see_talk(context(), token, talk)
    greet(room)
    said = request.form.get("words", "")
    try:
        conversations.write(context(), token, said, talk=talk)
    except InvalidInputError:
        return _talk_page(token, talk, said=said, fault=_too_long()), 422
    tell(gettext("Sent. You will find the answer here, and by mail."))
    return back("room.talk", token, talk=talk)


def _talks_page(token: str, *, said: str = "", chosen: str = "", fault: str = "") -> str:
    seen = conversations.see_talks(context(), token)
    greet(seen.room)
    typed = {"said": said, "about": chosen, "fault": fault, "longest": LONGEST_WORDS}
    return render_template("room/talks.html", talks=seen, token=token, **typed)


def _talk_page(token: str, ref: bytes, *, said: str = "", fault: str = "") -> str:
    room, found = conversations.see_talk(context(), token, ref)
    greet(room)
    typed = {"said": said, "fault": fault, "longest": LONGEST_WORDS}
    return render_template("room/talk.html", room=room, talk=found, token=token, **typed)


def _too_long() -> str:
    return gettext("Write something, in %(longest)d characters or fewer.", longest=LONGEST_WORDS)
