"""One contact's page: without a press only what names nobody; the masked address and the evidence after one."""

from datetime import datetime

from flask import make_response, render_template, request
from flask.typing import ResponseReturnValue

from outreach.domain.errors import InvalidInputError
from outreach.services.contact_history import contact_history, see_contact
from outreach.services.officer.as_of import state_as_of
from outreach.web.auth import current_actor, door
from outreach.web.formats import reader_zone
from outreach.web.home import context
from outreach.web.officer.slice import blueprint


@blueprint.get("/compliance/contacts/<ref:contact>")
@door("officer")
def contact(contact: bytes) -> ResponseReturnValue:
    return render_template("officer/contact.html", history=see_contact(context(), current_actor(), contact))


@blueprint.post("/compliance/contacts/<ref:contact>")
@door("officer")
def read_contact(contact: bytes) -> ResponseReturnValue:
    """Answers the press itself, without a redirect: reading again is another press, and another entry."""
    history = contact_history(context(), current_actor(), contact)
    answer = make_response(render_template("officer/contact.html", history=history))
    answer.headers["Cache-Control"] = "no-store"
    return answer


@blueprint.get("/compliance/contacts/<ref:contact>/as-of")
@door("officer")
def contact_as_of(contact: bytes) -> ResponseReturnValue:
    typed = request.args.get("at", "").strip()
    if not typed:
        return render_template("officer/as_of.html", contact=contact, typed="", then=None, problem="")
    try:
        then = state_as_of(context(), current_actor(), contact, _moment(typed))
    except InvalidInputError as error:
        return render_template("officer/as_of.html", contact=contact, typed=typed, then=None, problem=str(error)), 422
    return render_template("officer/as_of.html", contact=contact, typed=typed, then=then, problem="")


def _moment(typed: str) -> int:
    """A day and time as the reader's clock shows it, to its last second: UTC microseconds. Raises InvalidInputError."""
    try:
        read = datetime.fromisoformat(typed)
        zoned = read if read.tzinfo else read.replace(tzinfo=reader_zone())
        return int(zoned.timestamp()) * 1_000_000 + 999_999
    except (ValueError, OverflowError):
        raise InvalidInputError("Give day and time, such as 2026-11-22T14:30.", field="at") from None
