"""What a refusal says: that there is no such mailbox, that it cannot take mail now, or that we are not wanted.

Enhanced codes (RFC 3463 and the IANA registry, RFC 7504) first; many servers write a general one, a wrong one or none,
so words count where a code leaves room. Where nothing is sure the milder reading is taken: nobody is barred by a guess.
"""

import re

from outreach.mail.inbound import bounce_words as words
from outreach.mail.inbound.incoming import Kind

_MOST = 4000
_ENHANCED = re.compile(r"(?<![\w.])([245])\.(\d{1,3})\.(\d{1,3})(?!\.?\d)")
_BASIC = re.compile(r"(?<![\w.:/-])([245]\d\d)(?=[ -])")
_BASIC_REPEATED = re.compile(r"(?<=\s)[245]\d\d-(?:[245]\.\d{1,3}\.\d{1,3}\s)?")
_ADDRESS = re.compile(r"[^\s<>()@]{1,64}@[^\s<>()@]{1,255}")
_STATUS = {
    "5.1.7": Kind.BLOCKED,  # the sender's address
    "5.1.8": Kind.BLOCKED,
    "5.2.1": Kind.HARD_BOUNCE,  # disabled
    "5.2.2": Kind.SOFT_BOUNCE,  # full
    "5.2.3": Kind.BLOCKED,  # this mail is too long
    "5.3.4": Kind.BLOCKED,
    "5.4.1": Kind.HARD_BOUNCE,  # Exchange Online says this of a mailbox it does not have
    "5.4.4": Kind.HARD_BOUNCE,  # no such domain
    "5.4.310": Kind.HARD_BOUNCE,  # Exchange Online: no such domain
}
_NO_MAIL = frozenset({"521", "556"})  # RFC 7504: takes no mail at all
_OURS = frozenset({"541", "571"})  # in no RFC, and a refusal of the sender wherever it is used


def codes(text: str) -> list[str]:
    """The RFC 3463 codes in a text, in order."""
    return [".".join(found) for found in _ENHANCED.findall(text[:_MOST])]


def status(reported: str, diagnostic: str) -> str:
    """The most telling code: the reported one unless it is general (x.0.0) and the diagnostic has a better."""
    own = next(iter(codes(reported)), "")
    if own and not own.endswith(".0.0"):
        return own
    told = [code for code in codes(diagnostic) if not own or code[0] == own[0]]
    return next((code for code in told if not code.endswith(".0.0")), own or (told[0] if told else ""))


def of_refusal(code: str, diagnostic: str) -> Kind:
    """HARD_BOUNCE, SOFT_BOUNCE or BLOCKED, of a mail that will not be tried again. `code`: RFC 3463 or empty."""
    said = plain(diagnostic)
    basic = _BASIC.search(diagnostic[:_MOST])
    if basic and basic[1] in _OURS:
        return Kind.BLOCKED
    first = code[:1] or (basic[1][0] if basic else "")
    if words.LISTED.search(said) or words.ABOUT_US.search(said):
        return Kind.BLOCKED
    if first == "4":
        return Kind.SOFT_BOUNCE
    if code.startswith(("5.7.", "5.6.")) or any(one.startswith("5.7.") for one in codes(diagnostic)):
        return Kind.BLOCKED
    if words.FULL.search(said) or words.HELD_UP.search(said):
        return Kind.BLOCKED if code in {"5.2.3", "5.3.4"} else Kind.SOFT_BOUNCE
    if code in _STATUS:
        return _doubted(_STATUS[code], said)
    if code.startswith("5.1."):
        return Kind.HARD_BOUNCE
    takes_none = basic is not None and basic[1] in _NO_MAIL
    return by_words(diagnostic) or (Kind.HARD_BOUNCE if takes_none else Kind.SOFT_BOUNCE)


def by_words(text: str) -> Kind | None:
    """What a text says of a mail that was not delivered; None where it says nothing we know."""
    said = plain(text)
    for pattern, kind in (
        (words.LISTED, Kind.BLOCKED),
        (words.ABOUT_US, Kind.BLOCKED),
        (words.FULL, Kind.SOFT_BOUNCE),
        (words.HELD_UP, Kind.SOFT_BOUNCE),
        (words.NOBODY, Kind.HARD_BOUNCE),
        (words.POLICY, Kind.BLOCKED),
        (words.LATER, Kind.SOFT_BOUNCE),
    ):
        if pattern.search(said):
            return kind
    return None


def plain(text: str) -> str:
    """`text` on one line as the tables want it: no addresses, no codes repeated on each line of a reply."""
    text = _ADDRESS.sub(" ", text[:_MOST])
    return " ".join(_BASIC_REPEATED.sub(" ", text.replace("’", "'")).split())


def _doubted(kind: Kind, said: str) -> Kind:
    """A server that did not answer (RFC 3463's own 5.4.1) is not a mailbox that does not exist."""
    if kind is Kind.HARD_BOUNCE and words.LATER.search(said) and not words.NOBODY.search(said):
        return Kind.SOFT_BOUNCE
    return kind
