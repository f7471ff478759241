"""An invitation's pages: what it is and every choice about it, behind a link in a mail or one passed on by hand.

Looking changes nothing. A press declines, bars or reports; none accepts. That is done in an account, to which the page
of acceptance leads: a link can be forwarded, and a program that checks mail presses the first button it finds.
"""

from dataclasses import dataclass, field, replace

from flask import redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from outreach.domain.errors import ConflictError
from outreach.domain.invitation import Answer, Report
from outreach.services import answers
from outreach.services.answers import InvitationView
from outreach.web.auth import HANDED, door, present_member
from outreach.web.home import context
from outreach.web.recipient.slice import blueprint, chosen_locale, present_locale, speak_to, tell


@dataclass(frozen=True)
class Acts:
    """Where each choice on an invitation leads: `presses` act at once, `pages` ask first."""

    presses: dict[str, str] = field(default_factory=dict)
    pages: dict[str, str] = field(default_factory=dict)


@blueprint.get("/invitation/<token>")
@door("recipient")
def invitation(token: str) -> ResponseReturnValue:
    view = _mailed(token)
    if view.answer:
        return render_template(
            "recipient/invitation_done.html",
            view=view,
            never=_path("never", token),
            report=_path("report", token),
            connections=url_for("member.connections", lang=chosen_locale()),
        )
    pages = {name: _path(name, token) for name in ("accept", "never", "report")}
    if view.can_ask_reminder:
        pages["later"] = _path("later", token)
    return render_template(
        "recipient/invitation.html", view=view, acts=Acts({"decline": _path("decline", token)}, pages)
    )


@blueprint.get("/invitation/<token>/<any(decline, never, later):choice>")
@door("recipient")
def invitation_choice(token: str, choice: str) -> ResponseReturnValue:
    """One choice on a page of its own, with one button."""
    view = _mailed(token)
    is_over = (bool(view.answer) and choice == "decline") or (choice == "later" and not view.can_ask_reminder)
    if is_over or view.answer == choice:
        return redirect(_see(token), 303)
    return _asked(f"recipient/invitation_{choice}.html", view, _path(choice, token), _path("", token))


@blueprint.post("/invitation/<token>/decline")
@door("recipient")
def decline_invitation(token: str) -> ResponseReturnValue:
    answers.decline(context(), token)
    return redirect(_see(token), 303)


@blueprint.post("/invitation/<token>/never")
@door("recipient")
def never_invitation(token: str) -> ResponseReturnValue:
    view = answers.never(context(), token)
    if view.answer != Answer.NEVER:
        speak_to(view.locale, view.timezone)
        tell(gettext("We will never write to this mailbox again. What you agreed to before has ended."))
    return redirect(_see(token), 303)


@blueprint.post("/invitation/<token>/later")
@door("recipient")
def later_invitation(token: str) -> ResponseReturnValue:
    view = _mailed(token)
    try:
        answers.ask_reminder(context(), token)
    except ConflictError:
        tell(gettext("This invitation can no longer be answered. Nothing was changed."))
    else:
        tell(gettext("Noted. %(name)s may remind you once. If they do not, nothing comes.", name=view.inviter))
    return redirect(_see(token), 303)


@blueprint.get("/invitation/<token>/report")
@door("recipient")
def report_page(token: str) -> ResponseReturnValue:
    return _asked("recipient/invitation_report.html", _mailed(token), _path("report", token), _path("", token))


@blueprint.post("/invitation/<token>/report")
@door("recipient")
def report_invitation(token: str) -> ResponseReturnValue:
    why = _why()
    if why is None:
        return _no_reason(_mailed(token), _path("report", token), _path("", token))
    view = answers.report(context(), token, why)
    if view.answer != Answer.REPORTED:
        speak_to(view.locale, view.timezone)
        tell(gettext("Reported. It counts from now on."))
    return redirect(_see(token), 303)


@blueprint.get("/invitation/<token>/accept")
@door("recipient")
def accept_page(token: str) -> ResponseReturnValue:
    view = _mailed(token)
    return _how_to_accept(view, _path("", token)) if view.can_accept else redirect(_see(token), 303)


