"""What officers type about people's requests."""

from wtforms import IntegerField, SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length, NumberRange, Optional

from outreach.services.reasons import LONGEST_REASON
from outreach.services.rights.carry_out import Correction
from outreach.services.rights.requests import LONGEST_WORDS
from outreach.web.choices import languages, zones
from outreach.web.forms import Form

KINDS = {
    "access": "Access: everything held",
    "portability": "Portability: what they gave us, to take elsewhere",
    "correction": "Correction",
    "erasure": "Erasure",
    "objection": "Objection to mail",
    "restriction": "Restriction: hold everything back",
}
_UNCHANGED = {"": "As it is"}


class EnterForm(Form):
    """A request that came by letter, telephone or mail."""

    who = StringField(
        "Address in full, or the reference printed in a mail", [InputRequired("Fill this in."), Length(max=320)]
    )
    kind = SelectField("What is asked for", choices=KINDS)
    days_ago = IntegerField("Days since it reached us", [Optional(), NumberRange(0, 30)], default=0)
    words = TextAreaField("How it came, and what it says", [InputRequired("Fill this in."), Length(max=LONGEST_WORDS)])


class ReasonForm(Form):
    """One sentence. Its label says what for."""

    reason = TextAreaField("Reason", [InputRequired("Say why."), Length(max=LONGEST_REASON)])


class CorrectionForm(Form):
    """What is to be right from now on, and how it is known."""

    name = StringField("Name", [Length(max=200)])
    locale = SelectField("Language", choices=lambda: _UNCHANGED | languages())
    timezone = SelectField("Time zone", choices=lambda: _UNCHANGED | zones())
    reason = TextAreaField("How you know that it is theirs", [InputRequired("Say how."), Length(max=LONGEST_REASON)])

    def correction(self) -> Correction:
        """Empty fields leave what is held as it is."""
        name, locale, timezone = (self.text(field) or None for field in ("name", "locale", "timezone"))
        return Correction(name, locale, timezone)
