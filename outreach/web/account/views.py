"""Doors of staff: setting up, signing in and out, choosing and changing passwords, one's own account and sessions."""

from flask import Blueprint, abort, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from outreach.domain.actors import Role
from outreach.domain.errors import InvalidInputError
from outreach.services import sessions, set_up, staff, staff_passwords
from outreach.services.controller import Controller
from outreach.services.overview import see_overview
from outreach.services.senders import SenderFacts
from outreach.web.account.forms import ChangeForm, ChooseForm, ForgotForm, ProfileForm, ProveForm, SetUpForm, SignInForm
from outreach.web.auth import client, current_actor, current_session, door, drop_session, safe_next, start_session
from outreach.web.home import context
from outreach.web.limits import may_sign_in, network_prefix

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
    return render_template("account/home.html", overview=see_overview(context(), current_actor()))


@blueprint.get("/set-up/<token>")
@door("visitor")
def set_up_page(token: str) -> ResponseReturnValue:
    set_up.see_set_up(context(), token)
    return render_template("account/set_up.html", form=SetUpForm(), token=token)


@blueprint.post("/set-up/<token>")
@door("visitor")
def set_up_now(token: str) -> ResponseReturnValue:
    form = SetUpForm()
    set_up.see_set_up(context(), token)
    if form.validate():
        try:
            session_id = set_up.set_up(context(), token, _set_up_of(form), client())
        except InvalidInputError as error:
            form.fail(error)
        else:
            start_session(session_id)
            flash("Everything is set up, and you are signed in.", "ok")
            return redirect(url_for("account.home"), 303)
    return render_template("account/set_up.html", form=form, token=token), 422


@blueprint.get("/password/<token>")
@door("visitor")
def password_page(token: str) -> ResponseReturnValue:
    staff_passwords.see_password_link(context(), token)
    return render_template("account/password.html", form=ChooseForm(), token=token)


@blueprint.post("/password/<token>")
@door("visitor")
def choose_password(token: str) -> ResponseReturnValue:
    form = ChooseForm()
    staff_passwords.see_password_link(context(), token)
    if form.validate():
        try:
            staff_passwords.choose_password(context(), token, form.secret("password"))
        except InvalidInputError as error:
            form.fail(error)
        else:
            drop_session()
            flash("Your password is kept. Sign in with it.", "ok")
            return redirect(url_for("account.sign_in"), 303)
    return render_template("account/password.html", form=form, token=token), 422


@blueprint.get("/forgot")
@door("visitor")
def forgot() -> ResponseReturnValue:
    return render_template("account/forgot.html", form=ForgotForm(), is_asked="asked" in request.args)


@blueprint.post("/forgot")
@door("visitor")
def forgot_now() -> ResponseReturnValue:
    form = ForgotForm()
    if form.validate():
        try:
            staff_passwords.forgot_password(context(), address=form.text("address"), network=network_prefix())
        except InvalidInputError as error:
            form.fail(error)
        else:
            return redirect(url_for("account.forgot", asked=1), 303)
    return render_template("account/forgot.html", form=form, is_asked=False), 422


@blueprint.get("/account")
@door("staff")
def account() -> ResponseReturnValue:
    profile = staff.see_profile(context(), current_actor())
    shown = {"name": profile.name, "timezone": profile.timezone, "told": profile.told_of_dues}
    form = ProfileForm(data=shown)
    return _account_page(form)


@blueprint.post("/account")
@door("staff")
def edit_profile() -> ResponseReturnValue:
    form = ProfileForm()
    if form.validate():
        name, timezone, told = form.text("name"), form.text("timezone"), bool(form.told.data)
        try:
            staff.edit_profile(context(), current_actor(), name=name, timezone=timezone, told_of_dues=told)
        except InvalidInputError as error:
            form.fail(error)
        else:
            flash("Saved.", "ok")
            return redirect(url_for("account.account"), 303)
    return _account_page(form), 422


@blueprint.get("/account/password")
@door("staff")
def change_page() -> ResponseReturnValue:
    return render_template("account/change_password.html", form=ChangeForm())


@blueprint.post("/account/password")
@door("staff")
def change_password() -> ResponseReturnValue:
    form = ChangeForm()
    session = current_session()
    if form.validate():
        if not may_sign_in(session.actor.name):
            abort(429)
        try:
            token = staff_passwords.change_password(
                context(), session, present=form.secret("present"), new=form.secret("password"), client=client()
            )
        except InvalidInputError as error:
            form.fail(error)
        else:
            start_session(token)
            flash("Your password is changed. Every other session was ended.", "ok")
            return redirect(url_for("account.account"), 303)
    return render_template("account/change_password.html", form=form), 422


@blueprint.get("/account/prove")
@door("staff")
def prove() -> ResponseReturnValue:
    target = safe_next(request.args.get("next"), otherwise=url_for("account.home"))
    return render_template("account/prove.html", form=ProveForm(), next=target)


@blueprint.post("/account/prove")
@door("staff")
def prove_now() -> ResponseReturnValue:
    form = ProveForm()
    target = safe_next(request.form.get("next"), otherwise=url_for("account.home"))
    session = current_session()
    if form.validate():
        if not may_sign_in(session.actor.name):
            abort(429)
        try:
            sessions.prove_password(context(), session, form.secret("password"))
        except InvalidInputError as error:
            form.fail(error)
        else:
            return redirect(target, 303)
    return render_template("account/prove.html", form=form, next=target), 422


@blueprint.post("/account/sessions/<ref:session>/end")
@door("staff")
def end_session(session: bytes) -> ResponseReturnValue:
    sessions.revoke_session(context(), current_actor(), session)
    flash("That session was ended.", "ok")
    return redirect(url_for("account.account"), 303)


@blueprint.post("/account/sessions/end-others")
@door("staff")
def end_other_sessions() -> ResponseReturnValue:
    ended = sessions.revoke_other_sessions(context(), current_session())
    flash("There was no other session." if not ended else "Every other session was ended.", "ok")
    return redirect(url_for("account.account"), 303)


def _account_page(form: ProfileForm) -> str:
    actor = current_actor()
    return render_template(
        "account/account.html",
        form=form,
        profile=staff.see_profile(context(), actor),
        sessions=sessions.list_sessions(context(), actor),
        present=current_session().ref,
    )


def _set_up_of(form: SetUpForm) -> set_up.SetUp:
    return set_up.SetUp(
        controller=Controller(
            name=form.text("name"),
            postal_address=form.text("postal_address"),
            country=form.text("country"),
            locale=form.text("locale"),
            timezone=form.text("timezone"),
        ),
        sender=SenderFacts(
            name=form.text("sender_name"),
            postal_address=form.text("postal_address"),
            from_local=form.text("sender_from_local"),
            from_domain=form.text("sender_from_domain"),
        ),
        name=form.text("your_name"),
        address=form.text("address"),
        password=form.secret("password"),
        roles=frozenset(Role(role) for role in form.roles.data or []),
    )
