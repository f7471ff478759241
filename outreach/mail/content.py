"""A campaign's words, prepared once and filled for each reader.

Preparing does all that is slow: Liquid is taken out, Markdown rendered and cleaned, styles inlined, the text part
derived, Liquid put back. Filling then joins strings (or, where the author used more than plain fields, runs the
bounded Liquid of `mail.liquid`); each value is escaped for where it stands.
"""

import binascii
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from liquid import BoundTemplate
from markupsafe import Markup

from outreach.domain.errors import InvalidInputError
from outreach.mail import layout, liquid, markdown
from outreach.mail.liquid import Place, Slot
from outreach.mail.markdown import Marks

MASTHEAD_MARK = "<!--masthead-->"  # no value can hold one: in HTML every "<" of a value is escaped
FOOTER_MARK = "<!--footer-->"
MOST_PREPARED_OCTETS = 90_000  # leaves room, under 100 kB, for the footer, the header and the fields' values

_PARTS = ("subject", "preheader", "html", "text")
_OPENING = {"if", "unless", "case", "for", "comment"}
_MIDDLE = {"else", "elsif", "when"}

Part = str | tuple[int, Place]


@dataclass(frozen=True)
class Filled:
    """One reader's mail, still without masthead and footer where the marks stand."""

    subject: str
    preheader: str
    html: str
    text: str


@dataclass(frozen=True)
class Blank:
    """A field in one kind of place, and what stands there when the reader has none."""

    name: str
    default: str
    place: Place

    def value(self, fields: Mapping[str, str]) -> str:
        """One reader's value, escaped for its place."""
        return liquid.escape(fields.get(self.name) or self.default, self.place)


@dataclass(frozen=True)
class Prepared:
    """Four texts as fixed pieces and numbered slots. `fields`: the names the author used, so that a page can warn."""

    slots: tuple[Slot, ...]
    subject: tuple[Part, ...]
    preheader: tuple[Part, ...]
    html: tuple[Part, ...]
    text: tuple[Part, ...]
    fields: frozenset[str]
    fixed_name: str = field(default="xliqx")

    @cached_property
    def is_plain(self) -> bool:
        """Only fields, at most with a default: filling is joining."""
        return all(slot.plain is not None for slot in self.slots)

    @cached_property
    def blanks(self) -> tuple[Blank, ...]:
        """What there is to fill in, each once. Only where `is_plain`."""
        return self._joins[0]

    def joined(self, values: Sequence[str]) -> Filled:
        """The four texts with a value for each of `blanks`, as it stands."""
        filled = []
        for pieces, gaps in self._joins[1]:
            whole = pieces.copy()
            for position, which in gaps:
                whole[position] = values[which]
            filled.append("".join(whole))
        return Filled(*filled)

    @cached_property
    def _joins(self) -> tuple[tuple[Blank, ...], list[tuple[list[str], list[tuple[int, int]]]]]:
        """The blanks, and each text as pieces with (position, which blank)."""
        blanks: dict[Blank, int] = {}
        texts = []
        for name in _PARTS:
            pieces, gaps = [], []
            for part in getattr(self, name):
                if isinstance(part, str):
                    pieces.append(part)
                    continue
                plain = self.slots[part[0]].plain
                if plain is None:
                    raise ValueError("not plain")
                blank = Blank(plain[0], plain[1], part[1])
                gaps.append((len(pieces), blanks.setdefault(blank, len(blanks))))
                pieces.append("")
            texts.append((pieces, gaps))
        return tuple(blanks), texts

    @cached_property
    def _templates(self) -> list[tuple[BoundTemplate, list[str]]]:
        made = []
        for name in _PARTS:
            parts = [part if isinstance(part, str) else (self.slots[part[0]], part[1]) for part in getattr(self, name)]
            fixed = [part for part in parts if isinstance(part, str)]
            made.append((liquid.compile_parts(parts, self.fixed_name), fixed))
        return made

    def to_json(self) -> str:
        """The same as text, for the store; `from_json` gives it back."""
        return json.dumps(
            {
                "version": 1,
                "slots": [[slot.source, slot.is_tag] for slot in self.slots],
                **{
                    name: [part if isinstance(part, str) else list(part) for part in getattr(self, name)]
                    for name in _PARTS
                },
                "fields": sorted(self.fields),
                "fixed_name": self.fixed_name,
            },
            ensure_ascii=False,
        )

    @classmethod
    def from_json(cls, text: str) -> "Prepared":
        raw = json.loads(text)
        texts: dict[str, Any] = {
            name: tuple(part if isinstance(part, str) else (part[0], Place(part[1])) for part in raw[name])
            for name in _PARTS
        }
        slots = tuple(Slot(source, is_tag) for source, is_tag in raw["slots"])
        return cls(slots=slots, fields=frozenset(raw["fields"]), fixed_name=raw["fixed_name"], **texts)


