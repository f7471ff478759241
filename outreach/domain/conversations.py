"""What a conversation with a reader may hold, how long it has waited, and what public words about replies must avoid.

`(state, what happens) → state` is short: something of theirs opens it again and makes it wait; an answer ends the wait;
closing ends it too, and one that still waits is closed for a reason only. An automatic reply does none of this.
"""

import re
import unicodedata
from enum import StrEnum

from outreach.domain import addresses
from outreach.domain.errors import InvalidInputError

LONGEST_WORDS = 5_000
"""Characters of one answer, note, or message from a person's room."""

LONGEST_KEPT = 20_000
"""Characters kept of a mail that came in; the rest stays with its sender."""

MOST_FILES = 10
MOST_FILE_OCTETS = 2_000_000
MOST_OCTETS = 5_000_000
"""What is kept of the files of one mail: each, and all together. Of a larger one the name is kept."""

LONGEST_TAG = 30
MOST_TAGS = 8
LONGEST_TITLE = 120

_MINUTE, _HOUR, _DAY = 60_000_000, 3_600_000_000, 86_400_000_000
_QUOTED = re.compile("[“„«»\"‟]|(?:^|\\s)['‘‚‹].{0,200}?['’›](?:\\s|$|[.,;:!?])|^\\s*>", re.MULTILINE)
_PHONE = re.compile(r"(?:\d[ ()/.-]{0,2}){7,}")
_NAMED = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|Herr|Fru|Frau|Mevrouw|Meneer|Dhr|Mw)\.?\s+\w")


class Mark(StrEnum):
    """What staff say a conversation is. Public answers count the critical ones."""

    CRITICAL = "critical"
    PRAISE = "praise"
    QUESTION = "question"


def waited(since: int, now: int) -> str:
    """How long something has waited, in words that need no colour: "waiting 3 days"."""
    for length, one, many in ((_DAY, "day", "days"), (_HOUR, "hour", "hours")):
        if now - since >= length:
            count = (now - since) // length
            return f"waiting {count} {one if count == 1 else many}"
    return "waiting less than an hour"


def check_words(typed: str, field: str = "words") -> str:
    """Words as they are kept: lines without trailing space, nothing invisible. Raises InvalidInputError."""
    lines = ("".join(sign if _is_seen(sign) else " " for sign in line).rstrip() for line in typed.splitlines())
    said = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
    if not 1 <= len(said) <= LONGEST_WORDS:
        raise InvalidInputError(f"Write 1 to {LONGEST_WORDS:,} characters. Nothing was kept.", field)
    return said


def as_read(written: str) -> str:
    """What a stranger's mail says, without what is not drawn and changes how the rest is: controls, direction marks."""
    lines = ("".join(sign for sign in line if _is_drawn(sign)) for line in written.splitlines())
    return "\n".join(lines)


def check_answer(typed: str, allowed: str) -> str:
    """Staff's words to a person: no address in them but `allowed`, the one we print ourselves (it may be empty).

    Raises InvalidInputError (field "words").
    """
    said = check_words(typed)
    looked = said.replace(allowed, "") if allowed else said
    if addresses.scrub(looked) != looked:
        raise InvalidInputError("Leave e-mail addresses out: nobody's is passed on. Nothing was sent.", "words")
    return said


def check_tags(typed: str) -> tuple[str, ...]:
    """Tags as typed with commas between them: few, short, in small letters, once each. Raises InvalidInputError."""
    tags = tuple(dict.fromkeys(" ".join(one.lower().split()) for one in typed.split(",")))
    tags = tuple(sorted(tag for tag in tags if tag))
    if len(tags) > MOST_TAGS or any(len(tag) > LONGEST_TAG for tag in tags):
        words = f"Use at most {MOST_TAGS} tags of at most {LONGEST_TAG} letters, with commas between them."
        raise InvalidInputError(f"{words} Nothing was changed.", "tags")
    if any(addresses.scrub(tag) != tag or not all(map(_is_seen, tag)) for tag in tags):
        raise InvalidInputError("A tag is a plain word about the matter, not about a person.", "tags")
    return tags


def check_public(typed: str, field: str, longest: int = LONGEST_WORDS) -> str:
    """Words for everybody: no address at all. Raises InvalidInputError (the `field`)."""
    said = check_words(typed, field)
    if len(said) > longest:
        raise InvalidInputError(f"Use at most {longest} characters. Nothing was kept.", field)
    if addresses.scrub(said) != said:
        raise InvalidInputError("There is an e-mail address in this. Leave it out; nothing was kept.", field)
    return said


def may_betray(words: str) -> tuple[str, ...]:
    """What in public words may point at somebody: for a warning, since a rule cannot know."""
    found = []
    if _QUOTED.search(words):
        found.append("There are quotation marks in it. Whoever wrote those words would know them, and so may others.")
    if _PHONE.search(words):
        found.append("There is a long number in it. A telephone or order number leads to one person.")
    if _NAMED.search(words):
        found.append("It seems to name somebody.")
    return tuple(found)


def _is_drawn(sign: str) -> bool:
    return sign in "\t\u200c\u200d" or unicodedata.category(sign) not in {"Cc", "Cf", "Cs"}


def _is_seen(sign: str) -> bool:
    return sign.isprintable() or sign in "\u200c\u200d"  # Persian words and joined emoji need these two
