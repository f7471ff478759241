"""What marketers type about a campaign. What may be done is decided by services; these only read it."""

from wtforms import SelectField, SelectMultipleField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length
from wtforms.widgets import CheckboxInput, ListWidget

from outreach.web.choices import zones
from outreach.web.forms import Form

KINDS = {
    "informational": "Informational: useful in itself",
    "promotional": "Promotional: advances a sale, membership or donation, ours or another's",
    "service": "Service: about something the person has with us",
}
STARTS = {"now": "As soon as I press the button", "at": "At a time I choose"}
TIMES = {"": "There is only one", "first": "The first time the clock shows it", "second": "The second time"}
PRIORITIES = {str(n): str(n) for n in range(1, 10)} | {"1": "1, goes first", "5": "5, as usual", "9": "9, goes last"}


class NewCampaignForm(Form):
    """The start of a campaign."""

    name = StringField("Name, for you and your colleagues", [InputRequired("Give it a name."), Length(max=120)])
    topic = SelectField("Topic", [InputRequired("Choose the topic.")])
    kind = SelectField("Kind of mail", [InputRequired("Choose the kind.")], choices=KINDS)


class WordsForm(Form):
    """What a campaign says."""

    name = StringField("Name, for you and your colleagues", [InputRequired("Give it a name."), Length(max=120)])
    subject = StringField("Subject", [Length(max=250)])
    preheader = StringField("Preheader", [Length(max=250)])
    body = TextAreaField("Text", [Length(max=60_000)])


class AudienceForm(Form):
    """Whom a campaign is for. `locales` and `kind` get their choices from the topic."""

    kind = SelectField("Kind of mail", [InputRequired("Choose the kind.")])
    locales = SelectMultipleField(
        "Languages", widget=ListWidget(prefix_label=False), option_widget=CheckboxInput(), validate_choice=True
    )
    agreed_after = StringField("Agreed on or after")
    agreed_before = StringField("Agreed before")


class ScheduleForm(Form):
    """When a campaign goes."""

    start = SelectField("Start", [InputRequired("Choose when.")], choices=STARTS)
    local = StringField("Day and time", [Length(max=30)])
    zone = SelectField("Time zone", [InputRequired("Choose the zone.")], choices=zones)
    occurrence = SelectField("Which of the two", choices=TIMES, default="")
    later_until = StringField("Send later if it opens before", [Length(max=10)])
    priority = SelectField(
        "Priority among campaigns that start together", [InputRequired("Choose one.")], choices=PRIORITIES
    )


class FindForm(Form):
    """One contact, by the reference at the foot of every mail."""

    contact = StringField("Contact reference", [InputRequired("Give the reference."), Length(max=40)])
