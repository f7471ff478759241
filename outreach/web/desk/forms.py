"""Forms of the desk and of imports."""

from flask_wtf.file import FileField, FileRequired
from wtforms import BooleanField, RadioField, SelectField, SelectMultipleField, StringField, TextAreaField
from wtforms.validators import DataRequired, Length
from wtforms.widgets import CheckboxInput, ListWidget

from outreach.web.forms import Form

_NEEDED = DataRequired("This is needed.")
_SOURCES = {"paper": "On paper", "telephone": "By telephone"}
_WHO = "Address typed in full, or reference"
_REASON = [_NEEDED, Length(max=500, message="At most 500 letters.")]


class StopForm(Form):
    """Who wants no more mail, of which topic, and why we believe it."""

    who = StringField(_WHO, [_NEEDED])
    topic = SelectField("What to stop")
    reason = TextAreaField("Reason", _REASON)


class DeathForm(Form):
    """Of whose death we were told, and by whom."""

    who = StringField(_WHO, [_NEEDED])
    reason = TextAreaField("How we know", _REASON)


class OptInForm(Form):
    """Who asked for what, on paper or by telephone."""

    address = StringField("E-mail address", [_NEEDED])
    topics = SelectMultipleField("Topics", widget=ListWidget(prefix_label=False), option_widget=CheckboxInput())
    locale = SelectField("Their language")
    source = RadioField("How they asked", choices=_SOURCES)
    note = StringField("Where and when", [Length(max=500, message="At most 500 letters.")])


class ImportForm(Form):
    """The two files of an import, bars first."""

    suppressions = FileField("People who must not be written to (CSV: address, reason)")
    no_suppressions = BooleanField("There are none")
    rows = FileField("People with the evidence of their consent (CSV)", [FileRequired("Choose the file of people.")])
