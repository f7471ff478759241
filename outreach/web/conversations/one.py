"""One conversation: what was said, the answer, notes for colleagues, and what else can be done with it."""

from collections.abc import Callable
from typing import Any

from flask import Response, flash, make_response, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from outreach.domain.errors import ConflictError, InvalidInputError
from outreach.services.conversations import answering, handling
from outreach.services.conversations import inbox as service
from outreach.services.conversations.colleagues import ANSWERS
from outreach.web.auth import current_actor, door
from outreach.web.conversations.forms import AnswerForm, AssignForm, CloseForm, MarkForm, NoteForm, TagsForm
from outreach.web.conversations.slice import blueprint
from outreach.web.forms import Form
from outreach.web.home import context

Forms = dict[str, Form]


@blueprint.get("/conversations/<ref:conversation>")
@door("marketer", "administrator", "officer")
def conversation(conversation: bytes) -> ResponseReturnValue:
    return _page(conversation, {})


@blueprint.post("/conversations/<ref:conversation>/answer")
@door("marketer", "administrator")
def answer(conversation: bytes) -> ResponseReturnValue:
    form = AnswerForm()

    def act() -> None:
        words, seen = form.secret("words"), form.text("seen")
        answering.answer(context(), current_actor(), conversation, words, seen=seen, closes=bool(form.closes.data))

    return _act(conversation, "answer", form, act, "Your answer is on its way.")


@blueprint.post("/conversations/<ref:conversation>/note")
@door("marketer", "administrator")
def note(conversation: bytes) -> ResponseReturnValue:
    form = NoteForm()

    def act() -> None:
        handling.add_note(context(), current_actor(), conversation, form.secret("note"))

    return _act(conversation, "note", form, act, "Noted for your colleagues.")


@blueprint.post("/conversations/<ref:conversation>/assign")
@door("marketer", "administrator")
def assign(conversation: bytes) -> ResponseReturnValue:
    form = AssignForm()

    def act() -> None:
        handling.assign(context(), current_actor(), conversation, _ref(form.text("to")))

    return _act(conversation, "assign", form, act, "It is settled who takes care of this.")


@blueprint.post("/conversations/<ref:conversation>/take")
@door("marketer", "administrator")
def take(conversation: bytes) -> ResponseReturnValue:
    return _press(conversation, lambda: handling.take(context(), current_actor(), conversation), "It is yours.")


@blueprint.post("/conversations/<ref:conversation>/tags")
@door("marketer", "administrator")
def tags(conversation: bytes) -> ResponseReturnValue:
    form = TagsForm()

    def act() -> None:
        handling.set_tags(context(), current_actor(), conversation, form.text("tags"))

    return _act(conversation, "tags", form, act, "Tags saved.")


@blueprint.post("/conversations/<ref:conversation>/mark")
@door("marketer", "administrator")
def mark(conversation: bytes) -> ResponseReturnValue:
    form = MarkForm()

    def act() -> None:
        handling.set_mark(context(), current_actor(), conversation, form.text("mark"))

    return _act(conversation, "mark", form, act, "Marked.")


@blueprint.post("/conversations/<ref:conversation>/close")
@door("marketer", "administrator")
def close(conversation: bytes) -> ResponseReturnValue:
    form = CloseForm()

    def act() -> None:
        handling.close(context(), current_actor(), conversation, form.text("reason"))

    return _act(conversation, "close", form, act, "Closed. It opens again by itself when they write.")


@blueprint.post("/conversations/<ref:conversation>/reopen")
@door("marketer", "administrator")
def reopen(conversation: bytes) -> ResponseReturnValue:
    return _press(conversation, lambda: handling.reopen(context(), current_actor(), conversation), "It is open again.")


@blueprint.get("/conversations/<ref:conversation>/files/<ref:file>")
@door("marketer", "administrator", "officer")
def file(conversation: bytes, file: bytes) -> ResponseReturnValue:
    """What somebody sent, as octets to keep: nothing here shows or runs it."""
    try:
        name, octets = service.read_file(context(), current_actor(), conversation, file)
    except service.NotOpenError as error:
        flash(str(error), "warn")
        return redirect(url_for("conversations.conversation", conversation=conversation), 303)
    response: Response = make_response(octets)
    response.headers["Content-Type"] = "application/octet-stream"
    response.headers.set("Content-Disposition", "attachment", filename=name)
    response.headers["Content-Security-Policy"] = "sandbox; default-src 'none'"
    return response


def _act(ref: bytes, name: str, form: Form, act: Callable[[], None], done: str) -> ResponseReturnValue:
    """Act on a form of the page; what was typed stays in it when that was not possible."""
    if form.validate():
        try:
            act()
        except (InvalidInputError, ConflictError) as error:
            form.fail(error)
        else:
            flash(done, "ok")
            return redirect(url_for("conversations.conversation", conversation=ref), 303)
    return _page(ref, {name: form}, 422)


def _press(ref: bytes, act: Callable[[], None], done: str) -> ResponseReturnValue:
    try:
        act()
    except ConflictError as error:
        flash(str(error), "warn")
    else:
        flash(done, "ok")
    return redirect(url_for("conversations.conversation", conversation=ref), 303)


def _page(ref: bytes, typed: Forms, status: int = 200) -> ResponseReturnValue:
    shown = service.see_conversation(context(), current_actor(), ref)
    fresh: dict[str, Any] = {
        "answer": lambda: AnswerForm(formdata=None),
        "note": lambda: NoteForm(formdata=None),
        "assign": lambda: AssignForm(formdata=None, data={"to": shown.staff.ref.hex() if shown.staff else ""}),
        "tags": lambda: TagsForm(formdata=None, data={"tags": ", ".join(shown.tags)}),
        "mark": lambda: MarkForm(formdata=None, data={"mark": shown.mark}),
        "close": lambda: CloseForm(formdata=None),
    }
    forms: Forms = {name: typed.get(name) or make() for name, make in fresh.items()}
    choices = {"": "Nobody yet", **{one.ref.hex(): one.name for one in shown.choices}}
    problems = next(iter(typed.values()), None)
    acts = bool(current_actor().roles.intersection(ANSWERS))
    values = {"forms": forms, "choices": choices, "problems": problems, "acts": acts}
    return render_template("conversations/one.html", shown=shown, **values), status


def _ref(text: str) -> bytes | None:
    try:
        return bytes.fromhex(text) or None
    except ValueError:
        raise InvalidInputError("Choose somebody of the list. Nothing was changed.", "to") from None
