"""Writing public answers: drafts, the last look, publishing, taking back."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from outreach.domain.errors import ConflictError, InvalidInputError
from outreach.services.conversations import public_answers as service
from outreach.web.auth import current_actor, current_session, door
from outreach.web.conversations.forms import PublicAnswerForm, PublishForm, WithdrawForm
from outreach.web.conversations.slice import blueprint
from outreach.web.home import context


@blueprint.get("/conversations/answers")
@door("marketer", "administrator")
def public_answers() -> ResponseReturnValue:
    found = service.list_answers(context(), current_actor())
    return render_template("conversations/public.html", answers=found)


@blueprint.get("/conversations/answers/new")
@door("marketer", "administrator")
def new_answer() -> ResponseReturnValue:
    return _writing(PublicAnswerForm(data={"topic": request.args.get("topic", "")}), 200)


@blueprint.post("/conversations/answers/new")
@door("marketer", "administrator")
def write_answer() -> ResponseReturnValue:
    form = _offer(PublicAnswerForm())
    if form.validate():
        try:
            ref = service.write_answer(context(), current_actor(), _new(form))
        except InvalidInputError as error:
            form.fail(error)
        else:
            flash("Kept as a draft. Nobody outside sees it yet.", "ok")
            return redirect(url_for("conversations.public_answer", answer=ref), 303)
    return _writing(form, 422)


@blueprint.get("/conversations/answers/<ref:answer>")
@door("marketer", "administrator")
def public_answer(answer: bytes) -> ResponseReturnValue:
    return _page(answer, PublishForm(formdata=None), WithdrawForm(formdata=None), 200)


@blueprint.get("/conversations/answers/<ref:answer>/edit")
@door("marketer", "administrator")
def edit_page(answer: bytes) -> ResponseReturnValue:
    one = service.see_answer(context(), current_actor(), answer)
    words = {"topic": one.topic.hex(), "locale": one.locale, "title": one.title, "said": one.said, "done": one.done}
    return _writing(PublicAnswerForm(data={**words, "since": _day(one.since)}), 200, one)


@blueprint.post("/conversations/answers/<ref:answer>/edit")
@door("marketer", "administrator")
def edit_answer(answer: bytes) -> ResponseReturnValue:
    one = service.see_answer(context(), current_actor(), answer)
    form = _offer(PublicAnswerForm())
    form.topic.data = one.topic.hex()
    if form.validate():
        try:
            service.edit_answer(context(), current_actor(), answer, _new(form))
        except (InvalidInputError, ConflictError) as error:
            form.fail(error)
        else:
            flash("Saved.", "ok")
            return redirect(url_for("conversations.public_answer", answer=answer), 303)
    return _writing(form, 422, one)


@blueprint.post("/conversations/answers/<ref:answer>/publish")
@door("marketer", "administrator")
def publish_answer(answer: bytes) -> ResponseReturnValue:
    form = PublishForm()
    try:
        service.publish_answer(context(), current_actor(), answer, was_read=bool(form.was_read.data))
    except (InvalidInputError, ConflictError) as error:
        form.fail(error)
        return _page(answer, form, WithdrawForm(formdata=None), 422)
    flash("Published. From now on mails of the topic lead to it.", "ok")
    return redirect(url_for("conversations.public_answer", answer=answer), 303)


@blueprint.post("/conversations/answers/<ref:answer>/withdraw")
@door("marketer", "administrator")
def withdraw_answer(answer: bytes) -> ResponseReturnValue:
    form = WithdrawForm()
    if form.validate():
        try:
            service.withdraw_answer(context(), current_actor(), answer, form.text("reason"))
        except (InvalidInputError, ConflictError) as error:
            form.fail(error)
        else:
            flash("Taken back. It no longer stands on the page.", "ok")
            return redirect(url_for("conversations.public_answer", answer=answer), 303)
    return _page(answer, PublishForm(formdata=None), form, 422)


def _page(answer: bytes, publishing: PublishForm, withdrawing: WithdrawForm, status: int) -> ResponseReturnValue:
    one = service.see_answer(context(), current_actor(), answer)
    page = render_template("conversations/public_one.html", one=one, publishing=publishing, withdrawing=withdrawing)
    return page, status


def _writing(form: PublicAnswerForm, status: int, one: service.AnswerView | None = None) -> ResponseReturnValue:
    return render_template("conversations/public_write.html", form=_offer(form), one=one), status


def _offer(form: PublicAnswerForm) -> PublicAnswerForm:
    form.topic.choices = service.topics_to_answer(context(), current_actor())
    return form


def _new(form: PublicAnswerForm) -> service.NewAnswer:
    return service.NewAnswer(
        topic=bytes.fromhex(form.text("topic")),
        locale=form.text("locale"),
        title=form.text("title"),
        said=form.secret("said"),
        done=form.secret("done"),
        since=form.text("since"),
        zone=current_session().timezone,
    )


def _day(value: int) -> str:
    moment = datetime.fromtimestamp(value / 1_000_000, UTC)
    return moment.astimezone(ZoneInfo(current_session().timezone)).date().isoformat()
