"""One inviter, pseudonymously: their numbers and invitations, suspending, restoring, and answering an appeal."""

from flask import abort, flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from outreach.domain.errors import InvalidInputError
from outreach.services import appeals, invitation_desk
from outreach.web.auth import current_actor, door, needs_proof
from outreach.web.home import context
from outreach.web.officer.invitation_forms import AnswerForm, ReadForm, RestoreForm, SuspendForm
from outreach.web.officer.slice import blueprint


@blueprint.get("/invitations/<ref:inviter>")
@door("officer")
def inviter(inviter: bytes) -> ResponseReturnValue:
    page = request.args.get("page", 1, type=int)
    return render_template("officer/invitation_inviter.html", seen=_see(inviter, page))


@blueprint.get("/invitations/<ref:inviter>/suspend")
@door("officer")
@needs_proof
def suspend(inviter: bytes) -> ResponseReturnValue:
    return render_template("officer/invitation_suspend.html", form=SuspendForm(), seen=_see(inviter))


@blueprint.post("/invitations/<ref:inviter>/suspend")
@door("officer")
@needs_proof
def suspend_now(inviter: bytes) -> ResponseReturnValue:
    form = SuspendForm()
    if form.validate():
        try:
            invitation_desk.suspend_inviter(context(), current_actor(), inviter, form.text("reason"))
        except InvalidInputError as error:
            form.fail(error)
        else:
            flash("Inviting is suspended. What this member asked for and has not gone yet will not go.", "ok")
            return redirect(url_for("officer.inviter", inviter=inviter), 303)
    return render_template("officer/invitation_suspend.html", form=form, seen=_see(inviter)), 422


@blueprint.get("/invitations/<ref:inviter>/restore")
@door("officer")
@needs_proof
def restore(inviter: bytes) -> ResponseReturnValue:
    return render_template("officer/invitation_restore.html", form=RestoreForm(), seen=_see(inviter))


@blueprint.post("/invitations/<ref:inviter>/restore")
@door("officer")
@needs_proof
def restore_now(inviter: bytes) -> ResponseReturnValue:
    form = RestoreForm()
    if form.validate():
        try:
            invitation_desk.restore_inviter(context(), current_actor(), inviter, form.text("reason"))
        except InvalidInputError as error:
            form.fail(error)
        else:
            flash("This member may invite again.", "ok")
            return redirect(url_for("officer.inviter", inviter=inviter), 303)
    return render_template("officer/invitation_restore.html", form=form, seen=_see(inviter)), 422


@blueprint.get("/invitations/<ref:inviter>/appeals/<ref:appeal>")
@door("officer")
@needs_proof
def appeal(inviter: bytes, appeal: bytes) -> ResponseReturnValue:
    return _appeal(inviter, appeal, AnswerForm(formdata=None))


@blueprint.post("/invitations/<ref:inviter>/appeals/<ref:appeal>/read")
@door("officer")
@needs_proof
def read_appeal(inviter: bytes, appeal: bytes) -> ResponseReturnValue:
    """Answers the press itself, without a redirect: the words are shown once and are in no URL and no store."""
    _find(inviter, appeal)
    words = appeals.read_appeal(context(), current_actor(), appeal)
    answer = make_response(_appeal(inviter, appeal, AnswerForm(formdata=None), words))
    answer.headers["Cache-Control"] = "no-store"
    return answer


@blueprint.post("/invitations/<ref:inviter>/appeals/<ref:appeal>")
@door("officer")
@needs_proof
def answer_appeal(inviter: bytes, appeal: bytes) -> ResponseReturnValue:
    _find(inviter, appeal)
    form = AnswerForm()
    if form.validate():
        try:
            appeals.answer_appeal(context(), current_actor(), appeal, form.text("answer"), form.text("reason"))
        except InvalidInputError as error:
            form.fail(error)
        else:
            flash("The appeal is answered. The member reads your answer and reason on their own page.", "ok")
            return redirect(url_for("officer.inviter", inviter=inviter), 303)
    return _appeal(inviter, appeal, form), 422


def _see(inviter: bytes, page: int = 1) -> invitation_desk.InviterView:
    return invitation_desk.see_inviter(context(), current_actor(), inviter, page)


def _find(inviter: bytes, ref: bytes) -> appeals.AppealView:
    found = appeals.see_appeal(context(), current_actor(), ref)
    if found.member != inviter:
        abort(404)
    return found


def _appeal(inviter: bytes, ref: bytes, form: AnswerForm, words: str = "") -> str:
    found = _find(inviter, ref)
    return render_template("officer/invitation_appeal.html", appeal=found, form=form, read=ReadForm(), words=words)
