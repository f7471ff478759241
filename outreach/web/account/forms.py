"""What staff type to sign in, to set the installation up, and to look after their own account."""

from wtforms import (
    BooleanField,
    EmailField,
    PasswordField,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
    ValidationError,
)
from wtforms.validators import InputRequired, Length
from wtforms.widgets import CheckboxInput, ListWidget

from outreach.web.choices import ROLES, countries, languages, zones
from outreach.web.forms import Form

LONGEST_PASSWORD = 200


def _password(label: str) -> PasswordField:
    return PasswordField(label, [InputRequired("Type the password."), Length(max=LONGEST_PASSWORD)])


class SignInForm(Form):
    """Address and password."""

    address = EmailField("Your e-mail address", [InputRequired("Type your address."), Length(max=254)])
    password = _password("Password")


class ProveForm(Form):
    """The password, once more."""

    password = _password("Your password")


class ForgotForm(Form):
    """Whose password was forgotten."""

    address = EmailField("Your e-mail address", [InputRequired("Type your address."), Length(max=254)])


class ChooseForm(Form):
    """A new password, twice."""

    password = _password("New password")
    again = _password("The same again")

    def validate_again(self, field: PasswordField) -> None:
        if field.data != self.password.data:
            raise ValidationError("The two passwords differ.")


class ChangeForm(ChooseForm):
    """The present password, and a new one."""

    present = _password("Your present password")


class ProfileForm(Form):
    """One's own name and zone."""

    name = StringField("Your name", [InputRequired("Type your name."), Length(max=100)])
    timezone = SelectField("Your time zone", choices=zones)
    told = BooleanField("Mail me what waits for me: at most once a day, and when a second yes is asked for or given")


class SetUpForm(ChooseForm):
    """The first day: organisation, first sender, first administrator."""

    name = StringField("Name of the organisation", [InputRequired("Type the name."), Length(max=120)])
    postal_address = TextAreaField("Postal address", [InputRequired("Type the address."), Length(max=300)])
    country = SelectField("Country", [InputRequired("Choose the country.")], choices=countries)
    locale = SelectField("Language of the organisation", choices=languages)
    timezone = SelectField("Time zone", choices=zones)
    sender_name = StringField("Name of the sender", [InputRequired("Type the name."), Length(max=80)])
    sender_from_local = StringField("From address, before the @", [InputRequired("Type it."), Length(max=64)])
    sender_from_domain = StringField("From domain, after the @", [InputRequired("Type it."), Length(max=253)])
    your_name = StringField("Your name", [InputRequired("Type your name."), Length(max=100)])
    address = EmailField("Your e-mail address", [InputRequired("Type your address."), Length(max=254)])
    password = _password("Password")
    again = _password("The same again")
    roles = SelectMultipleField(
        "Besides administrator, you are",
        choices={role: words for role, words in ROLES.items() if role != "administrator"},
        widget=ListWidget(prefix_label=False),
        option_widget=CheckboxInput(),
    )
