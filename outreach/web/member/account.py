"""Signing in and out, making an account, and looking after it."""

from flask import abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from outreach.domain.errors import InvalidInputError
from outreach.services import sessions
from outreach.services.members import sign_in_member
from outreach.web.auth import client, current_session, door, drop_session, safe_next, start_session
from outreach.web.home import context
from outreach.web.limits import may_sign_in
from outreach.web.member.forms import SignInForm
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
        address = form.text("address")
        if not may_sign_in(address):
            abort(429)
        try:
            token = sign_in_member(context(), address=address, password=form.secret("password"), client=client())
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
