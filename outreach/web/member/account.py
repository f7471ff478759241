"""Signing in and out, and looking after one's account."""

from flask import abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from outreach.domain.errors import InvalidInputError
from outreach.services import members, sessions
from outreach.services.leave import close_account
from outreach.web.auth import client, current_actor, current_session, door, drop_session, safe_next, start_session
from outreach.web.home import context
from outreach.web.language import speak_to, tell
from outreach.web.limits import may_sign_in
from outreach.web.member.forms import AccountForm, ChangeForm, CloseForm, SignInForm
from outreach.web.member.slice import blueprint


@blueprint.get("/members/sign-in")
@door("visitor")
def sign_in() -> ResponseReturnValue:
    return render_template("member/sign_in.html", form=SignInForm(), next=request.args.get("next", ""))


@blueprint.post("/members/sign-in")
@door("visitor")
def sign_in_now() -> ResponseReturnValue:
    form = SignInForm()
    target = request.form.get("next", "")
    if form.validate():
        address, password = form.text("address"), form.secret("password")
        if not may_sign_in(address):
            abort(429)
        try:
            token = members.sign_in_member(context(), address=address, password=password, client=client())
        except InvalidInputError:
            words = gettext("The address and the password do not belong together. Nobody was signed in.")
            form.form_errors.append(words)
        else:
            start_session(token)
            return redirect(safe_next(target, otherwise=url_for("member.dashboard")), 303)
    return render_template("member/sign_in.html", form=form, next=target), 422


@blueprint.post("/me/sign-out")
@door("member")
def sign_out() -> ResponseReturnValue:
    sessions.sign_out(context(), current_session())
    drop_session()
    return redirect(url_for("member.sign_in"), 303)


@blueprint.get("/me/account")
@door("member")
def account() -> ResponseReturnValue:
    own = members.see_account(context(), current_actor())
    facts = {"name": own.name, "locale": own.locale, "timezone": own.timezone, "notify": own.notify}
    return _account_page(AccountForm(data=facts))


@blueprint.post("/me/account")
@door("member")
def edit_account() -> ResponseReturnValue:
    form = AccountForm()
    if form.validate():
        try:
            members.edit_account(
                context(),
                current_actor(),
                name=form.text("name"),
                locale=form.text("locale"),
                timezone=form.text("timezone"),
                notify=bool(form.notify.data),
            )
        except InvalidInputError as error:
            form.say(error)
        else:
            speak_to(form.text("locale"))
            tell(gettext("Saved."))
            return redirect(url_for("member.account"), 303)
    return _account_page(form), 422


@blueprint.get("/me/account/password")
@door("member")
def password_page() -> ResponseReturnValue:
    return render_template("member/password.html", form=ChangeForm())


@blueprint.post("/me/account/password")
@door("member")
def change_password() -> ResponseReturnValue:
    form = ChangeForm()
    session = current_session()
    if form.validate():
        if not may_sign_in(session.actor.name):
            abort(429)
        present, new = form.secret("present"), form.secret("password")
        try:
            token = members.change_member_password(context(), session, present=present, new=new, client=client())
        except InvalidInputError as error:
            form.say(error)
        else:
            start_session(token)
            tell(gettext("Your password is changed. Every other session was ended."))
            return redirect(url_for("member.account"), 303)
    return render_template("member/password.html", form=form), 422


@blueprint.post("/me/account/sessions/<ref:session>/end")
@door("member")
def end_session(session: bytes) -> ResponseReturnValue:
    sessions.revoke_session(context(), current_actor(), session)
    tell(gettext("That session was ended."))
    return redirect(url_for("member.account"), 303)


@blueprint.post("/me/account/sessions/end-others")
@door("member")
def end_other_sessions() -> ResponseReturnValue:
    ended = sessions.revoke_other_sessions(context(), current_session())
    tell(gettext("Every other session was ended.") if ended else gettext("There was no other session."))
    return redirect(url_for("member.account"), 303)


@blueprint.get("/me/account/close")
@door("member")
def close_page() -> ResponseReturnValue:
    return render_template("member/close.html", form=CloseForm())


@blueprint.post("/me/account/close")
@door("member")
def close() -> ResponseReturnValue:
    form = CloseForm()
    session = current_session()
    if form.validate():
        if not may_sign_in(session.actor.name):
            abort(429)
        try:
            close_account(context(), session, form.secret("password"))
        except InvalidInputError as error:
            form.say(error)
        else:
            drop_session()
            tell(gettext("Your account is closed, and everything that was only for it is erased."))
            return redirect(url_for("member.about"), 303)
    return render_template("member/close.html", form=form), 422


def _account_page(form: AccountForm) -> str:
    actor = current_actor()
    return render_template(
        "member/account.html",
        form=form,
        account=members.see_account(context(), actor),
        sessions=sessions.list_sessions(context(), actor),
        present=current_session().ref,
    )
