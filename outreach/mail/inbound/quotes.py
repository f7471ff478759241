"""What a person wrote, apart from what they quote and what their mail program put below it."""

import re

from outreach.mail.inbound.quote_words import (
    ATTRIBUTION,
    DATED,
    DATED_SENDER,
    DIVIDER,
    FROM,
    OTHER_FIELD,
    PHONE_LINE,
    SURE,
)

_MOST_LINES = 5000
_LONGEST_LINE = 400
_MOST_JOINED = 4  # lines that an attribution may be broken into
_BLANK_LINES = re.compile(r"\n{3,}")
_MOST_LOOKS = 300  # at what may be an attribution
_RULE = re.compile(r"[\s=_*-]*")
_UNDERSCORES = re.compile(r"\s*_{5,}\s*")


def cut(text: str) -> tuple[str, str]:
    """(own words, everything else), each in its order. Answers below and between quotes are own words too."""
    lines = text.split("\n")
    rest = lines[_MOST_LINES:]
    cutter = _Cutter(lines[:_MOST_LINES])
    cutter.run()
    return _tidy(cutter.own), "\n".join([*cutter.quoted, *rest]).strip("\n")


def unflowed(text: str, *, delete_space: bool) -> str:
    """Paragraphs of format=flowed text made whole again (RFC 3676 §4); quoted lines keep their marks."""
    made: list[str] = []
    open_depth = -1  # of the paragraph that goes on
    for line in text.split("\n"):
        marks = len(line) - len(line.lstrip(">"))
        words = line[marks:].removeprefix(" ")
        goes_on = words.endswith(" ") and words != "-- "
        if goes_on and delete_space:
            words = words[:-1]
        if open_depth == marks and words != "-- ":
            made.append(words)
        else:
            made.append(("\n" if made else "") + ">" * marks + (" " if marks else "") + words)
        open_depth = marks if goes_on else -1
    return "".join(made)


class _Cutter:
    def __init__(self, lines: list[str]) -> None:
        self._lines = lines
        self.own: list[str] = []
        self.quoted: list[str] = []
        self._known: dict[int, tuple[int, str]] = {}
        self._looks = 0

    def run(self) -> None:
        place = 0
        while place < len(self._lines):
            if self._all_quoted(place):
                self.quoted += self._lines[place:]
                return
            line = self._lines[place]
            joined = self._attribution(place)
            if joined:
                self.quoted += self._lines[place : place + joined]
                place += joined
                continue
            if line.rstrip() == "--" and any(one.strip() for one in self.own):
                place = self._signature(place)
                continue
            if line.lstrip().startswith(">") or PHONE_LINE.fullmatch(line.strip()[:_LONGEST_LINE]):
                self.quoted.append(line)
            else:
                self.own.append(line)
            place += 1

    def _all_quoted(self, place: int) -> bool:
        """Whether everything from here is quoted: a divider, a block of header fields, a sure attribution."""
        line = self._lines[place][:_LONGEST_LINE]
        if _UNDERSCORES.fullmatch(line):
            after = self._next_line(place + 1)
            return after is not None and self._header_block(after)
        if DIVIDER.fullmatch(line) or self._header_block(place):
            return True
        joined, words = self._attributed(place)
        if not joined or self._quote_follows(place + joined):
            return False
        return _names_one_on_a_date(words) or bool(SURE.match(words) and DATED.search(words))

    def _attribution(self, place: int) -> int:
        """How many lines from here say who wrote the marked quote below them."""
        joined, _ = self._attributed(place)
        return joined if joined and self._quote_follows(place + joined) else 0

    def _attributed(self, place: int) -> tuple[int, str]:
        """How many lines from here are an attribution, and its words on one line."""
        if place not in self._known:
            self._known[place] = self._look(place)
        return self._known[place]

    def _look(self, place: int) -> tuple[int, str]:
        words = ""
        for count in range(1, _MOST_JOINED + 1):
            if place + count > len(self._lines):
                break
            line = self._lines[place + count - 1].strip()[:_LONGEST_LINE]
            if not line or (line.startswith(">") and line != ">:"):
                break
            if count == 2 and not (SURE.match(words) or _names_one_on_a_date(words)):
                break  # a sentence of theirs, not the first line of an attribution
            words = f"{words} {line}".strip()
            if line.endswith((":", "：")):
                self._looks += 1
                if self._looks > _MOST_LOOKS:
                    break
                found = any(char.isdigit() for char in words) or "<" in words or self._quote_follows(place + count)
                if found and (ATTRIBUTION.fullmatch(words) or DATED_SENDER.fullmatch(words)):
                    return count, words
                break
        return 0, ""

    def _header_block(self, place: int) -> bool:
        """Outlook's way: From and at least two of Sent, To, Subject within the next lines, whichever comes first."""
        first = self._lines[place][:_LONGEST_LINE]
        if not (FROM.fullmatch(first) or OTHER_FIELD.fullmatch(first)):
            return False
        block = [line[:_LONGEST_LINE] for line in self._lines[place : place + 9]]
        others = sum(OTHER_FIELD.fullmatch(line) is not None for line in block)
        return others >= 2 and any(FROM.fullmatch(line) for line in block)

    def _quote_follows(self, place: int) -> bool:
        after = self._next_line(place)
        return after is not None and self._lines[after].lstrip().startswith(">")

    def _next_line(self, place: int) -> int | None:
        """Where the next line with anything on it is, of the next few."""
        window = range(place, min(place + 4, len(self._lines)))
        return next((one for one in window if self._lines[one].strip()), None)

    def _signature(self, place: int) -> int:
        """Behind a signature: it lasts until something quoted begins."""
        while place < len(self._lines):
            if self._lines[place].lstrip().startswith(">") or self._all_quoted(place) or self._attribution(place):
                break
            self.quoted.append(self._lines[place])
            place += 1
        return place


def _names_one_on_a_date(words: str) -> bool:
    return "@" in words and DATED.search(words) is not None


def _tidy(lines: list[str]) -> str:
    while lines and _RULE.fullmatch(lines[-1][:_LONGEST_LINE]):
        lines = lines[:-1]
    return _BLANK_LINES.sub("\n\n", "\n".join(line.rstrip() for line in lines)).strip("\n")