def prepare(subject: str, preheader: str, body_markdown: str, *, locale: str = "en") -> Prepared:
    """Make a campaign's words ready. `locale` is what the HTML declares.

    Raises InvalidInputError, its `field` "subject", "preheader" or "body", on Liquid or links that cannot work, and
    when the mail would exceed 100 kB.
    """
    sources = {"subject": subject.strip(), "preheader": preheader.strip(), "body": body_markdown}
    if not sources["subject"]:
        raise InvalidInputError("A mail needs a subject.", "subject")
    if not sources["body"].strip():
        raise InvalidInputError("A mail needs a text.", "body")
    marks = Marks.unlike(*sources.values())
    fields = frozenset[str]().union(*(liquid.check(source, name) for name, source in sources.items()))
    slots: list[Slot] = []
    marked = {name: _mark(source, marks, slots) for name, source in sources.items()}
    body = markdown.to_html(marked["body"], marks)
    unwrapped = markdown.unwrap_tags(body, marks)
    markdown.check_nesting(unwrapped, marks, *_roles(slots))
    letter = Markup(unwrapped)  # noqa: S704  cleaned by nh3
    facts = {"title": marked["subject"], "preheader": marked["preheader"], "body": letter}
    sheet = layout.inline(layout.render("campaign.html", locale, facts))
    prepared = Prepared(
        slots=tuple(slots),
        subject=_split(marked["subject"], marks, Place.TEXT),
        preheader=_split(marked["preheader"], marks, Place.TEXT),
        html=_split(sheet, marks, Place.HTML),
        text=_split(markdown.to_text(body, marks), marks, Place.TEXT),
        fields=fields,
        fixed_name=marks.base,
    )
    _try_out(prepared)
    return prepared


def fill(prepared: Prepared, fields: Mapping[str, str]) -> Filled:
    """One reader's mail. A field not given is empty. Raises InvalidInputError only where Liquid meets its limits."""
    if not prepared.is_plain:
        return fill_by_liquid(prepared, fields)
    return prepared.joined([blank.value(fields) for blank in prepared.blanks])


def fill_by_liquid(prepared: Prepared, fields: Mapping[str, str]) -> Filled:
    """The same as `fill`, always through Liquid."""
    return Filled(
        *(liquid.run(template, prepared.fixed_name, fixed, fields) for template, fixed in prepared._templates)
    )


def _mark(source: str, marks: Marks, slots: list[Slot]) -> str:
    texts, found = liquid.cut(source)
    marked = [texts[0]]
    for slot, text in zip(found, texts[1:], strict=True):
        marked += [marks.word(len(slots), slot.is_tag), text]
        slots.append(slot)
    return "".join(marked)


def _roles(slots: list[Slot]) -> tuple[set[int], set[int], set[int]]:
    """The numbers of the tags that open a block, divide one, and end one."""
    opening, middle, ending = set(), set(), set()
    for number, slot in enumerate(slots):
        if slot.word in _OPENING:
            opening.add(number)
        elif slot.word in _MIDDLE:
            middle.add(number)
        elif slot.word.startswith("end"):
            ending.add(number)
    return opening, middle, ending


def _split(text: str, marks: Marks, place: Place) -> tuple[Part, ...]:
    parts: list[Part] = []
    end = 0
    for found in marks.pattern.finditer(text):
        if found.start() > end:
            parts.append(text[end : found.start()])
        parts.append((int(found[2]), Place.URL if found[1] == "u" else place))
        end = found.end()
    if end < len(text):
        parts.append(text[end:])
    return tuple(parts)


def _try_out(prepared: Prepared) -> None:
    """Fill it twice, empty and not, so that what cannot work fails on the author's page and nowhere else."""
    fill_by_liquid(prepared, {})
    filled = fill(prepared, dict.fromkeys(prepared.fields, "Alexandra"))
    size = sum(len(binascii.b2a_qp(part.encode())) for part in (filled.html, filled.text))
    if size > MOST_PREPARED_OCTETS:
        raise InvalidInputError(
            f"This mail is {size // 1000} kB; with its footer it must stay under 100 kB. Shorten it.", "body"
        )
