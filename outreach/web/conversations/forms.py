"""What staff type about conversations and public answers. What may be done is decided by services."""

from wtforms import BooleanField, HiddenField, SelectField, StringField, TextAreaField
from wtforms.validators import InputRequired, Length

from outreach.web.choices import languages
from outreach.web.forms import Form

MARKS = {"": "Nothing of these", "critical": "Critical", "praise": "Praise", "question": "A question"}


class AnswerForm(Form):
    """An answer to a person. `seen`: what was said last when the page was shown."""

    words = TextAreaField("Your answer", [InputRequired("Write an answer.")])
    closes = BooleanField("Close the conversation with it")
    seen = HiddenField("Seen")


class NoteForm(Form):
    """A note for colleagues."""

    note = TextAreaField("Note", [InputRequired("Write a note.")])


class AssignForm(Form):
    """Who takes care of a conversation. `to` gets its choices from the staff."""

    to = SelectField("Who takes care of it", validate_choice=False)


class MarkForm(Form):
    """What it is."""

    mark = SelectField("What it is", choices=MARKS)


class TagsForm(Form):
    """Its tags."""

    tags = StringField("Tags")


class CloseForm(Form):
    """Why one that waits needs no answer."""

    reason = StringField("Why it needs no answer", [Length(max=500)])


class PublicAnswerForm(Form):
    """Words for everybody about many replies. `topic` gets its choices from the topics."""

    topic = SelectField("Topic", [InputRequired("Choose the topic.")])
    locale = SelectField("Language you write in", [InputRequired("Choose the language.")], choices=languages)
    title = StringField("Title", [InputRequired("Give it a title.")])
    said = TextAreaField("What people said", [InputRequired("Say what people said.")])
    done = TextAreaField("What was done", [InputRequired("Say what was done.")])
    since = StringField("Replies since", [InputRequired("Give the day replies count from.")])


class PublishForm(Form):
    """The last look before everybody can read it."""

    was_read = BooleanField("I read it once more: nobody can be recognised in it")


class WithdrawForm(Form):
    """Why it is taken back."""

    reason = StringField("Why it is taken back", [InputRequired("Say why."), Length(max=500)])
