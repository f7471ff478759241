"""The compliance officer's pages: the log and its verification, one contact's history, reveals, bars."""

from datetime import UTC, datetime

from flask import flash, make_response, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from outreach.domain.errors import InvalidInputError
from outreach.services import bars
from outreach.services.consent_proof import consent_proof
from outreach.services.policies.asking import WaitsError
from outreach.services.reveal import reveal_address, see_request
from outreach.services.verify import verify_now
from outreach.web.auth import current_actor, door, needs_proof
from outreach.web.home import context
from outreach.web.officer.forms import LiftForm, RevealForm
from outreach.web.officer.slice import blueprint

VERIFY_SECONDS = 20


@blueprint.post("/compliance/verify")
@door("officer")
def verify() -> ResponseReturnValue:
    verdict = verify_now(context(), current_actor(), seconds=VERIFY_SECONDS)
    return render_template("officer/verdict.html", verdict=verdict, seconds=VERIFY_SECONDS)


@blueprint.get("/compliance/contacts/<ref:contact>/proof/<ref:topic>")
@door("officer")
def proof(contact: bytes, topic: bytes) -> ResponseReturnValue:
    """Shows nothing of the person: the evidence comes with the press that notes in the log that it was read."""
    return render_template("officer/proof_press.html", contact=contact, topic=topic)


@blueprint.post("/compliance/contacts/<ref:contact>/proof/<ref:topic>")
@door("officer")
def proof_now(contact: bytes, topic: bytes) -> ResponseReturnValue:
    made = consent_proof(context(), current_actor(), contact, topic)
    answer = make_response(render_template("officer/proof.html", proof=made, utc=utc))
    answer.headers["Cache-Control"] = "no-store"
    return answer


@blueprint.get("/compliance/contacts/<ref:contact>/reveal")
@door("officer")
@needs_proof
def reveal(contact: bytes) -> ResponseReturnValue:
    asked = see_request(context(), current_actor(), contact)
    form = RevealForm(data={"reason": asked.reason} if asked else None, formdata=None)
    return render_template("officer/reveal.html", form=form, contact=contact, asked=asked)


@blueprint.post("/compliance/contacts/<ref:contact>/reveal")
@door("officer")
@needs_proof
def reveal_now(contact: bytes) -> ResponseReturnValue:
    """Answers the press itself, without a redirect: the address is shown once and is in no URL and no store."""
    form = RevealForm()
    if form.validate():
        try:
            exact = reveal_address(context(), current_actor(), contact, form.text("reason"))
        except InvalidInputError as error:
            form.fail(error)
        except WaitsError as error:
            flash(str(error), "warn")
            return redirect(url_for("officer.reveal", contact=contact), 303)
        else:
            answer = make_response(render_template("officer/revealed.html", exact=exact, contact=contact))
            answer.headers["Cache-Control"] = "no-store"
            return answer
    return render_template("officer/reveal.html", form=form, contact=contact, asked=None), 422


@blueprint.get("/compliance/bars/<ref:bar>/lift")
@door("officer")
@needs_proof
def lift(bar: bytes) -> ResponseReturnValue:
    return render_template("officer/lift.html", form=LiftForm(), bar=bars.see_bar(context(), current_actor(), bar))


@blueprint.post("/compliance/bars/<ref:bar>/lift")
@door("officer")
@needs_proof
def lift_now(bar: bytes) -> ResponseReturnValue:
    form = LiftForm()
    if form.validate():
        try:
            people = bars.lift_bar(context(), current_actor(), bar, form.text("reason"))
        except InvalidInputError as error:
            form.fail(error)
        else:
            flash("The bar is lifted. What was withdrawn stays withdrawn.", "ok")
            if len(people) == 1:
                return redirect(url_for("officer.contact", contact=people[0]), 303)
            return redirect(url_for("officer.compliance"), 303)
    shown = bars.see_bar(context(), current_actor(), bar)
    return render_template("officer/lift.html", form=form, bar=shown), 422


def utc(value: int) -> str:
    """UTC microseconds as a paper must show them: to the second, with the zone named."""
    return datetime.fromtimestamp(value // 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
