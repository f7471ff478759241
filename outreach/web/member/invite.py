"""Inviting one person: choose the way, fill the form, look at exactly what they get, and press once.

Only `send_invitation` acts. Until then everything typed travels in the form itself; nothing of it is kept.
"""

from dataclasses import dataclass
from typing import Any

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import force_locale, gettext
from markupsafe import Markup

from outreach import translations
from outreach.domain.errors import InvalidInputError
from outreach.domain.invitation import Way
from outreach.domain.plain_words import LONGEST_NOTE
from outreach.services import invite as service
from outreach.services.invite import Draft, Preview
from outreach.web.auth import current_actor, current_session, door
from outreach.web.framed import allow_styles_of
from outreach.web.home import context
from outreach.web.language import chosen_locale, present_locale, tell
from outreach.web.member.slice import blueprint
from outreach.web.sentences import sentence

_DAY = 86_400_000_000
_FIELDS = ("address", "relationship", "note", "locale")


@dataclass(frozen=True)
class Shown:
    """An invitation not made yet, with what its recipient's page needs."""

    way: Way
    inviter: str
    note: str
    relationship: str
    masked: str
    asked: int
    expires: int
    can_accept: bool = True
    reminder: str = ""


@blueprint.get("/me/invite")
@door("member")
def invite() -> ResponseReturnValue:
    way = request.args.get("way", "")
    return _form(Draft(Way(way), locale=present_locale()) if way in {Way.HAND, Way.MAIL} else None)


@blueprint.post("/me/invite")
@door("member")
def change_invitation() -> ResponseReturnValue:
    """Back to the form with everything kept."""
    return _form(_typed())


@blueprint.post("/me/invite/preview")
@door("member")
def preview_invitation() -> ResponseReturnValue:
    """What they would get, to the letter. Acts on nothing."""
    typed = _typed()
    if typed is None:
        return _form(None)
    try:
        preview = service.check_draft(context(), current_actor(), typed)
    except InvalidInputError as error:
        return _form(typed, error), 422
    if preview.mail is not None:
        allow_styles_of(preview.mail.html)
    return render_template(
        "member/preview.html",
        preview=preview,
        typed=typed,
        shown=_as_they_see_it(preview),
        direction=translations.direction(preview.locale),
    )


@blueprint.post("/me/invite/send")
@door("member")
def send_invitation() -> ResponseReturnValue:
    typed = _typed()
    if typed is None:
        return _form(None)
    try:
        ref = service.send_invitation(context(), current_actor(), typed)
    except InvalidInputError as error:
        return _form(typed, error), 422
    if typed.way == Way.MAIL:
        tell(gettext("Noted. If it may go, one message goes; you will hear only if they accept."))
    else:
        tell(gettext("Made. Pass it on to one person; you will hear only if they accept."))
    return redirect(url_for("member.sent_one", invitation=ref, lang=chosen_locale()), 303)


def _typed() -> Draft | None:
    """What the form held; None without a way that is one of ours."""
    way = request.form.get("way", "")
    if way not in {Way.HAND, Way.MAIL}:
        return None
    return Draft(Way(way), **{name: request.form.get(name, "") for name in _FIELDS})


def _form(typed: Draft | None, error: InvalidInputError | None = None) -> str:
    may = service.may_invite(context(), current_actor())
    if typed is not None and typed.way == Way.MAIL and not may.by_mail:
        typed = None
    said: dict[str, Any] = dict.fromkeys(_FIELDS, "")
    if error is not None and error.field in said:
        said[error.field] = _said(error)
    return render_template(
        "member/invite.html",
        may=may,
        typed=typed,
        errors=said,
        notice=_said(error) if error is not None and error.field not in said else "",
        longest=LONGEST_NOTE,
        chosen=chosen_locale(),
    )


def _said(error: InvalidInputError) -> str:
    """What was wrong, in the member's language."""
    sentences = {
        "relationship": gettext("Say how you know this person: choose one."),
        "locale": gettext("Choose the language they read."),
        "way": gettext("It cannot go this way now. Nothing was sent or made."),
    }
    return sentences.get(error.field) or sentence(error)


def _as_they_see_it(preview: Preview) -> Markup:
    """The recipient's page, in their language, with choices that lead nowhere."""
    now = current_session().now
    view = Shown(
        way=preview.way,
        inviter=preview.inviter,
        note=preview.note,
        relationship=preview.relationship,
        masked=preview.label,
        asked=now,
        expires=now + preview.expires_days * _DAY,
    )
    with force_locale(preview.locale):
        words = render_template("parts/invitation.html", view=view, acts=None, level="h2")
    return Markup(words)  # noqa: S704  our own template, which escapes what was typed