@blueprint.get("/hand/<token>")
@door("recipient")
def hand(token: str) -> ResponseReturnValue:
    view = _handed(token)
    if view.answer or not view.can_accept:
        return render_template("recipient/hand_done.html", view=view)
    report = url_for("recipient.report_hand_page", token=token)
    presses = {name: url_for(f"recipient.{name}_hand", token=token) for name in ("accept", "decline")}
    return render_template("recipient/hand.html", view=view, acts=Acts(presses, {"report": report}))


@blueprint.post("/hand/<token>/accept")
@door("recipient")
def accept_hand(token: str) -> ResponseReturnValue:
    """Remember the link in this browser, so that an account can answer it. Nothing is accepted."""
    view = _handed(token)
    if not view.can_accept:
        return redirect(_see(token, "recipient.hand"), 303)
    session[HANDED] = token
    if present_member():
        return redirect(f"/me/incoming/{view.ref.hex()}", 303)
    return redirect(_see(token, "recipient.accept_hand_page"), 303)


@blueprint.get("/hand/<token>/accept")
@door("recipient")
def accept_hand_page(token: str) -> ResponseReturnValue:
    view = _handed(token)
    if not view.can_accept or session.get(HANDED) != token:
        return redirect(_see(token, "recipient.hand"), 303)
    return _how_to_accept(view, url_for("recipient.hand", token=token))


@blueprint.post("/hand/<token>/decline")
@door("recipient")
def decline_hand(token: str) -> ResponseReturnValue:
    answers.decline_hand(context(), token)
    return redirect(_see(token, "recipient.hand"), 303)


@blueprint.get("/hand/<token>/report")
@door("recipient")
def report_hand_page(token: str) -> ResponseReturnValue:
    view = _handed(token)
    if view.answer:
        return redirect(_see(token, "recipient.hand"), 303)
    here, back = (url_for(f"recipient.{name}", token=token) for name in ("report_hand", "hand"))
    return _asked("recipient/invitation_report.html", view, here, back)


@blueprint.post("/hand/<token>/report")
@door("recipient")
def report_hand(token: str) -> ResponseReturnValue:
    why = _why()
    if why is None:
        here, back = (url_for(f"recipient.{name}", token=token) for name in ("report_hand", "hand"))
        return _no_reason(_handed(token), here, back)
    answers.report_hand(context(), token, why)
    return redirect(_see(token, "recipient.hand"), 303)


def _mailed(token: str) -> InvitationView:
    return _spoken(answers.view_invitation(context(), token))


def _handed(token: str) -> InvitationView:
    return _spoken(answers.view_hand(context(), token))


def _spoken(view: InvitationView) -> InvitationView:
    """The page speaks the invitation's language from here on."""
    speak_to(view.locale, view.timezone)
    return view if view.inviter else replace(view, inviter=gettext("a former member"))


def _path(part: str, token: str) -> str:
    page = url_for("recipient.invitation", token=token)
    return f"{page}/{part}" if part else page


def _see(token: str, endpoint: str = "recipient.invitation") -> str:
    return url_for(endpoint, token=token, lang=chosen_locale())


def _why() -> Report | None:
    typed = request.form.get("why", "")
    return Report(typed) if typed in set(Report) else None


def _asked(template: str, view: InvitationView, action: str, back: str, error: str = "") -> str:
    return render_template(template, view=view, action=action, back=back, error=error)


def _no_reason(view: InvitationView, action: str, back: str) -> ResponseReturnValue:
    error = gettext("Choose what is wrong with it.")
    return _asked("recipient/invitation_report.html", view, action, back, error), 422


def _how_to_accept(view: InvitationView, back: str) -> str:
    waiting = f"incoming/{view.ref.hex()}"
    return render_template(
        "recipient/invitation_accept.html",
        view=view,
        back=back,
        is_member=present_member() is not None,
        waiting=f"/me/{waiting}",
        sign_in=url_for("member.sign_in", next=f"/me/{waiting}", lang=present_locale()),
        start=url_for("member.start_now", lang=present_locale()),
        back_to=waiting,
    )
