"""What a member may write to a person who did not ask: a short plain note and a name, and nothing that leads away.

No link, address, phone number or mark-up: a mail from the site's own address must not carry a stranger's advertising
(listmonk #1133). Text is folded first (Unicode NFKC, invisible characters gone), so that look-alikes do not slip past.
"""

import itertools
import re
import unicodedata
from enum import StrEnum

from outreach.domain.errors import InvalidInputError

LONGEST_NOTE = 200
LONGEST_NAME = 60

_JOINERS = "\u200c\u200d"  # Persian words and joined emoji need them; they join nothing that we look for
_DOT_OF_IDNA = re.compile("\u3002(?=[a-z])", re.IGNORECASE)  # RFC 3490 §3.1 reads it as a full stop
_BLANK = "\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0"  # drawn as nothing
_UNSEEN = frozenset({"Cc", "Cf", "Co", "Cs", "Cn"})
_MARKS_ABOVE = frozenset({"Mn", "Me"})
_MARKS = 4  # more on one letter, and they are drawn over the lines above and below
_SCHEMES = "blob|callto|data|facetime|file|geo|intent|magnet|mms|sips?|skype|smsto|tg|viber|whatsapp|wss?|xmpp"
_ENDINGS = "com|org|net|info|io|eu|uk|de|se|nl"
_WEB = re.compile(
    rf"://|\bwww\b|\b(?:https?|ftp|mailto|tel|sms|javascript|vbscript)\s*:|\b(?:{_SCHEMES}):(?=\S)"
    r"|\b\d{1,3}(?:\.\d{1,3}){3}\b"
    r"|[^\s.]\.[^\W\d_][^\s.,;:!?)\]'\"’”]|\w\s+\.\s*[^\W\d_]{2}"
    rf"|\w\s*[(\[{{]\s*(?:dot|\.)\s*[)\]}}]\s*\w|\b\w+ dot (?:{_ENDINGS})\b",
    re.I,
)
_ADDRESS = re.compile(r"@|\w\s*[(\[{]\s*at\s*[)\]}]\s*\w", re.IGNORECASE)
_PHONE = re.compile(r"(?:\d[\W_]*){7,}")  # no letter between seven digits
_MARKUP = re.compile(r"[<>]|\]\s*\(|&(?:#\w+|\w+);")


class Fault(StrEnum):
    """Why words will not do; the web has a sentence for each in every language."""

    TOO_LONG = "too-long"
    UNSEEN = "unseen"
    NO_NAME = "no-name"
    ADDRESS = "address"
    WEB = "web"
    PHONE = "phone"
    MARKUP = "markup"


_SENTENCES = {
    Fault.TOO_LONG: "This is too long.",
    Fault.UNSEEN: "There is a character in this that cannot be seen. Type it again by hand.",
    Fault.NO_NAME: "Type the name others know you by.",
    Fault.ADDRESS: "Leave e-mail addresses out. Whoever accepts can be shown yours, if you choose so then.",
    Fault.WEB: "Leave web addresses out, and put a space after each full stop.",
    Fault.PHONE: "Leave telephone numbers out, and write long numbers or dates in words.",
    Fault.MARKUP: "Use plain words only, without < or >.",
}


class PlainWordsError(InvalidInputError):
    """Not words we could pass on. Echoes none of them."""

    def __init__(self, fault: Fault, field: str) -> None:
        super().__init__(_SENTENCES[fault], field)
        self.fault = fault


def check_note(text: str) -> str:
    """The note as it will be shown, spaces tidied; may be empty. Raises PlainWordsError (field "note")."""
    return _checked(text, "note", LONGEST_NOTE)


def check_name(text: str) -> str:
    """The name as others will read it: one line with a letter in it. Raises PlainWordsError (field "name")."""
    name = _checked(" ".join(text.split()), "name", LONGEST_NAME)
    if not any(letter.isalpha() for letter in name):
        raise PlainWordsError(Fault.NO_NAME, "name")
    return name


def _checked(text: str, field: str, longest: int) -> str:
    lines = "\n".join(" ".join(line.split()) for line in text.strip().splitlines())
    shown = unicodedata.normalize("NFC", re.sub("\n{3,}", "\n\n", lines))
    if len(shown) > longest:
        raise PlainWordsError(Fault.TOO_LONG, field)
    if any(_is_unseen(one) for one in shown) or _is_piled_up(shown):
        raise PlainWordsError(Fault.UNSEEN, field)
    fault = _fault(shown)
    if fault is not None:
        raise PlainWordsError(fault, field)
    return shown


def _fault(shown: str) -> Fault | None:
    folded = unicodedata.normalize("NFKC", shown).translate({ord(one): None for one in _JOINERS})
    folded = "".join(one for one in folded if unicodedata.category(one) not in _MARKS_ABOVE)  # 0̲8̲0̲0̲, 0️⃣8️⃣0️⃣
    folded = _DOT_OF_IDNA.sub(".", folded)
    looks = ((Fault.ADDRESS, _ADDRESS), (Fault.WEB, _WEB), (Fault.PHONE, _PHONE), (Fault.MARKUP, _MARKUP))
    return next((fault for fault, pattern in looks if pattern.search(folded)), None)


def _is_unseen(one: str) -> bool:
    return one in _BLANK or (unicodedata.category(one) in _UNSEEN and one not in _JOINERS + "\n")


def _is_piled_up(shown: str) -> bool:
    """Whether more marks than any language needs stand on one letter."""
    kinds = (unicodedata.category(one) in _MARKS_ABOVE for one in shown)
    return any(is_mark and len(list(run)) > _MARKS for is_mark, run in itertools.groupby(kinds))
