"""What was wrong with something typed, in the reader's language: for recipients' and members' pages alike."""

from flask_babel import gettext

from outreach.domain import plain_words
from outreach.domain.addresses import AddressError, Fault
from outreach.domain.errors import InvalidInputError
from outreach.domain.plain_words import LONGEST_NAME, LONGEST_NOTE, PlainWordsError


def sentence(error: InvalidInputError) -> str:
    """The sentence for an address or words that will not do; a general one for anything else."""
    if isinstance(error, AddressError):
        return _address_sentence(error)
    if isinstance(error, PlainWordsError):
        return _words_sentence(error)
    return gettext("Something here cannot be right. Check it and send it again.")


def _address_sentence(error: AddressError) -> str:
    if error.fault == Fault.TYPO:
        return gettext("Did you mean %(domain)s? Check the part after the @.", domain=error.suggestion)
    sentences = {
        Fault.MISSING: gettext("Type an e-mail address."),
        Fault.NO_AT: gettext("An e-mail address has one @ in it."),
        Fault.SPACE: gettext("An e-mail address has no space in it."),
        Fault.TOO_LONG: gettext("This is longer than an e-mail address can be."),
        Fault.NO_DOMAIN: gettext("Something is missing or wrong after the @."),
        Fault.NO_LOCAL: gettext("Something is missing or wrong before the @."),
    }
    whole = gettext("This is not a complete e-mail address. Check it letter by letter.")
    return sentences.get(error.fault, whole)


def _words_sentence(error: PlainWordsError) -> str:
    longest = LONGEST_NAME if error.field == "name" else LONGEST_NOTE
    sentences = {
        plain_words.Fault.TOO_LONG: gettext(
            "This is too long: %(longest)d characters fit, spaces included.", longest=longest
        ),
        plain_words.Fault.UNSEEN: gettext("There is a character in this that cannot be seen. Type it again by hand."),
        plain_words.Fault.NO_NAME: gettext("Type the name others know you by."),
        plain_words.Fault.ADDRESS: gettext(
            "Leave e-mail addresses out. Whoever accepts can be shown yours, if you choose so then."
        ),
        plain_words.Fault.WEB: gettext("Leave web addresses out, and put a space after each full stop."),
        plain_words.Fault.PHONE: gettext("Leave telephone numbers out, and write long numbers or dates in words."),
        plain_words.Fault.MARKUP: gettext("Use plain words only, without < or >."),
    }
    return sentences[error.fault]
