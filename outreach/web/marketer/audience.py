"""The audience: topics with their promise and how many agreed, and people by reference."""

from flask import render_template, request
from flask.typing import ResponseReturnValue

from outreach.services import contacts_list
from outreach.web.auth import current_actor, door
from outreach.web.home import context
from outreach.web.marketer.slice import blueprint


@blueprint.get("/audience")
@door("marketer", "officer")
def topics() -> ResponseReturnValue:
    found = contacts_list.see_audience(context(), current_actor())
    return render_template("marketer/topics.html", topics=found, public_url=context().settings.public_url)


@blueprint.get("/audience/<ref:topic>")
@door("marketer", "officer")
def contacts(topic: bytes) -> ResponseReturnValue:
    found = contacts_list.see_contacts(context(), current_actor(), topic, request.args.get("further", ""))
    return render_template("marketer/contacts.html", found=found, topic=topic.hex())
