"""What staff type to sign in and to look after their own account."""

from wtforms import EmailField, PasswordField
from wtforms.validators import InputRequired, Length

from outreach.web.forms import Form


class SignInForm(Form):
    """Address and password."""

    address = EmailField("Your e-mail address", [InputRequired(), Length(max=254)])
    password = PasswordField("Password", [InputRequired(), Length(max=200)])
