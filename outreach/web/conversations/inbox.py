"""The list of conversations, narrowed by links and one small form; and opening one."""

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from outreach.services.conversations import inbox as service
from outreach.web.auth import current_actor, door
from outreach.web.conversations.forms import MARKS
from outreach.web.conversations.slice import blueprint
from outreach.web.home import context


@blueprint.get("/conversations")
@door("marketer", "administrator", "officer")
def inbox() -> ResponseReturnValue:
    named = {name: request.args.get(name, "") for name in ("topic", "campaign", "tag", "mark")}
    which = request.args.get("which", "waiting")
    page = request.args.get("page", 1, type=int)
    found = service.see_inbox(context(), current_actor(), which, service.Narrowed(**named), page)
    chosen = {name: value for name, value in named.items() if value}
    return render_template("conversations/inbox.html", found=found, which=which, chosen=chosen, marks=MARKS)


@blueprint.post("/conversations/<ref:conversation>/open")
@door("marketer", "administrator", "officer")
def open_one(conversation: bytes) -> ResponseReturnValue:
    """Open it to read: the log keeps that it was."""
    service.open_conversation(context(), current_actor(), conversation)
    return redirect(url_for("conversations.conversation", conversation=conversation), 303)
