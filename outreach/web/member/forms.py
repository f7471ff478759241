"""What members type: to sign in, to make an account, and to look after it."""

from wtforms import EmailField, PasswordField
from wtforms.validators import InputRequired, Length

from outreach.web.forms import Form
from outreach.web.language import later as _

LONGEST_PASSWORD = 200
_ADDRESS = _("Your e-mail address")


def _password(label: str) -> PasswordField:
    return PasswordField(label, [InputRequired(_("Type the password.")), Length(max=LONGEST_PASSWORD)])


class SignInForm(Form):
    """Address and password."""

    address = EmailField(_ADDRESS, [InputRequired(_("Type your address.")), Length(max=254)])
    password = _password(_("Password"))
