"""What a member sent: the list, each with its state in words, taking one back, and the one reminder that was asked for.

A refusal, a bar, a mail that never went and plain silence read the same here.
"""

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from outreach.services import invite as service
from outreach.web.auth import current_actor, door
from outreach.web.home import context
from outreach.web.language import chosen_locale, tell
from outreach.web.member.slice import blueprint
from outreach.web.qr import qr_svg


@blueprint.get("/me/invitations")
@door("member")
def sent_list() -> ResponseReturnValue:
    page = max(1, request.args.get("page", 1, type=int))
    sent = service.list_sent(context(), current_actor(), page)
    has_more = len(sent) == service.PAGE and bool(service.list_sent(context(), current_actor(), page + 1))
    return render_template("member/sent.html", sent=sent, page=page, has_more=has_more, chosen=chosen_locale())


@blueprint.get("/me/invitations/<ref:invitation>")
@door("member")
def sent_one(invitation: bytes) -> ResponseReturnValue:
    sent = service.see_sent(context(), current_actor(), invitation)
    qr = qr_svg(sent.hand_url, title=gettext("QR code of the link")) if sent.hand_url else ""
    return render_template("member/invitation.html", sent=sent, qr=qr)


@blueprint.post("/me/invitations/<ref:invitation>/cancel")
@door("member")
def cancel_invitation(invitation: bytes) -> ResponseReturnValue:
    service.cancel_invitation(context(), current_actor(), invitation)
    tell(gettext("Taken back. It can no longer be answered."))
    return redirect(_here(invitation), 303)


@blueprint.get("/me/invitations/<ref:invitation>/remind")
@door("member")
def remind(invitation: bytes) -> ResponseReturnValue:
    sent = service.see_sent(context(), current_actor(), invitation)
    if not sent.wants_reminder or sent.reminded:
        return redirect(_here(invitation), 303)
    return render_template("member/remind.html", sent=sent)


@blueprint.post("/me/invitations/<ref:invitation>/remind")
@door("member")
def remind_now(invitation: bytes) -> ResponseReturnValue:
    service.send_reminder(context(), current_actor(), invitation)
    tell(gettext("Noted. If it may go, the one reminder goes."))
    return redirect(_here(invitation), 303)


def _here(invitation: bytes) -> str:
    return url_for("member.sent_one", invitation=invitation, lang=chosen_locale())
