"""What officers type about inviters: why they stop, restore or answer somebody."""

from wtforms import RadioField, TextAreaField
from wtforms.validators import InputRequired, Length

from outreach.services.appeals import KEPT, LIFTED
from outreach.services.reasons import LONGEST_REASON
from outreach.web.forms import Form


def _reason(label: str) -> TextAreaField:
    return TextAreaField(label, [InputRequired("Say why."), Length(max=LONGEST_REASON)])


class SuspendForm(Form):
    """Why a member is stopped from inviting."""

    reason = _reason("Why inviting is suspended")


class RestoreForm(Form):
    """Why a member may invite again."""

    reason = _reason("Why they may invite again")


class AnswerForm(Form):
    """The answer to an appeal, and why; nothing is chosen beforehand."""

    answer = RadioField(
        "Your answer",
        [InputRequired("Choose one.")],
        choices={LIFTED: "They may invite again", KEPT: "Inviting stays suspended"},
    )
    reason = _reason("Why; the member reads it")


class ReadForm(Form):
    """Nothing but the button."""
