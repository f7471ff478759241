"""Pages of a person's own room that only show: every mail, the receipts, invitations and connections."""

from flask import abort, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from outreach.services.room import history as mails
from outreach.services.room import invitations
from outreach.web.auth import door
from outreach.web.home import context
from outreach.web.language import chosen_locale
from outreach.web.room import words
from outreach.web.room.slice import blueprint, greet


@blueprint.get("/room/<token>/history")
@door("recipient")
def history(token: str) -> ResponseReturnValue:
    before = request.args.get("before", "")
    try:
        seen = mails.see_history(context(), token, bytes.fromhex(before) if before else None)
    except ValueError:
        abort(404)
    greet(seen.room)
    names = {"states": words.states(), "origins": words.origins(), "kinds": words.kinds(), "why": words.reason}
    return render_template("room/history.html", history=seen, token=token, chosen=chosen_locale(), **names)


@blueprint.get("/room/<token>/receipts")
@door("recipient")
def receipts(token: str) -> ResponseReturnValue:
    skip = request.args.get("skip", "0")
    room, found = mails.see_receipts(context(), token)
    greet(room)
    start = int(skip) if skip.isdecimal() and len(skip) < 9 else 0
    end = start + mails.PAGE
    older = end if len(found) > end else 0
    shown = {"receipts": found[start:end], "older": older, "chosen": chosen_locale()}
    return render_template("room/receipts.html", token=token, **shown)


@blueprint.get("/room/<token>/people")
@door("recipient")
def people(token: str) -> ResponseReturnValue:
    seen = invitations.see_people(context(), token)
    greet(seen.room)
    return render_template("room/people.html", people=seen, token=token, answers=_answers())


def _answers() -> dict[str, str]:
    return {
        "": gettext("open"),
        "open": gettext("open"),
        "accepted": gettext("accepted"),
        "declined": gettext("you said no"),
        "never": gettext("you asked for nothing more, ever"),
        "reported": gettext("you reported it"),
        "expired": gettext("past its time"),
        "cancelled": gettext("taken back"),
    }
