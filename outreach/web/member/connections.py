"""A member's connections: the list, and one page that says what each side sees and has a button for every change."""

from flask import abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from outreach.services import connections as service
from outreach.services.relaying import held
from outreach.services.relaying.showing import correspondence
from outreach.web.auth import current_actor, door
from outreach.web.home import context
from outreach.web.language import chosen_locale, tell
from outreach.web.member.slice import blueprint


@blueprint.get("/me/connections")
@door("member")
def connections() -> ResponseReturnValue:
    every = service.list_connections(context(), current_actor())
    live = [one for one in every if one.ended is None]
    return render_template(
        "member/connections.html",
        heard=[one for one in live if one.muted is None],
        muted=[one for one in live if one.muted is not None],
        ended=[one for one in every if one.ended is not None],
    )


@blueprint.get("/me/connections/<ref:connection>")
@door("member")
def connection(connection: bytes) -> ResponseReturnValue:
    ctx, actor = context(), current_actor()
    return render_template(
        "member/connection.html",
        one=service.see_connection(ctx, actor, connection),
        letters=correspondence(ctx, actor, connection),
    )


@blueprint.post("/me/connections/<ref:connection>/disclose")
@door("member")
def disclose(connection: bytes) -> ResponseReturnValue:
    what = _what()
    service.disclose(context(), current_actor(), connection, what)
    tell(gettext("They can see your name now.") if what == "name" else gettext("They can see your address now."))
    return _back(connection)


@blueprint.post("/me/connections/<ref:connection>/take-back")
@door("member")
def take_back(connection: bytes) -> ResponseReturnValue:
    what = _what()
    service.take_back(context(), current_actor(), connection, what)
    told = {
        "name": gettext("They cannot see your name any more. What was seen is seen."),
        "address": gettext("They cannot see your address any more. What was seen is seen."),
    }
    tell(told[what])
    return _back(connection)


@blueprint.post("/me/connections/<ref:connection>/mute")
@door("member")
def mute_connection(connection: bytes) -> ResponseReturnValue:
    service.mute(context(), current_actor(), connection)
    tell(gettext("Muted. Nothing about this connection reaches you."))
    return _back(connection)


@blueprint.post("/me/connections/<ref:connection>/unmute")
@door("member")
def unmute_connection(connection: bytes) -> ResponseReturnValue:
    service.unmute(context(), current_actor(), connection)
    tell(gettext("No longer muted."))
    return _back(connection)


@blueprint.post("/me/connections/<ref:connection>/end")
@door("member")
def end_connection(connection: bytes) -> ResponseReturnValue:
    service.end(context(), current_actor(), connection)
    tell(gettext("Ended. Neither of you sees anything of the other any more."))
    return _back(connection)


@blueprint.post("/me/connections/<ref:connection>/held/<ref:mail>/send")
@door("member")
def send_held_mail(connection: bytes, mail: bytes) -> ResponseReturnValue:
    held.send_own(context(), current_actor(), mail)
    tell(gettext("Sent on, as you wrote it."))
    return _back(connection)


@blueprint.post("/me/connections/<ref:connection>/held/<ref:mail>/drop")
@door("member")
def drop_held_mail(connection: bytes, mail: bytes) -> ResponseReturnValue:
    held.drop_own(context(), current_actor(), mail)
    tell(gettext("Dropped. Nobody got it, and its words are erased."))
    return _back(connection)


def _what() -> str:
    what = request.form.get("what", "")
    if what not in service.WHATS:
        abort(400)
    return what


def _back(connection: bytes) -> ResponseReturnValue:
    return redirect(url_for("member.connection", connection=connection, lang=chosen_locale()), 303)
