"""A member's connect links: made, shown with badge and QR code, counted by confirmed requests, switched off."""

from flask import Response, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from markupsafe import Markup
from wtforms import StringField
from wtforms.validators import InputRequired

from outreach.domain import plain_words
from outreach.domain.errors import ConflictError, InvalidInputError
from outreach.domain.plain_words import LONGEST_NAME, PlainWordsError
from outreach.services import connect_links
from outreach.services.connect_links import MOST_ASKS, MOST_DAYS, MOST_LIVE
from outreach.services.members import Account, see_account
from outreach.web.auth import current_actor, door
from outreach.web.forms import Form
from outreach.web.home import context
from outreach.web.language import later as _
from outreach.web.language import tell
from outreach.web.member.slice import blueprint
from outreach.web.qr import qr_file, qr_svg
from outreach.web.sentences import sentence

_LIMITS = {"most": MOST_ASKS, "days": MOST_DAYS}
_SNIPPET = Markup(
    '<iframe sandbox="allow-popups allow-popups-to-escape-sandbox" src="{}" title="{}" width="280" height="160" '
    'loading="lazy" referrerpolicy="no-referrer"></iframe>'
)


class LinkForm(Form):
    """What the owner calls it, and its limits; an empty one means none."""

    label = StringField(_("What you call it"), [InputRequired(_("Give it a name you will know it by."))])
    most = StringField(_("At most so many requests"))
    days = StringField(_("Works for so many days"))


@blueprint.get("/me/links")
@door("member")
def links() -> ResponseReturnValue:
    return _list(LinkForm())


@blueprint.post("/me/links")
@door("member")
def make_link() -> ResponseReturnValue:
    form = LinkForm()
    if not form.validate():
        return _list(form), 422
    try:
        most, days = _number(form, "most"), _number(form, "days")
        ref = connect_links.make_link(context(), current_actor(), label=form.text("label"), most=most, days=days)
    except InvalidInputError as error:
        form[error.field].errors = [_said(error)]
        return _list(form), 422
    except ConflictError:
        words = gettext("You have %(most)d links switched on. Switch one off before you make another.", most=MOST_LIVE)
        form.form_errors.append(words)
        return _list(form), 409
    tell(gettext("The link is made. It works from now on."))
    return redirect(url_for("member.link", link=ref), 303)


@blueprint.get("/me/links/<ref:link>")
@door("member")
def link(link: bytes) -> ResponseReturnValue:
    seen = connect_links.see_link(context(), current_actor(), link)
    account = _account()
    title = _title(account.name)
    snippet = str(_SNIPPET.format(seen.badge_url, title))
    code = qr_svg(seen.url, title=title)
    return render_template("member/link.html", link=seen, account=account, snippet=snippet, code=code)


@blueprint.get("/me/links/<ref:link>/qr.svg")
@door("member")
def link_code(link: bytes) -> ResponseReturnValue:
    seen = connect_links.see_link(context(), current_actor(), link)
    response = Response(qr_file(seen.url, title=_title(_account().name)), mimetype="image/svg+xml")
    response.headers["Content-Disposition"] = 'attachment; filename="connect.svg"'
    return response


@blueprint.post("/me/links/<ref:link>/close")
@door("member")
def close_link(link: bytes) -> ResponseReturnValue:
    connect_links.close_link(context(), current_actor(), link)
    tell(gettext("The link is switched off. What came in through it stays."))
    return redirect(url_for("member.link", link=link), 303)


def _list(form: LinkForm) -> str:
    """All links, and the form for another."""
    found = connect_links.list_links(context(), current_actor())
    return render_template("member/links.html", links=found, form=form, account=_account(), most_live=MOST_LIVE)


def _account() -> Account:
    return see_account(context(), current_actor())


def _title(name: str) -> str:
    return gettext("Connect with %(owner)s", owner=name)


def _number(form: LinkForm, name: str) -> int | None:
    """What was typed as a limit, None for nothing. Raises InvalidInputError for what is no number."""
    typed = form.text(name)
    if not typed:
        return None
    if not typed.isascii() or not typed.isdecimal() or len(typed) > 6:
        raise InvalidInputError("Type a whole number.", name)
    return int(typed)


def _said(error: InvalidInputError) -> str:
    if error.field in _LIMITS:
        most = _LIMITS[error.field]
        return gettext("Type a whole number from 1 to %(most)d, or leave this empty.", most=most)
    if isinstance(error, PlainWordsError):
        if error.fault == plain_words.Fault.TOO_LONG:
            return gettext("This is too long: %(longest)d characters fit, spaces included.", longest=LONGEST_NAME)
        if error.fault == plain_words.Fault.NO_NAME:
            return gettext("Give it a name you will know it by.")
    return sentence(error)
