"""The demo mailbox: every letter as its reader would see it. Open without signing in, on one's own machine only."""

from flask import Blueprint, Response, render_template, request
from flask.typing import ResponseReturnValue

from outreach.domain.errors import InvalidInputError
from outreach.services import demo_mailbox
from outreach.web import security
from outreach.web.auth import door
from outreach.web.formats import speak
from outreach.web.home import context

blueprint = Blueprint("mailbox", __name__, url_prefix="/mailbox")

VIEWS = {"letter": "Letter", "text": "Plain text", "headers": "Headers", "source": "Source"}

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
    shown = demo_mailbox.read_letter(context(), key)
    view = request.args.get("view", "letter")
    security.allow(frame_src="'self'")
    return render_template("mailbox/letter.html", letter=shown, view=view if view in VIEWS else "letter", views=VIEWS)


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
