"""Receipts: one event's, behind its link, to be read, printed, kept or mailed; and the page that checks one."""

import json

from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from outreach.domain.signed_json import LONGEST
from outreach.services.receipts.checking import check_receipt
from outreach.services.receipts.keys import published
from outreach.services.receipts.mailing import mail_receipt
from outreach.services.receipts.showing import view_receipt
from outreach.web.auth import door
from outreach.web.home import context
from outreach.web.language import chosen_locale, speak_to, tell
from outreach.web.people import for_people

blueprint = Blueprint("receipts", __name__)
for_people(blueprint)


@blueprint.get("/receipt/<token>")
@door("recipient")
def receipt(token: str) -> ResponseReturnValue:
    view = view_receipt(context(), token)
    speak_to(view.locale, view.timezone)
    return render_template("receipts/receipt.html", view=view, token=token)


@blueprint.get("/receipt/<token>/file")
@door("recipient")
def file(token: str) -> ResponseReturnValue:
    view = view_receipt(context(), token)
    name = f"receipt-{view.receipt.id[:8]}.json"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(view.text, mimetype="application/ld+json", headers=headers)


@blueprint.post("/receipt/<token>/mail")
@door("recipient")
def mail(token: str) -> ResponseReturnValue:
    ctx = context()
    view = view_receipt(ctx, token)
    speak_to(view.locale, view.timezone)
    mail_receipt(ctx, token)
    tell(gettext("If this mailbox may be written to, the receipt is on its way. A mailbox gets few such mails a day."))
    return redirect(url_for("receipts.receipt", token=token, lang=chosen_locale()), 303)


@blueprint.get("/receipts")
@door("visitor")
def check_page() -> ResponseReturnValue:
    return render_template("receipts/check.html", checked=None, brought="")


@blueprint.post("/receipts")
@door("visitor")
def check() -> ResponseReturnValue:
    brought = _brought()
    return render_template("receipts/check.html", checked=check_receipt(context(), brought), brought=brought)


@blueprint.get("/receipts/key")
@door("visitor")
def key() -> ResponseReturnValue:
    ctx = context()
    text = json.dumps(published(ctx.keyring, ctx.settings.public_url), indent=1) + "\n"
    return Response(text, mimetype="application/json")


def _brought() -> str:
    """What was chosen as a file, else what was pasted; cut off where no receipt is that long."""
    chosen = request.files.get("file")
    if chosen is not None and chosen.filename:
        return str(chosen.read(4 * LONGEST), errors="replace")
    return request.form.get("receipt", "")[: 2 * LONGEST]
