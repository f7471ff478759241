"""What administrators and officers type."""

from wtforms import (
    BooleanField,
    EmailField,
    IntegerField,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)
from wtforms.validators import InputRequired, Length, NumberRange, Optional
from wtforms.widgets import CheckboxInput, ListWidget

from outreach.web.choices import ROLES, countries, languages, zones
from outreach.web.forms import Form

KINDS = {
    "informational": "Informational: useful in itself",
    "promotional": "Promotional: advances a sale, membership or donation",
    "service": "Service: about something the person has with us",
}
WINDOWS = {"1": "a day", "7": "a week", "30": "a month (30 days)", "0": "another number of days"}


def _needed(most: int, words: str = "Fill this in.") -> list[InputRequired | Length]:
    return [InputRequired(words), Length(max=most)]


class OrganisationForm(Form):
    """The controller."""

    name = StringField("Name of the organisation", _needed(120))
    postal_address = TextAreaField("Postal address", _needed(300))
    country = SelectField("Country", [InputRequired("Choose the country.")], choices=countries)
    privacy_contact = StringField("Contact for questions of privacy", [Length(max=300)])
    locale = SelectField("Language", choices=languages)
    timezone = SelectField("Time zone", choices=zones)


class SenderForm(Form):
    """A sender. The relays are those the settings name."""

    name = StringField("Name", _needed(80))
    postal_address = TextAreaField("Postal address", _needed(300))
    from_local = StringField("From address, before the @", _needed(64))
    from_domain = StringField("From domain, after the @", _needed(253))
    relay = SelectField("Relay")

    def offer(self, relays: list[str], held: str = "main") -> "SenderForm":
        """Let the administrator choose among `relays`; with none configured only `held` is offered."""
        self.relay.choices = {name: name for name in relays or [held]}
        return self


class InviteForm(Form):
    """Somebody new."""

    name = StringField("Name", _needed(100))
    address = EmailField("E-mail address", _needed(254))
    roles = SelectMultipleField(
        "Roles", choices=ROLES, widget=ListWidget(prefix_label=False), option_widget=CheckboxInput()
    )


class RolesForm(Form):
    """What somebody may do."""

    roles = SelectMultipleField(
        "Roles", choices=ROLES, widget=ListWidget(prefix_label=False), option_widget=CheckboxInput()
    )


class TopicForm(Form):
    """A new topic."""

    name = StringField("Name, for staff", _needed(80))
    slug = StringField("Address of its sign-up page", _needed(60))
    sender = SelectField("Sender", [InputRequired("Choose the sender.")])
    purpose = TextAreaField("Purpose", _needed(300))
    retention_days = IntegerField(
        "Keep evidence for so many days after consent ends", [InputRequired("Give a number of days.")]
    )
    expires_days = IntegerField("Consent lapses after so many days", [Optional()])
    not_for_children = BooleanField("I state that this topic is not aimed at children")


class TextForm(Form):
    """A consent text with its promise."""

    locale = SelectField("Language", choices=languages)
    title = StringField("Title the person reads", _needed(80))
    gets = StringField("What they get", _needed(200))
    cap_n = IntegerField("At most so many mails", [InputRequired("Give a number."), NumberRange(1, 100)])
    window = SelectField("in", choices=WINDOWS)
    days = IntegerField("Number of days, if another", [Optional(), NumberRange(1, 366)])
    kinds = SelectMultipleField(
        "Kinds of mail", choices=KINDS, widget=ListWidget(prefix_label=False), option_widget=CheckboxInput()
    )
    ratio_k = IntegerField("Useful mails for each offer, at least", [InputRequired("Give a number, or 0.")])
    wording = TextAreaField("The sentence the person agrees to", _needed(2000))


class CloseForm(Form):
    """Why a topic closes."""

    reason = StringField("Reason, kept in the log", _needed(300))


class ForgetForm(Form):
    """Which relay and provider, and why what was learned of them may be forgotten."""

    pair = SelectField("Relay and provider")
    reason = TextAreaField("Why", _needed(500))

    def offer(self, pairs: dict[str, str]) -> "ForgetForm":
        """Let the administrator choose among `pairs`: value → label."""
        self.pair.choices = pairs
        return self
