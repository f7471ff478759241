"""A member's first page: their rooms, and what waits in each."""

from dataclasses import dataclass

from flask import render_template, session
from flask.typing import ResponseReturnValue
from flask_babel import gettext, ngettext

from outreach.services.connect_links import list_links
from outreach.services.connections import list_connections
from outreach.services.incoming import list_incoming
from outreach.services.invite import May, may_invite
from outreach.services.members import see_account
from outreach.web.auth import HANDED, current_actor, door
from outreach.web.home import context
from outreach.web.member.slice import blueprint


@dataclass(frozen=True)
class Room:
    """A room's path, its name, and what it holds. `waits`: something in it is for the member to answer."""

    path: str
    name: str
    said: str
    waits: bool = False


@blueprint.get("/me")
@door("member")
def dashboard() -> ResponseReturnValue:
    return render_template(
        "member/dashboard.html", account=see_account(context(), current_actor()), rooms_now=_rooms_now()
    )


def _rooms_now() -> list[Room]:
    ctx, actor = context(), current_actor()
    came = len(list_incoming(ctx, actor, hand_token=str(session.get(HANDED, ""))))
    live = sum(one.ended is None for one in list_connections(ctx, actor))
    links = sum(one.is_live for one in list_links(ctx, actor))
    nothing = gettext("nothing waits for you")
    waits = ngettext("%(num)d waits for your answer", "%(num)d wait for your answer", came)
    people = ngettext("with %(num)d person", "with %(num)d people", live)
    on = ngettext("%(num)d is switched on", "%(num)d are switched on", links)
    return [
        Room("/me/incoming", gettext("Came in"), waits if came else nothing, waits=bool(came)),
        Room("/me/connections", gettext("Connections"), people if live else gettext("none yet")),
        Room("/me/invite", gettext("Invite"), _may(may_invite(ctx, actor))),
        Room("/me/invitations", gettext("Sent"), gettext("what you sent, and its answers")),
        Room("/me/links", gettext("Links"), on if links else gettext("none switched on")),
        Room("/me/account", gettext("Account"), gettext("name, password, sessions")),
    ]


def _may(may: May) -> str:
    if may.suspended:
        return gettext("not while your account is paused")
    if not may.left_today:
        return gettext("not now: you have used up what one may send")
    return ngettext("%(num)d more possible today", "%(num)d more possible today", may.left_today)
