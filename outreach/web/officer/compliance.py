"""The compliance officer's pages: the log and its verification, one contact's history, reveals, bars, caps."""

from datetime import UTC, datetime

from flask import flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from outreach.domain.errors import InvalidInputError
from outreach.services import audit_search, bars, policy
from outreach.services.consent_proof import consent_proof
from outreach.services.contact_history import contact_history
from outreach.services.reveal import reveal_address
from outreach.services.verify import verify_now
from outreach.web.auth import current_actor, door, needs_proof
from outreach.web.home import context
from outreach.web.officer.forms import CapsForm, LiftForm, LookUpForm, RevealForm, VerifyForm, read_search, typed_caps
from outreach.web.officer.slice import blueprint

VERIFY_SECONDS = 20
_SCOPES = {"promotional": "Promotional mail and invitations", "total": "All mail but service mail"}
_ASKED = ("kind", "actor", "since", "until", "contact", "topic", "campaign", "message")


@blueprint.get("/compliance")
@door("officer")
def compliance() -> ResponseReturnValue:
    return _overview(LookUpForm())


@blueprint.post("/compliance/look-up")
@door("officer")
def look_up() -> ResponseReturnValue:
    form = LookUpForm()
    if form.validate():
        try:
            found = audit_search.look_up(context(), current_actor(), form.text("who"))
        except InvalidInputError as error:
            form.fail(error)
        else:
            if len(found.contacts) == 1 and not found.bars:
                return redirect(url_for("officer.contact", contact=found.contacts[0]), 303)
            return render_template("officer/found.html", found=found)
    form.who.data = ""
    return _overview(form), 422


@blueprint.get("/compliance/log")
@door("officer")
def log() -> ResponseReturnValue:
    asked = {name: request.args.get(name, "").strip() for name in _ASKED}
    try:
        search = read_search(asked)
    except InvalidInputError as error:
        return render_template("officer/log.html", asked=asked, kinds=_kinds(), page=None, problem=str(error)), 422
    before = request.args.get("before", type=int)
    page = audit_search.search_entries(context(), current_actor(), search, before=before)
    return render_template("officer/log.html", asked=asked, kinds=_kinds(), page=page, problem="")


@blueprint.post("/compliance/verify")
@door("officer")
def verify() -> ResponseReturnValue:
    verdict = verify_now(context(), current_actor(), seconds=VERIFY_SECONDS)
    return render_template("officer/verdict.html", verdict=verdict, seconds=VERIFY_SECONDS)


@blueprint.get("/compliance/contacts/<ref:contact>")
@door("officer")
def contact(contact: bytes) -> ResponseReturnValue:
    return render_template("officer/contact.html", history=contact_history(context(), current_actor(), contact))


@blueprint.get("/compliance/contacts/<ref:contact>/proof/<ref:topic>")
@door("officer")
def proof(contact: bytes, topic: bytes) -> ResponseReturnValue:
    made = consent_proof(context(), current_actor(), contact, topic)
    return render_template("officer/proof.html", proof=made, utc=utc)


@blueprint.get("/compliance/contacts/<ref:contact>/reveal")
@door("officer")
@needs_proof
def reveal(contact: bytes) -> ResponseReturnValue:
    return render_template("officer/reveal.html", form=RevealForm(), contact=contact)


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
        else:
            answer = make_response(render_template("officer/revealed.html", exact=exact, contact=contact))
            answer.headers["Cache-Control"] = "no-store"
            return answer
    return render_template("officer/reveal.html", form=form, contact=contact), 422


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


@blueprint.get("/compliance/unknown")
@door("officer")
def unknown() -> ResponseReturnValue:
    return render_template("officer/unknown.html", messages=audit_search.list_unknown(context(), current_actor()))


@blueprint.get("/compliance/policy")
@door("officer")
def caps() -> ResponseReturnValue:
    return _policy({})


@blueprint.post("/compliance/policy/<any(promotional, total):scope>")
@door("officer")
def change_caps(scope: str) -> ResponseReturnValue:
    form = CapsForm(prefix=scope)
    if form.validate():
        try:
            withheld = policy.change_caps(context(), current_actor(), scope, form.caps(), form.text("reason"))
        except InvalidInputError as error:
            form.fail(error)
        else:
            surplus = f" {withheld} planned mails above it were withheld." if withheld else ""
            flash(f"The caps hold from now on.{surplus}", "ok")
            return redirect(url_for("officer.caps"), 303)
    return _policy({scope: form}), 422


def utc(value: int) -> str:
    """UTC microseconds as a paper must show them: to the second, with the zone named."""
    return datetime.fromtimestamp(value // 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _overview(form: LookUpForm) -> str:
    status = audit_search.log_status(context(), current_actor())
    return render_template(
        "officer/compliance.html",
        status=status,
        form=form,
        verify=VerifyForm(),
        caps=policy.current_caps(context()),
        scopes=_SCOPES,
    )


def _policy(typed: dict[str, CapsForm]) -> str:
    held = policy.current_caps(context())
    forms = {
        scope: typed.get(scope)
        or CapsForm(prefix=scope, data=typed_caps([cap for cap in held if cap.scope == scope]), formdata=None)
        for scope in _SCOPES
    }
    return render_template("officer/policy.html", forms_by_scope=forms, scopes=_SCOPES)


def _kinds() -> list[str]:
    kinds = audit_search.list_kinds(context(), current_actor())
    families = sorted({kind.partition(".")[0] + "." for kind in kinds})
    return sorted([*kinds, *families])
