"""What members type: to sign in, to make an account, and to look after it."""

from typing import Any

from flask_babel import gettext
from wtforms import BooleanField, EmailField, PasswordField, SelectField, StringField, ValidationError
from wtforms.validators import InputRequired, Length

from outreach.domain.errors import InvalidInputError
from outreach.services.join import OfficeNameError, TakenNameError
from outreach.services.passwords import LONGEST, SHORTEST, Fault, PasswordError
from outreach.web.choices import languages, zones
from outreach.web.forms import Form
from outreach.web.language import later as _
from outreach.web.sentences import sentence


def _password(label: str) -> PasswordField:
    return PasswordField(label, [InputRequired(_("Type the password.")), Length(max=LONGEST)])


def _address() -> EmailField:
    return EmailField(_("Your e-mail address"), [InputRequired(_("Type your address.")), Length(max=254)])


def _name() -> StringField:
    return StringField(_("Your name, as others will read it"))


class MemberForm(Form):
    """A form whose refusals are in the reader's language."""

    def say(self, error: InvalidInputError) -> None:
        """Show a service's refusal at the field it names, or above the form."""
        words = _words(error)
        field: Any = self._fields.get(error.field)
        if field is None:
            self.form_errors.append(words)
        else:
            field.errors = [*field.errors, words]


class SignInForm(MemberForm):
    """Address and password."""

    address = _address()
    password = _password(_("Password"))


class StartForm(MemberForm):
    """Whose account it is to be, or is."""

    address = _address()


class PasswordForm(MemberForm):
    """A new password, twice."""

    password = _password(_("Password"))
    again = _password(_("The same again"))

    def validate_again(self, field: PasswordField) -> None:
        if field.data != self.password.data:
            raise ValidationError(gettext("The two passwords differ."))


class JoinForm(PasswordForm):
    """A name and a password for a new account."""

    name = _name()
    password = _password(_("Password"))
    again = _password(_("The same again"))


class ChangeForm(PasswordForm):
    """The present password, and a new one."""

    present = _password(_("Your present password"))
    password = _password(_("New password"))
    again = _password(_("The same again"))


class AccountForm(MemberForm):
    """One's own name, language and zone, and whether to be mailed."""

    name = _name()
    locale = SelectField(_("Language of pages and mails"), choices=languages)
    timezone = SelectField(_("Your time zone"), choices=zones)
    notify = BooleanField(_("Mail me when somebody answers me"))


class CloseForm(MemberForm):
    """The password, before the account is closed for good."""

    password = _password(_("Your password"))


def _words(error: InvalidInputError) -> str:
    if isinstance(error, PasswordError):
        return {
            Fault.SHORT: gettext("Use %(n)d characters or more. A few unrelated words do well.", n=SHORTEST),
            Fault.LONG: gettext("Use %(n)d characters or fewer.", n=LONGEST),
            Fault.COMMON: gettext("This password is among the first that are tried. Choose another."),
            Fault.KNOWN: gettext("The password contains your address, your name or the product's. Choose another."),
        }[error.fault]
    if isinstance(error, TakenNameError):
        return gettext("This is the name of who runs this site. Use your own, the one others know you by.")
    if isinstance(error, OfficeNameError):
        return gettext("This reads as if it came from our staff. Leave out words such as team, support and security.")
    if error.field in {"present", "password"}:
        return gettext("This is not your password. Nothing was changed.")
    return sentence(error)
