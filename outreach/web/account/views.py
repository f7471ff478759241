"""Signing in and out, for staff."""

from flask import Blueprint, abort, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from outreach.domain.errors import InvalidInputError
from outreach.services import sessions
from outreach.web.account.forms import SignInForm
from outreach.web.auth import client, current_session, door, drop_session, safe_next, start_session
from outreach.web.home import context
from outreach.web.limits import may_sign_in

blueprint = Blueprint("account", __name__)


@blueprint.get("/sign-in")
@door("visitor")
def sign_in() -> ResponseReturnValue:
    return render_template("account/sign_in.html", form=SignInForm(), next=request.args.get("next", ""))


@blueprint.post("/sign-in")
@door("visitor")
def sign_in_now() -> ResponseReturnValue:
    form = SignInForm()
    target = request.form.get("next", "")
    if form.validate():
        address = form.text("address")
        if not may_sign_in(address):
            abort(429)
        try:
            token = sessions.sign_in(context(), address=address, password=form.secret("password"), client=client())
        except InvalidInputError as error:
            form.fail(error)
        else:
            start_session(token)
            return redirect(safe_next(target, otherwise=url_for("account.home")), 303)
    return render_template("account/sign_in.html", form=form, next=target), 422


@blueprint.post("/sign-out")
@door("staff")
def sign_out() -> ResponseReturnValue:
    sessions.sign_out(context(), current_session())
    drop_session()
    return redirect(url_for("account.sign_in"), 303)


@blueprint.get("/home")
@door("staff")
def home() -> ResponseReturnValue:
    return render_template("account/home.html")
