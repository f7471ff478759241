"""Forms that pages for people without an account share: refusals in the reader's language, and "whose mailbox?"."""

from wtforms import EmailField
from wtforms.validators import InputRequired, Length

from outreach.domain.errors import InvalidInputError
from outreach.web.forms import Form
from outreach.web.language import later as _
from outreach.web.sentences import sentence


class OwnForm(Form):
    """A form whose refusals are in the reader's language."""

    def say(self, error: InvalidInputError, words: str = "") -> None:
        """Show a service's refusal at the field it names, or above the form; `words` instead of a general sentence."""
        field = self._fields.get(error.field)
        if field is None:
            self.form_errors.append(words or sentence(error))
        else:
            field.errors = [*field.errors, words or sentence(error)]


class AskForm(OwnForm):
    """Whose mailbox a fresh link is to go to."""

    address = EmailField(_("Your e-mail address"), [InputRequired(_("Type your address.")), Length(max=254)])
