"""Why a member's inviting is suspended, what an officer said, and one appeal at a time."""

from flask import redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from wtforms import TextAreaField
from wtforms.validators import InputRequired, Length

from outreach.domain.errors import InvalidInputError
from outreach.services.appeals import LONGEST_APPEAL, see_standing, write_appeal
from outreach.web.auth import current_actor, door
from outreach.web.home import context
from outreach.web.language import chosen_locale, tell
from outreach.web.language import later as _
from outreach.web.member.forms import MemberForm
from outreach.web.member.slice import blueprint


class AppealForm(MemberForm):
    """What a member wants an officer to know."""

    words = TextAreaField(
        _("What should we know?"),
        [InputRequired(_("Write a few words.")), Length(max=LONGEST_APPEAL, message=_("This is too long."))],
    )


@blueprint.get("/me/appeal")
@door("member")
def appeal() -> ResponseReturnValue:
    return _page(AppealForm())


@blueprint.post("/me/appeal")
@door("member")
def appeal_now() -> ResponseReturnValue:
    form = AppealForm()
    if form.validate():
        try:
            write_appeal(context(), current_actor(), form.text("words"))
        except InvalidInputError:
            form.words.errors = [gettext("Write a few words.")]
        else:
            tell(gettext("Your appeal is with us. The answer will stand on this page."))
            return redirect(url_for("member.appeal", lang=chosen_locale()), 303)
    return _page(form), 422


def _page(form: AppealForm) -> str:
    standing = see_standing(context(), current_actor())
    return render_template("member/appeal.html", form=form, standing=standing, longest=LONGEST_APPEAL)
