"""What a person types about their own data."""

from flask_babel import gettext
from wtforms import SelectField, StringField, TextAreaField, ValidationError
from wtforms.validators import Length

from outreach.services.rights.requests import LONGEST_WORDS
from outreach.web.asking import OwnForm
from outreach.web.choices import languages, zones
from outreach.web.language import later as _


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
