"""Making an account, or getting back into one: the start page, the address, and the page its owner's mail leads to."""

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from outreach.domain.errors import ConflictError, InvalidInputError
from outreach.services.join import Choice, choose, see_choice, submit_start
from outreach.web.auth import client, door, present_member, start_session
from outreach.web.home import context
from outreach.web.language import chosen_locale, present_locale, speak_to, tell
from outreach.web.limits import network_prefix
from outreach.web.member.forms import JoinForm, PasswordForm, StartForm
from outreach.web.member.slice import blueprint, lost


@blueprint.get("/members")
@door("visitor")
def about() -> ResponseReturnValue:
    return render_template("member/start.html", is_member=present_member() is not None)


@blueprint.get("/members/start")
@door("visitor")
def start() -> ResponseReturnValue:
    return render_template("member/join.html", form=StartForm(), back=request.args.get("back", ""))


@blueprint.post("/members/start")
@door("visitor")
def start_now() -> ResponseReturnValue:
    form = StartForm()
    back = request.form.get("back", "")
    if form.validate():
        address, network = form.text("address"), network_prefix()
        try:
            submit_start(context(), address=address, network=network, locale=present_locale(), back=back)
        except InvalidInputError as error:
            form.say(error)
        else:
            return redirect(url_for("member.started", lang=chosen_locale()), 303)
    return render_template("member/join.html", form=form, back=back), 422


@blueprint.get("/members/started")
@door("visitor")
def started() -> ResponseReturnValue:
    return render_template("member/started.html")


@blueprint.get("/members/choose/<token>")
@door("visitor")
def choose_page(token: str) -> ResponseReturnValue:
    choice = see_choice(context(), token)
    speak_to(choice.locale, choice.timezone)
    return _choose_page(_form(choice), choice, token)


@blueprint.post("/members/choose/<token>")
@door("visitor")
def choose_now(token: str) -> ResponseReturnValue:
    choice = see_choice(context(), token)
    speak_to(choice.locale, choice.timezone)
    form = _form(choice)
    if form.validate():
        name = form.text("name") if isinstance(form, JoinForm) else ""
        try:
            chosen = choose(context(), token, name=name, password=form.secret("password"), client=client())
        except InvalidInputError as error:
            form.say(error)
        except ConflictError:
            text = gettext(
                "There is an account under another spelling of this address, or where it went. Sign in with that one."
            )
            return lost(gettext("You have an account already"), text, 409)
        else:
            start_session(chosen.session)
            if choice.is_new:
                tell(gettext("Your account is made, and you are signed in."))
            else:
                tell(gettext("Your new password is kept, and you are signed in. Every other session was ended."))
            return redirect(chosen.back or url_for("member.dashboard"), 303)
    return _choose_page(form, choice, token), 422


def _form(choice: Choice) -> JoinForm | PasswordForm:
    return JoinForm() if choice.is_new else PasswordForm()


def _choose_page(form: JoinForm | PasswordForm, choice: Choice, token: str) -> str:
    return render_template("member/choose.html", form=form, choice=choice, token=token)
