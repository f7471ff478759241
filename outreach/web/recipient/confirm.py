"""The page behind a confirmation mail: it asks, and only the press of a button answers."""

from collections.abc import Callable
from functools import lru_cache
from typing import cast

from flask import current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from outreach.domain.errors import InvalidInputError
from outreach.domain.tokens import Purpose
from outreach.services import confirm, scanners
from outreach.services.confirm import ConfirmationView
from outreach.services.receipts.links import instant_before
from outreach.web.auth import door
from outreach.web.home import context
from outreach.web.language import language_of_request
from outreach.web.pages import Pages
from outreach.web.recipient.pressed import keep, made_here, remember
from outreach.web.recipient.slice import blueprint, chosen_locale, client, lost, speak_to


@blueprint.get("/confirm/<token>")
@door("recipient")
def confirm_page(token: str) -> ResponseReturnValue:
    view = confirm.view_confirmation(context(), token)
    speak_to(view.locale, view.timezone)
    return _answered(token, view, is_again=True) if view.answer else _question(token, view)


@blueprint.post("/confirm/<token>")
@door("recipient")
def answer(token: str) -> ResponseReturnValue:
    if request.form.get("answer") == "yes":
        return _confirm(token)
    view = confirm.view_confirmation(context(), token)
    speak_to(view.locale, view.timezone)
    if request.form.get("answer") == "no":
        done = confirm.decline(context(), token)
        return redirect(_here(token), 303) if not done.is_again else _answered(token, done.view, is_again=True)
    return _question(token, view, error=gettext("Choose one of the two buttons.")), 422


def _confirm(token: str) -> ResponseReturnValue:
    is_human = request.form.get("human") == "yes"
    try:
        done = confirm.grant(context(), token, _ticked(), client(), button=_yes_label(), is_human=is_human)
    except InvalidInputError:
        view = confirm.view_confirmation(context(), token)
        speak_to(view.locale, view.timezone)
        return _question(token, view, error=gettext("Tick what you would like to get, or choose No.")), 422
    speak_to(done.view.locale, done.view.timezone)
    if done.needs_step:
        return _question(token, done.view, needs_step=True)
    keep(token, done.receipts)
    return _answered(token, done.view, is_again=done.is_again)


@blueprint.get("/confirm/<token>/never")
@door("recipient")
def never_page(token: str) -> ResponseReturnValue:
    view = confirm.view_confirmation(context(), token)
    speak_to(view.locale, view.timezone)
    return render_template("recipient/never.html", token=token)


@blueprint.post("/confirm/<token>/never")
@door("recipient")
def never(token: str) -> ResponseReturnValue:
    since = instant_before(context())
    done = confirm.never(context(), token)
    remember(Purpose.CONFIRM, token, since)
    speak_to(done.view.locale, done.view.timezone)
    return redirect(_here(token), 303)


@blueprint.get("/look/<token>")
@door("recipient")
def look(token: str) -> ResponseReturnValue:
    """Behind the link nobody is shown: a note that a program follows every link of this mail, and nothing else."""
    scanners.note_touch(context(), token)
    return lost(
        gettext("There is nothing to do here"),
        gettext("This link is for programs that open mail, not for people. Nothing was changed; go back to the mail."),
        200,
    )


def _here(token: str) -> str:
    return url_for("recipient.confirm_page", token=token, lang=chosen_locale())


def _ticked() -> set[bytes]:
    """Refs of the topics whose box was ticked; what is no ref is nobody's."""
    names = request.form.getlist("topics")
    return {bytes.fromhex(name) for name in names if len(name) == 32 and not set(name) - set("0123456789abcdef")}


def _yes_label() -> Callable[[ConfirmationView], str]:
    """What makes the words on the yes button, in the reader's language: they are part of the evidence.

    All it needs of this request it holds, for it may be called while another is carried out.
    """
    pages, language_for = cast(Pages, current_app.jinja_env), language_of_request()

    def words(view: ConfirmationView) -> str:
        cap = (view.topics[0].cap_n, view.topics[0].cap_window) if len(view.topics) == 1 else None
        return _yes_words(pages, language_for(view.locale), cap)

    return words


@lru_cache(maxsize=64)
def _yes_words(pages: Pages, language: str, cap: tuple[int, int] | None) -> str:
    """`cap`: (n, seconds) of the one topic asked about; None where there are several."""
    return pages.speaking(language).get_template("recipient/yes.jinja").render(cap=cap).strip()


def _question(token: str, view: ConfirmationView, *, error: str = "", needs_step: bool = False) -> str:
    return render_template(
        "recipient/confirm.html",
        view=view,
        house=view.house,
        token=token,
        error=error,
        needs_step=needs_step,
        ticked=request.form.getlist("topics"),
        yes_label=_yes_label()(view),
    )


def _answered(token: str, view: ConfirmationView, *, is_again: bool) -> str:
    return render_template(
        "recipient/answered.html",
        view=view,
        house=view.house,
        token=token,
        is_again=is_again,
        receipts=made_here(token),
    )
