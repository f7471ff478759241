"""The public start page and the door: hosted sign-up pages, and the one address every form, ours or not, posts to.

A topic's page keeps its word in advance: it shows what was really sent, and the last mail.
"""

from dataclasses import dataclass

from flask import current_app, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import format_decimal, gettext

from outreach.domain.errors import InvalidInputError
from outreach.services.public_text import Promise, see_offer
from outreach.services.sign_up import SignUp, seconds_since, stamp, submit_sign_up
from outreach.services.track_record import TrackRecord, see_last_mail, see_track_record
from outreach.web import security
from outreach.web.auth import door
from outreach.web.framed import mail_alone
from outreach.web.home import context
from outreach.web.limits import network_prefix
from outreach.web.recipient.slice import blueprint, present_locale
from outreach.web.security import csrf
from outreach.web.sentences import sentence

_KEPT = 600_000_000  # microseconds a topic's track record is shown before it is worked out again


@blueprint.get("/")
@door("visitor")
def start() -> ResponseReturnValue:
    return render_template("recipient/start.html", offer=see_offer(context(), present_locale()))


@blueprint.get("/sign-up/<slug>")
@door("visitor")
def sign_up_page(slug: str) -> ResponseReturnValue:
    return _form(slug)


@blueprint.get("/sign-up/<slug>/last-mail")
@door("visitor")
@security.cookieless
def last_mail(slug: str) -> ResponseReturnValue:
    """The topic's last mail, for the frame: nobody's own, its links dead."""
    response = mail_alone(see_last_mail(context(), slug, present_locale()))
    response.headers["Cache-Control"] = "public, max-age=300"
    response.headers["Vary"] = "Accept-Language"
    return response


@blueprint.get("/sign-up/received")
@door("visitor")
def received() -> ResponseReturnValue:
    return render_template("recipient/received.html")


@blueprint.post("/sign-up")
@door("visitor")
@csrf.exempt  # type: ignore[untyped-decorator]  # Flask-WTF has no types. Forms on other sites post here
def sign_up() -> ResponseReturnValue:
    ctx = context()
    try:
        submit_sign_up(
            ctx,
            SignUp(
                address=request.form.get("address", ""),
                topics=request.form.getlist("topics"),
                locale=present_locale(),
                form_url=_form_url(),
                network=network_prefix(),
                ip=request.remote_addr or "",
                browser=request.user_agent.string,
                seconds=seconds_since(ctx, request.form.get("shown", "")),
                honey=request.form.get("website", ""),
            ),
        )
    except InvalidInputError as error:
        return _form(request.form.get("page", ""), error)
    return redirect(url_for("recipient.received", lang=present_locale()), 303)


def _form_url() -> str:
    """Where the form stood: said by the browser, else by the form."""
    return request.referrer or request.form.get("form_url", "")


def _form(slug: str, error: InvalidInputError | None = None) -> ResponseReturnValue:
    ctx = context()
    offer = see_offer(ctx, present_locale(), slug)
    record = _track_record(offer.chosen) if offer.chosen else None
    if record and record.subject:
        security.allow(frame_src="'self'")
    page = render_template(
        "recipient/sign_up.html",
        offer=offer,
        record=record,
        rate=format_decimal(round(record.rate, 1)) if record and record.rate is not None else "",
        shown=request.form.get("shown") or stamp(ctx),  # corrected quickly is still filled in by a person
        form_url=url_for("recipient.sign_up_page", slug=slug, _external=True) if slug else "",
        typed=request.form.get("address", ""),
        ticked=request.form.getlist("topics"),
        errors={"address": "", "topics": ""} | ({error.field: _sentence(error)} if error else {}),
        page_path=url_for("recipient.sign_up_page", slug=slug) if slug else url_for("recipient.start"),
    )
    return page, 200 if error is None else 422


@dataclass(frozen=True)
class _Kept:
    """A topic's track record and until when it is shown as it is, UTC microseconds."""

    record: TrackRecord
    until: int


def _track_record(promise: Promise) -> TrackRecord:
    """Worked out once in ten minutes for each topic and language, however many look."""
    kept: dict[tuple[bytes, str], _Kept] = current_app.extensions.setdefault("outreach.track_records", {})
    key, ctx = (promise.text_ref, present_locale()), context()
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
    held = kept.get(key)
    if held is None or held.until <= now:
        held = kept[key] = _Kept(see_track_record(ctx, promise), now + _KEPT)
    return held.record


def _sentence(error: InvalidInputError) -> str:
    if error.field == "topics":
        return gettext("Choose at least one topic that is offered here.")
    return sentence(error)
