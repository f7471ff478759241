"""What every page of a person's own room shares: its language, who pressed, the way back, and links past their time."""

from typing import Any

from flask import Blueprint, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from outreach.domain.errors import ConflictError, TokenExpiredError
from outreach.services.confirm import Client
from outreach.services.room.topics import RoomView
from outreach.web.language import chosen_locale, speak_to
from outreach.web.people import for_people, lost
from outreach.web.room import words

blueprint = Blueprint("room", __name__)
for_people(blueprint)
blueprint.context_processor(lambda: {"why_barred": words.reason})

_UNDO = "room"  # in the browser's session: [link's token, where to post, what to post, what it is about]


def client() -> Client:
    """Who presses, as evidence."""
    return Client(ip=request.remote_addr or "", browser=request.user_agent.string)


def greet(room: RoomView) -> RoomView:
    """Speak the language of whose room it is."""
    speak_to(room.locale, room.timezone)
    return room


def back(endpoint: str, token: str, **values: Any) -> ResponseReturnValue:
    """To the page that shows what a press did."""
    return redirect(url_for(endpoint, token=token, lang=chosen_locale(), **values), 303)


def remember(token: str, endpoint: str, fields: list[tuple[str, str]], about: str) -> None:
    """Keep, in this browser alone, the press that puts back what was just changed."""
    session[_UNDO] = [token, endpoint, fields, about]


def forget() -> None:
    """There is nothing to put back any more."""
    session.pop(_UNDO, None)


def way_back(token: str) -> dict[str, Any] | None:
    """The form that undoes this browser's last press behind this link: `action`, `fields`, and what it is `about`."""
    link, endpoint, fields, about = session.get(_UNDO, ("", "", [], ""))
    if link != token:
        return None
    return {"action": url_for(endpoint, token=token), "fields": fields, "about": about}


@blueprint.errorhandler(TokenExpiredError)
def _expired(_error: TokenExpiredError) -> ResponseReturnValue:
    """One button mails a fresh link to the mailbox the old one went to."""
    token = (request.view_args or {}).get("token")
    return render_template("room/expired.html", token=token), 410


@blueprint.errorhandler(ConflictError)
def _conflict(_error: ConflictError) -> ResponseReturnValue:
    text = gettext("Something changed while this page was open. Nothing more was changed; open your room again.")
    return lost(gettext("This no longer fits"), text, 409)
