"""Stopping and explaining, from a link in any mail: RFC 8058 one-click, a page with one button, and undo."""

from flask import abort, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_wtf.csrf import CSRFError

from outreach.domain.errors import ConflictError, TokenError
from outreach.domain.tokens import Purpose, TokenCompromisedError
from outreach.services import withdraw
from outreach.services.fresh_link import mail_fresh_link
from outreach.services.receipts.links import instant_before
from outreach.services.standing import Standing
from outreach.services.why import explain
from outreach.web.auth import door
from outreach.web.home import context
from outreach.web.people import open_again
from outreach.web.recipient.pressed import made_here, remember
from outreach.web.recipient.slice import blueprint, chosen_locale, client, speak_to, tell
from outreach.web.security import csrf

_UNDO = "undo"  # in the browser's session, newest last: [page, link's token, undo token, what was pressed]
_MOST = 6  # of those, since a cookie holds few
_CHANGES = frozenset(withdraw.WAYS) - {"one-click"}


@blueprint.get("/stop/<token>")
@door("recipient")
def stop_page(token: str) -> ResponseReturnValue:
    standing = withdraw.view_stop(context(), token)
    speak_to(standing.locale, standing.timezone)
    return _stop_page(token, standing)


@blueprint.post("/stop/<token>")
@door("recipient")
@csrf.exempt  # type: ignore[untyped-decorator]  # Flask-WTF has no types. RFC 8058 §3.1: posted without cookies
def one_click(token: str) -> ResponseReturnValue:
    if list(request.form.items(multi=True)) != [("List-Unsubscribe", "One-Click")] or request.files:
        abort(400)
    try:
        done = withdraw.withdraw(context(), token, "one-click", client())
    except TokenCompromisedError:  # a mail program cannot press the button of a page
        mail_fresh_link(context(), token)
        return render_template("recipient/fresh_sent.html")
    speak_to(done.standing.locale, done.standing.timezone)
    return render_template(
        "recipient/stop.html",
        token=token,
        standing=done.standing,
        house=done.standing.house,
        is_stopped=True,
        everything=False,
        receipts=(),
    )


@blueprint.post("/stop/<token>/press")
@door("recipient")
def press(token: str) -> ResponseReturnValue:
    how = request.form.get("how", "")
    if how not in {"page", "everything"}:
        abort(400)
    since = instant_before(context())
    done = withdraw.withdraw(context(), token, how, client())
    _remember("recipient.stop_page", token, done.undo, how)
    remember(Purpose.STOP, token, since)
    is_shown = how == "page" and done.standing.is_refused
    if done.undo is None and not is_shown:  # nothing stood: it is as they pressed all the same
        tell(_said(how))
    return redirect(url_for("recipient.stop_page", token=token, lang=chosen_locale()), 303)


@blueprint.get("/why/<token>")
@door("recipient")
def why_page(token: str) -> ResponseReturnValue:
    why = explain(context(), token)
    speak_to(why.standing.locale, why.standing.timezone)
    return render_template(
        "recipient/why.html",
        why=why,
        house=why.standing.house,
        token=token,
        can_undo=_can_undo(token),
        receipts=made_here(token),
    )


@blueprint.post("/why/<token>")
@door("recipient")
def change(token: str) -> ResponseReturnValue:
    how = request.form.get("how", "")
    if how not in _CHANGES:
        abort(400)
    since = instant_before(context())
    done = withdraw.withdraw(context(), token, how, client(), purpose=Purpose.WHY)
    speak_to(done.standing.locale, done.standing.timezone)
    _remember("recipient.why_page", token, done.undo, how)
    remember(Purpose.WHY, token, since)
    is_refusal = how == "page" and done.standing.is_question
    tell(gettext("Your answer is no. Nothing will be sent.") if is_refusal else _said(how))
    return redirect(url_for("recipient.why_page", token=token, lang=chosen_locale()), 303)


@blueprint.post("/undo")
@door("recipient")
def undo() -> ResponseReturnValue:
    page, token, undo_token, _ = _pressed_on(request.form.get("link") or _newest())
    session[_UNDO] = [one for one in session.get(_UNDO, ()) if one[1] != token]
    back = url_for(page, token=token, lang=chosen_locale()) if token else url_for("recipient.start")
    since = instant_before(context())
    try:
        put_back = withdraw.undo(context(), undo_token, client())
    except (TokenError, ConflictError):
        put_back = 0
    if put_back:
        remember(Purpose.WHY if page == "recipient.why_page" else Purpose.STOP, token, since)
    tell(gettext("It is as it was before.") if put_back else gettext("There is nothing left to undo here."))
    return redirect(back, 303)


@blueprint.errorhandler(CSRFError)
def _without_cookies(error: CSRFError) -> ResponseReturnValue:
    """A browser that keeps no cookies can still stop: with the button that needs none."""
    token = (request.view_args or {}).get("token")
    if request.endpoint not in {"recipient.press", "recipient.renew"} or token is None:
        return open_again(error)
    renews = request.endpoint == "recipient.renew"
    is_alone = not renews and _is_alone(token)
    return render_template("recipient/without_cookies.html", token=token, renews=renews, is_alone=is_alone), 400


def _is_alone(token: str) -> bool:
    """Whether a press would stop everything; speaks the language of who would press."""
    try:
        standing = withdraw.view_stop(context(), token)
    except TokenError:
        return False
    speak_to(standing.locale, standing.timezone)
    return standing.is_alone


def _stop_page(token: str, standing: Standing) -> ResponseReturnValue:
    pressed = _pressed(token)
    return render_template(
        "recipient/stop.html",
        token=token,
        standing=standing,
        house=standing.house,
        is_stopped=standing.state == "withdrawn" or standing.is_refused or bool(pressed),
        everything=pressed == "everything",
        can_undo=bool(pressed),
        receipts=made_here(token),
    )


def _remember(page: str, token: str, undo_token: str | None, how: str) -> None:
    """Keep the undo in this browser alone."""
    if undo_token is not None:
        others = [one for one in session.get(_UNDO, ()) if one[1] != token]
        session[_UNDO] = [*others, [page, token, undo_token, how]][-_MOST:]


def _pressed(token: str) -> str:
    """What this browser pressed on this link within the hour; empty when nothing."""
    _, link, undo_token, how = _pressed_on(token)
    return how if link and withdraw.can_undo(context(), undo_token) else ""


def _pressed_on(token: str) -> list[str]:
    """[page, link, undo token, what was pressed] of a link this browser pressed on; of none, what leads nowhere."""
    pressed = (list(one) for one in session.get(_UNDO, ()) if one[1] == token)
    return next(pressed, ["recipient.start", "", "", ""])


def _newest() -> str:
    """The link pressed on last; empty when none was."""
    return str(session[_UNDO][-1][1]) if session.get(_UNDO) else ""


def _can_undo(token: str) -> bool:
    return bool(_pressed(token))


def _said(how: str) -> str:
    return {
        "page": gettext("Stopped. It counts from the very next mail."),
        "everything": gettext("Everything is stopped. It counts from the very next mail."),
        "lower": gettext("You will get at most 1 of these a week."),
        "lower-month": gettext("You will get at most 1 of these a month."),
        "pause": gettext("Paused for 30 days. Then it goes on by itself."),
    }[how]
