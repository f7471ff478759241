"""People's requests under the law: the list with its clocks, entering one, the steps of its answer, and proof kept."""

from dataclasses import dataclass

from flask import flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from outreach.domain.errors import ConflictError, InvalidInputError
from outreach.services.rights import carry_out, claims, requests, results
from outreach.services.rights.held import INSTANTS
from outreach.web.auth import current_actor, door, needs_proof
from outreach.web.home import context
from outreach.web.officer.rights_forms import KINDS, CorrectionForm, EnterForm, ReasonForm
from outreach.web.officer.slice import blueprint


@dataclass(frozen=True)
class Act:
    """One step of answering a request, as its page says it."""

    title: str
    text: str
    label: str
    button: str
    said: str


ACTS = {
    "identity": Act(
        "Ask for more proof of identity",
        "Only where you have reasonable doubts (GDPR 12(6)). The person is mailed your words; the clock goes on.",
        "What you ask of them, and why",
        "Mail it to the person",
        "The person is asked. The clock goes on.",
    ),
    "met": Act(
        "They proved who they are",
        "Keep no copy of a document; say what was shown.",
        "What was shown, and to whom",
        "Note it in the log",
        "Noted. The request can be answered now.",
    ),
    "extend": Act(
        "Take two months more",
        "Only once, within the first month, for a request that is complex or one of many (GDPR 12(3)).",
        "Why; the person is mailed your words",
        "Extend it and tell the person",
        "Extended, and the person is told.",
    ),
    "refuse": Act(
        "Refuse the request",
        "The person is mailed your words, and where they may complain (GDPR 12(4)).",
        "Why; the person is mailed your words",
        "Refuse it and tell the person",
        "Refused, and the person is told.",
    ),
    "carry-out": Act(
        "Carry the request out",
        "It is done when you press, and the person is told by mail.",
        "How you know that it is theirs",
        "Carry it out",
        "Carried out, and the person is told.",
    ),
    "result": Act(
        "Hand the answer over yourself",
        "For somebody who cannot read their mailbox. You will see everything held about them once, to print.",
        "How it is handed over, and how you know that it is theirs",
        "Show it and note it in the log",
        "",
    ),
}
_STEPS = "any('identity', 'met', 'extend', 'refuse', 'carry-out', 'result')"


@blueprint.get("/compliance/requests")
@door("officer")
def data_requests() -> ResponseReturnValue:
    return render_template(
        "officer/requests.html",
        requests=requests.list_requests(context(), current_actor()),
        holds=claims.list_holds(context(), current_actor()),
        kinds=KINDS,
    )


@blueprint.get("/compliance/requests/new")
@door("officer")
def enter_request() -> ResponseReturnValue:
    return render_template("officer/request_new.html", form=EnterForm())


@blueprint.post("/compliance/requests/new")
@door("officer")
def enter_request_now() -> ResponseReturnValue:
    form = EnterForm()
    if form.validate():
        days = form.days_ago.data or 0
        typed = (form.text("kind"), form.text("who"), form.text("words"))
        try:
            made = requests.enter(context(), current_actor(), *typed, days_ago=days)
        except InvalidInputError as error:
            form.fail(error)
        else:
            flash("Entered. The person is told by mail that it was received.", "ok")
            return redirect(url_for("officer.data_request", asked=made), 303)
    form.who.data = ""
    return render_template("officer/request_new.html", form=form), 422


@blueprint.get("/compliance/requests/<ref:asked>")
@door("officer")
def data_request(asked: bytes) -> ResponseReturnValue:
    found = requests.see_request(context(), current_actor(), asked)
    return render_template("officer/request.html", request_=found, kinds=KINDS)


@blueprint.post("/compliance/requests/<ref:asked>/read")
@door("officer")
def read_request(asked: bytes) -> ResponseReturnValue:
    found = requests.read_request(context(), current_actor(), asked)
    return render_template("officer/request.html", request_=found, kinds=KINDS)


