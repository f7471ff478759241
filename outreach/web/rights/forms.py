"""What a person types about their own data."""

from flask_babel import gettext
from wtforms import EmailField, SelectField, StringField, TextAreaField, ValidationError
from wtforms.validators import InputRequired, Length

from outreach.domain.errors import InvalidInputError
from outreach.services.rights.requests import LONGEST_WORDS
from outreach.web.choices import languages, zones
from outreach.web.forms import Form
from outreach.web.language import later as _
from outreach.web.sentences import sentence


class OwnForm(Form):
    """A form whose refusals are in the reader's language."""

    def say(self, error: InvalidInputError) -> None:
        """Show a service's refusal at the field it names, or above the form."""
        field = self._fields.get(error.field)
        if field is None:
            self.form_errors.append(sentence(error))
        else:
            field.errors = [*field.errors, sentence(error)]


class AskForm(OwnForm):
    """Whose data."""

    address = EmailField(_("Your e-mail address"), [InputRequired(_("Type your address.")), Length(max=254)])


class CorrectForm(OwnForm):
    """What is to be right from now on."""

    name = StringField(_("Your name, as we write to you"), [Length(max=200)])
    locale = SelectField(_("Language of pages and mails"), choices=languages)
    timezone = SelectField(_("Your time zone"), choices=zones)
    words = TextAreaField(_("Something else is wrong"), [Length(max=LONGEST_WORDS)])

    def validate_words(self, field: TextAreaField) -> None:
        """Refuse what nobody could act on."""
        if field.data and len(field.data.strip()) in {1, 2}:
            raise ValidationError(gettext("Say it in a few words."))
