"""The demo mailbox: every letter as its reader would see it. Open without signing in, on one's own machine only."""

from flask import Blueprint, Response, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from outreach.domain.errors import ConflictError, InvalidInputError
from outreach.services import demo_mailbox
from outreach.services.demo_answers import answer_letter, ways_back
from outreach.web import security
from outreach.web.auth import door
from outreach.web.formats import speak
from outreach.web.home import context

blueprint = Blueprint("mailbox", __name__, url_prefix="/mailbox")

VIEWS = {"letter": "Letter", "text": "Plain text", "headers": "Headers", "source": "Source"}
SENT = {
    "reply": "The reply was sent, and is in the conversations within a second or two.",
    "spam": "The report was sent: every consent of this reader ends within a second or two.",
    "bounce": "The report was sent: this address is barred within a second or two, as the policy says.",
}

# The letter runs no script and loads nothing from elsewhere; its links open beside it, in a page of their own.
_LETTER_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; "
    "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)


@blueprint.before_request
def _in_english() -> None:
    speak("en")


@blueprint.get("")
@door("visitor")
def letters() -> ResponseReturnValue:
    page = request.args.get("page", 1, type=int)
    return render_template("mailbox/letters.html", found=demo_mailbox.list_letters(context(), page), words="")


@blueprint.post("")
@door("visitor")
def find() -> ResponseReturnValue:
    """Searching is a POST so that an address never stands in a URL. It changes nothing."""
    words = request.form.get("words", "")
    try:
        found = demo_mailbox.find_letters(context(), words)
    except InvalidInputError as error:
        found = demo_mailbox.list_letters(context(), 1)
        return render_template("mailbox/letters.html", found=found, words="", fault=str(error)), 422
    return render_template("mailbox/letters.html", found=found, words=words)


@blueprint.get("/<key>")
@door("visitor")
def letter(key: str) -> ResponseReturnValue:
    return _letter(key, request.args.get("view", "letter"))


@blueprint.post("/<key>/<any(reply, spam, bounce):act>")
@door("visitor")
def answer(key: str, act: str) -> ResponseReturnValue:
    """What its reader, or their provider, would send: a real mail to this installation's own door."""
    try:
        answer_letter(context(), key, act, request.form.get("words", ""))
    except (ConflictError, InvalidInputError) as error:
        return _letter(key, "letter", str(error), request.form.get("words", "")), 422
    flash(SENT[act])
    return redirect(url_for("mailbox.letter", key=key), 303)


def _letter(key: str, view: str, fault: str = "", words: str = "") -> str:
    shown = demo_mailbox.read_letter(context(), key)
    security.allow(frame_src="'self'")
    return render_template(
        "mailbox/letter.html",
        letter=shown,
        view=view if view in VIEWS else "letter",
        views=VIEWS,
        ways=ways_back(context(), shown),
        fault=fault,
        words=words,
    )


@blueprint.get("/<key>/html")
@door("visitor")
def letter_html(key: str) -> ResponseReturnValue:
    """The HTML part alone, for the frame."""
    shown = demo_mailbox.read_letter(context(), key)
    response = Response(shown.html.replace("<head>", '<head><base target="_blank">', 1), mimetype="text/html")
    response.headers["Content-Security-Policy"] = _LETTER_POLICY
    response.headers["X-Frame-Options"] = "SAMEORIGIN"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response