@blueprint.get(f"/compliance/requests/<ref:asked>/<{_STEPS}:act>")
@door("officer")
@needs_proof
def request_act(asked: bytes, act: str) -> ResponseReturnValue:
    return _form(asked, act, CorrectionForm(formdata=None) if _corrects(asked, act) else ReasonForm(formdata=None))


@blueprint.post(f"/compliance/requests/<ref:asked>/<{_STEPS}:act>")
@door("officer")
@needs_proof
def request_acted(asked: bytes, act: str) -> ResponseReturnValue:
    form = CorrectionForm() if _corrects(asked, act) else ReasonForm()
    if form.validate():
        try:
            if act == "result":
                return _handed_over(asked, form.text("reason"))
            _do(asked, act, form)
        except InvalidInputError as error:
            form.fail(error)
        except ConflictError as error:
            flash(str(error), "warn")
            return redirect(url_for("officer.data_request", asked=asked), 303)
        else:
            flash(ACTS[act].said, "ok")
            return redirect(url_for("officer.data_request", asked=asked), 303)
    return _form(asked, act, form), 422


@blueprint.get("/compliance/claims/<ref:hold>")
@door("officer")
@needs_proof
def claim(hold: bytes) -> ResponseReturnValue:
    return _claim(hold, ReasonForm(formdata=None))


@blueprint.post("/compliance/claims/<ref:hold>")
@door("officer")
@needs_proof
def claim_acted(hold: bytes) -> ResponseReturnValue:
    """Shows the proof in answer to the press itself, without a redirect; or destroys it."""
    form = ReasonForm()
    if form.validate():
        try:
            if request.form.get("act") == "release":
                claims.release_hold(context(), current_actor(), hold, form.text("reason"))
                flash("The proof is destroyed.", "ok")
                return redirect(url_for("officer.data_requests"), 303)
            proof = claims.reveal_hold(context(), current_actor(), hold, form.text("reason"))
        except InvalidInputError as error:
            form.fail(error)
        else:
            return _once(render_template("officer/held.html", title="Proof kept for claims", **_shown(proof)))
    return _claim(hold, form), 422


def _do(asked: bytes, act: str, form: ReasonForm | CorrectionForm) -> None:
    reason = form.text("reason")
    if act == "carry-out":
        correction = form.correction() if isinstance(form, CorrectionForm) else None
        carry_out.decide(context(), current_actor(), asked, reason, correction=correction)
        return
    acts = {
        "identity": requests.ask_identity,
        "met": requests.meet_identity,
        "extend": requests.extend,
        "refuse": carry_out.refuse,
    }
    acts[act](context(), current_actor(), asked, reason)


def _corrects(asked: bytes, act: str) -> bool:
    return act == "carry-out" and requests.see_request(context(), current_actor(), asked).kind == "correction"


def _form(asked: bytes, act: str, form: ReasonForm | CorrectionForm) -> str:
    found = requests.see_request(context(), current_actor(), asked)
    form["reason"].label.text = ACTS[act].label
    return render_template("officer/request_act.html", request_=found, act=ACTS[act], step=act, form=form, kinds=KINDS)


def _claim(hold: bytes, form: ReasonForm) -> str:
    form.reason.label.text = "Which claim it is needed for, or why it is not needed any more"
    return render_template("officer/claim.html", hold=claims.see_hold(context(), current_actor(), hold), form=form)


def _handed_over(asked: bytes, reason: str) -> ResponseReturnValue:
    result = results.read_result(context(), current_actor(), asked, reason)
    return _once(render_template("officer/held.html", title=KINDS[result.kind], **_shown(result.document)))


def _shown(document: dict[str, object]) -> dict[str, object]:
    parts = [(name, part) for name, part in document.items() if isinstance(part, dict | list) and part]
    return {"parts": parts, "names": {"true": "yes", "false": "no"}, "instants": INSTANTS}


def _once(page: str) -> ResponseReturnValue:
    answer = make_response(page)
    answer.headers["Cache-Control"] = "no-store"
    return answer
