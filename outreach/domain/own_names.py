"""Names that members may not give themselves: what their readers would take for the organisation, or its staff.

The name stands in mails that the organisation's own server sends. Look-alike letters of other scripts are not found;
officers can suspend who uses them.
"""

import re
import unicodedata
from collections.abc import Iterable

SHORTEST_HELD = 4
"""Names of ours with fewer letters are refused only as a whole: "Abc" stands in too many names of people."""

_IN_ENGLISH = """
    support admin admins administrator administrators administration team noreply postmaster webmaster hostmaster
    security helpdesk moderator official
"""
_IN_SWEDISH = "teamet supporten administratör administratören kundtjänst kundtjänsten kundservice säkerhet officiell"
_IN_DUTCH = "beheer beheerder klantenservice klantendienst beveiliging veiligheid officieel"
_OFFICES = (_IN_ENGLISH + _IN_SWEDISH + " " + _IN_DUTCH).split()
_JOINED = frozenset({"noreply", "donotreply", "helpdesk"})
_WORD = re.compile(r"[^\W_]+")


def folded(name: str) -> str:
    """A name without case, marks, spaces and punctuation, for comparing: "North-Field!" reads "northfield"."""
    return "".join(_words(name))


def holds_one_of(name: str, ours: Iterable[str]) -> bool:
    """Whether a name is one of `ours` or, from four letters on, has one within it, however it is spaced."""
    own = folded(name)
    return any(own == one or (len(one) >= SHORTEST_HELD and one in own) for one in map(folded, ours))


def names_an_office(name: str) -> bool:
    """Whether a word of this name says support, staff or machine, in a language of ours."""
    words = _words(name)
    runs = {"".join(words[start:end]) for start in range(len(words)) for end in range(start + 2, start + 4)}
    return any(folded(office) in words for office in _OFFICES) or bool(runs & _JOINED)


def _words(name: str) -> list[str]:
    """The words of a name, folded: NFKD, without marks, so that "Kundtjänst" and "Kundtjanst" are one."""
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name).casefold())
    return _WORD.findall("".join(one for one in plain if unicodedata.category(one)[0] != "M"))
