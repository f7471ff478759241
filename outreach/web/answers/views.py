"""What readers of a topic said, and what was done: one public page a topic, the same for everybody in a language.

It is linked from mails and from the sign-up page. No cookie is looked at, so any cache may keep it for a while.
"""

from flask import Blueprint, Response, make_response, render_template

from outreach.services.conversations.public_answers import see_answers
from outreach.web.auth import door
from outreach.web.home import context
from outreach.web.language import present_locale
from outreach.web.people import for_people
from outreach.web.security import cookieless

blueprint = Blueprint("answers", __name__)
for_people(blueprint, ignores_cookies=frozenset({"answers.topic"}))

_A_WHILE = "public, max-age=300"


@blueprint.get("/answers/<ref:topic>")
@door("visitor")
@cookieless
def topic(topic: bytes) -> Response:
    found = see_answers(context(), topic, present_locale())
    response = make_response(render_template("answers/topic.html", found=found))
    response.headers["Cache-Control"] = _A_WHILE
    response.headers["Vary"] = "Accept-Language"
    return response
