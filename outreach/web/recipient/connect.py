"""A member's connect link as others meet it: the public page, the badge other sites frame, and the mail's question.

Looking at any of it, in whatever way a browser, scanner or other site does, changes nothing.
"""

from flask import Response, current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from outreach.domain.errors import ConflictError, InvalidInputError
from outreach.services import connect, connect_links
from outreach.services.connect import ConnectView
from outreach.services.sign_up import seconds_since, stamp
from outreach.web.auth import door
from outreach.web.home import context
from outreach.web.limits import network_prefix
from outreach.web.recipient.slice import blueprint, chosen_locale, present_locale, speak_to
from outreach.web.security import framable
from outreach.web.sentences import sentence


@blueprint.get("/connect/<ref:link>")
@door("visitor")
def connect_page(link: bytes) -> ResponseReturnValue:
    return _form(link)


@blueprint.post("/connect/<ref:link>")
@door("visitor")
def ask(link: bytes) -> ResponseReturnValue:
    ctx = context()
    try:
        connect.submit_connect(
            ctx,
            link,
            address=request.form.get("address", ""),
            network=network_prefix(),
            locale=present_locale(),
            ip=request.remote_addr or "",
            browser=request.user_agent.string,
            seconds=seconds_since(ctx, request.form.get("shown", "")),
            honey=request.form.get("website", ""),
        )
    except ConflictError:
        return _off()
    except InvalidInputError as error:
        return _form(link, error)
    return redirect(url_for("recipient.connect_asked", lang=chosen_locale()), 303)


@blueprint.get("/connect/asked")
@door("visitor")
def connect_asked() -> ResponseReturnValue:
    return render_template("recipient/connect_asked.html")


@blueprint.get("/badge/<ref:link>")
@door("visitor")
@framable
def badge(link: bytes) -> ResponseReturnValue:
    """Rendered without what other pages are given, since some of that looks into the cookie."""
    page = current_app.jinja_env.get_template("recipient/badge.html")
    shown = connect_links.view_link(context(), link)
    return Response(page.render(link=shown), mimetype="text/html")


@blueprint.get("/connect/confirm/<token>")
@door("recipient")
def connect_question(token: str) -> ResponseReturnValue:
    return _question(token, connect.view_connect(context(), token))


@blueprint.post("/connect/confirm/<token>")
@door("recipient")
def answer_connect(token: str) -> ResponseReturnValue:
    ctx, answer = context(), request.form.get("answer")
    if answer == "no":
        connect.decline_connect(ctx, token)
        return _back(token)
    if answer != "yes":
        return _question(token, connect.view_connect(ctx, token), error=gettext("Choose one of the two buttons.")), 422
    done = connect.confirm_connect(ctx, token, is_human=request.form.get("human") == "yes")
    if done.needs_step or done.is_again:
        return _question(token, done.view, needs_step=done.needs_step, is_again=done.is_again)
    return _back(token)


def _form(ref: bytes, error: InvalidInputError | None = None) -> ResponseReturnValue:
    ctx = context()
    link = connect_links.view_link(ctx, ref)
    if not link.is_live:
        return _off()
    page = render_template(
        "recipient/connect.html",
        link=link,
        action=_here(ref),
        shown=request.form.get("shown") or stamp(ctx),  # corrected quickly is still filled in by a person
        typed=request.form.get("address", ""),
        error=sentence(error) if error else "",
    )
    return page, 200 if error is None else 422


def _off() -> ResponseReturnValue:
    """Switched off, ended, used up, its owner stopped, or never there: all the same."""
    return render_template("recipient/connect_off.html"), 410


def _question(
    token: str, view: ConnectView, *, error: str = "", needs_step: bool = False, is_again: bool = False
) -> str:
    speak_to(view.locale, view.timezone)
    page = "recipient/connect_answered.html" if view.answer or view.is_off else "recipient/connect_confirm.html"
    return render_template(page, view=view, token=token, error=error, needs_step=needs_step, is_again=is_again)


def _back(token: str) -> ResponseReturnValue:
    return redirect(url_for("recipient.connect_question", token=token, lang=chosen_locale()), 303)


def _here(ref: bytes) -> str:
    return url_for("recipient.ask", link=ref, lang=chosen_locale())
