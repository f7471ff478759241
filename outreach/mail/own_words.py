"""Our own words below a mail between two people, found when they come back in an answer: else they would pile up.

They are known by their sentences, in every language we write, however a mail program broke or marked the lines. The
first sentence must be there whole, so nobody's own words are taken for ours.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from itertools import product

from outreach import translations
from outreach.mail import layout, plain
from outreach.mail.disguises import Span, merged

SHEET = "relayed.html"

_NAME, _HOUSE, _FILES, _LINK = "\ue000", "\ue001", "\ue002", "\ue003"
_GAP = r"[\s>|*]+"
_SOME = r"[^\n]{1,100}?(?:\n[^\n]{1,100}?)??"
_BROKEN = r"[^<>\n]{1,300}(?:\n[ \t\xa0>|]*[^<>\n]{1,300}){0,6}"
_ADDRESS = rf"(?:[\s>|*]*<{_BROKEN}>|[\s>|*]*https?://[^\s<>]{{1,600}})?"
_HOLES = {_NAME: _SOME, _HOUSE: _SOME, _FILES: rf"{_SOME}(?=\n|$)", _LINK: _ADDRESS}
_DASHES = re.compile(r"(?:^|(?<=\n))[ \t\xa0>|]*--[ \t\xa0]*\n(?:[ \t\xa0>|]*\n){0,3}\Z")
_LONGEST_NAME = 120


def places(text: str) -> list[Span]:
    """Where the words below an earlier mail stand in `text`, with the rule above them."""
    found = []
    for notice in _notices():
        for one in notice.finditer(text):
            start = text.rfind("\n", 0, one.start()) + 1
            start = start if one.start() - start <= _LONGEST_NAME else one.start()
            rule = _DASHES.search(text, max(0, start - 200), start)
            found.append((rule.start() if rule else start, one.end()))
    return merged(found)


@lru_cache(maxsize=1)
def _notices() -> list[re.Pattern[str]]:
    """One a language: the sentence each notice begins with, then any of the others in their order."""
    return [re.compile(_notice(locale)) for locale in translations.LOCALES]


def _notice(locale: str) -> str:
    firsts: dict[str, None] = {}
    others: list[dict[str, None]] = []
    for told in _kinds():
        first, *rest = _paragraphs(locale, told)
        firsts[first] = None
        others.append(dict.fromkeys(rest))
    after = "|".join(dict.fromkeys(one for some in others for one in some))
    return rf"(?:{'|'.join(firsts)})(?:{_GAP}(?:{after}))*"


def _kinds() -> Iterator[dict[str, object]]:
    """The facts of every shape a notice has."""
    for name, files, has_end in product((_NAME, ""), ((_FILES,), (_FILES, _FILES)), (True, False)):
        yield {
            "name": name,
            "controller": _HOUSE,
            "has_cuts": True,
            "lost_pictures": True,
            "left_out": files,
            "stop_url": _LINK,
            "end_url": _LINK if has_end else "",
            "page_url": _LINK,
            "why_url": _LINK,
        }


def _paragraphs(locale: str, told: dict[str, object]) -> list[str]:
    text = plain.to_text(layout.block(SHEET, "notice", locale, told))
    return [_pattern(" ".join(one.split())) for one in text.split("\n\n") if one.strip()]


def _pattern(paragraph: str) -> str:
    """A paragraph as it is found again: from behind the name it may begin with, any number for its number."""
    bare = paragraph.removeprefix(_NAME).strip().replace(f" <{_LINK}>", _LINK).replace(f"{_FILES}, {_FILES}", _FILES)
    pattern = _GAP.join(re.sub(r"\d+", r"\\d+", re.escape(word)) for word in bare.split(" "))
    for hole, shape in _HOLES.items():
        pattern = pattern.replace(hole, shape)
    return pattern
