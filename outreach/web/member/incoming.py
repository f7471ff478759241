"""What came in: invitations and requests that wait for an answer, and the page that asks what to show."""

from flask import redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from outreach.domain.errors import NotFoundError
from outreach.services import incoming as service
from outreach.services.incoming import CannotAcceptError, Fault
from outreach.web.auth import HANDED, current_actor, door
from outreach.web.home import context
from outreach.web.language import chosen_locale, tell
from outreach.web.member.slice import blueprint, lost


@blueprint.get("/me/incoming")
@door("member")
def incoming() -> ResponseReturnValue:
    waiting = service.list_incoming(context(), current_actor(), hand_token=_hand_token())
    return render_template("member/incoming.html", waiting=waiting)


@blueprint.get("/me/incoming/<ref:incoming>")
@door("member")
def incoming_one(incoming: bytes) -> ResponseReturnValue:
    try:
        one = service.see_incoming(context(), current_actor(), incoming, hand_token=_hand_token())
    except CannotAcceptError as error:
        tell(_said(error))
        return _to_list()
    except NotFoundError:
        text = gettext(
            "It was answered, or is not for this account. If you were handed a link, open that link again now."
        )
        return lost(gettext("There is nothing here"), text, 404)
    if one.is_over and one.connection is not None:
        return _to_connection(one.connection)
    return render_template("member/incoming_one.html", one=one)


@blueprint.post("/me/incoming/<ref:incoming>/accept")
@door("member")
def accept_incoming(incoming: bytes) -> ResponseReturnValue:
    try:
        made = service.accept(
            context(),
            current_actor(),
            incoming,
            show_name=request.form.get("name") == "yes",
            show_address=request.form.get("address") == "yes",
            hand_token=_hand_token(),
        )
    except CannotAcceptError as error:
        tell(_said(error))
        return _to_list()
    tell(gettext("You are connected. This is what each of you sees of the other."))
    return _to_connection(made)


@blueprint.post("/me/incoming/<ref:incoming>/refuse")
@door("member")
def refuse_incoming(incoming: bytes) -> ResponseReturnValue:
    try:
        service.refuse(context(), current_actor(), incoming, hand_token=_hand_token())
    except CannotAcceptError as error:
        tell(_said(error))
    else:
        tell(gettext("Refused. Nobody is told."))
    return _to_list()


def _hand_token() -> str:
    return str(session.get(HANDED, ""))


def _said(error: CannotAcceptError) -> str:
    return {
        Fault.OWN: gettext("This is your own invitation. Pass its link on to the person it is for."),
        Fault.OVER: gettext("This was answered already, or its time is over. Nothing was changed."),
        Fault.STOPPED: gettext("Whoever this is from cannot be connected with at present. Nothing was changed."),
    }[error.fault]


def _to_list() -> ResponseReturnValue:
    return redirect(url_for("member.incoming", lang=chosen_locale()), 303)


def _to_connection(ref: bytes) -> ResponseReturnValue:
    return redirect(url_for("member.connection", connection=ref, lang=chosen_locale()), 303)
