"""The marketer's template language: Liquid, cut down to what a letter needs and can do no harm.

Templates see a contact's fields and nothing else: no files, no environment, no clock, no way to make text grow beyond
measure (CVE-2025-49136 was a template that read its host's environment). Values are escaped for where they stand.
"""

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import quote

from liquid import BoundTemplate, Environment
from liquid.exceptions import LiquidError
from liquid.stringify import to_liquid_string

from outreach.domain.errors import InvalidInputError

_TAGS = {"assign", "break", "case", "comment", "continue", "for", "if", "unless"}
_WORDS = _TAGS | {"else", "elsif", "when", *(f"end{tag}" for tag in _TAGS)}
_INNER_TAGS = {"content", "illegal", "output"}
_FILTERS = {
    "append", "at_least", "at_most", "capitalize", "default", "downcase", "lstrip", "minus", "plus", "prepend",
    "remove", "rstrip", "size", "slice", "strip", "truncate", "truncatewords", "upcase",
}  # fmt: skip

_PIECE = re.compile(r"\{\{(?P<trim_o>-?)(?P<output>.*?)-?\}\}|\{%(?P<trim_t>-?)(?P<tag>.*?)-?%\}", re.DOTALL)
_PLAIN = re.compile(
    r"""\s*(?P<name>[A-Za-z][A-Za-z0-9_]*)\s*(?:\|\s*default:\s*(?P<q>["'])(?P<default>[^"'\\{}%]*)(?P=q)\s*)?"""
)
_LITERALS = {"true", "false", "nil", "null", "empty", "blank", "and", "or", "not", "contains", "in", "forloop"}
_BREAKS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_UNSEEN = re.compile(r"[\u202a-\u202e\u2066-\u2069\ufeff]")  # marks that turn the text around them


class Place(StrEnum):
    """Where a value stands, which says how it is escaped."""

    HTML = "h"
    TEXT = "t"
    URL = "u"  # inside a link's path or query; percent-encoded, so no escaping is left to do


class _Limited(Environment):
    """Bounds on what one mail may cost; each raises rather than goes on."""

    loop_iteration_limit = 2_000
    output_stream_limit = 400_000
    local_namespace_limit = 200_000
    context_depth_limit = 12

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        self.tags = {name: tag for name, tag in self.tags.items() if name in _TAGS | _INNER_TAGS}
        self.filters = {name: call for name, call in self.filters.items() if name in _FILTERS}


class _Placed(_Limited):
    """What filling uses: the same, and a filter per place that only we can write."""

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        super().setup_tags_and_filters(extra=extra)
        for place in Place:
            self.filters[f"place_{place.value}"] = _placer(place)


@dataclass(frozen=True)
class Slot:
    """One `{{ … }}` or `{% … %}`. `plain`: (field, default) where the whole is a field with at most a default."""

    source: str
    is_tag: bool

    @property
    def word(self) -> str:
        """A tag's name; "" for an output."""
        return self.source.split(maxsplit=1)[0] if self.is_tag and self.source else ""

    @property
    def plain(self) -> tuple[str, str] | None:
        found = None if self.is_tag else _PLAIN.fullmatch(self.source)
        if not found or found["name"] in _LITERALS:
            return None
        return found["name"], found["default"] or ""


def escape(value: str, place: Place) -> str:
    """`value` made harmless for `place`, and one line whatever it held."""
    if value.isalnum() and value.isascii():
        return value
    if not (value.isascii() and value.isprintable()):
        value = _UNSEEN.sub("", _BREAKS.sub(" ", value)).encode("utf-8", "replace").decode()
    if place is Place.HTML:
        return html.escape(value)
    return quote(value, safe="") if place is Place.URL else value


def check(source: str, field: str) -> frozenset[str]:
    """The names of the fields `source` uses. Raises InvalidInputError(field) on anything but our Liquid."""
    try:
        found = _STRICT.from_string(source).analyze(include_partials=False)
    except LiquidError as error:
        raise InvalidInputError(f"The fields in this text do not work: {_reason(error)}", field) from None
    for slot in cut(source)[1]:
        if slot.is_tag and slot.word not in _WORDS:  # such as raw, which the lexer knows by itself
            raise InvalidInputError(f"The fields in this text do not work: there is no tag “{slot.word}”", field)
    for name in found.filters:
        if name not in _FILTERS:
            raise InvalidInputError(f"The fields in this text do not work: there is no filter “{name}”", field)
    return frozenset(found.globals)


def cut(source: str) -> tuple[list[str], list[Slot]]:
    """`source` as its plain pieces (one more than slots) and slots. `{{-` trims the text before it, `-}}` after."""
    texts, slots, end = [], [], 0
    trim_next = False
    for match in _PIECE.finditer(source):
        text = source[end : match.start()]
        text = text.lstrip() if trim_next else text
        texts.append(text.rstrip() if match["trim_o"] or match["trim_t"] else text)
        is_tag = match["output"] is None
        slots.append(Slot((match["tag"] if is_tag else match["output"]).strip(), is_tag))
        trim_next = match.group().endswith(("-}}", "-%}"))
        end = match.end()
    last = source[end:]
    texts.append(last.lstrip() if trim_next else last)
    return texts, slots


def compile_parts(parts: list[str | tuple[Slot, Place]], fixed_name: str) -> BoundTemplate:
    """A template of fixed texts and slots. Fixed texts come as the list `fixed_name`: none is read as Liquid."""
    source, count = [], 0
    for part in parts:
        if isinstance(part, str):
            source.append(f"{{{{ {fixed_name}[{count}] }}}}")
            count += 1
        elif part[0].is_tag:
            source.append(f"{{% {part[0].source} %}}")
        else:
            source.append(f"{{{{ {part[0].source} | place_{part[1].value} }}}}")
    try:
        return _PLACED.from_string("".join(source))
    except LiquidError as error:
        raise InvalidInputError(f"The fields in this text do not work: {_reason(error)}", "body") from None


def run(template: BoundTemplate, fixed_name: str, fixed: list[str], fields: Mapping[str, str]) -> str:
    """Raises InvalidInputError when the template would loop or grow beyond its limits."""
    try:
        return template.render({**fields, fixed_name: fixed})
    except LiquidError as error:
        raise InvalidInputError(f"The fields in this text do not work: {_reason(error)}", "body") from None


def _placer(place: Place) -> Any:
    def placed(value: object) -> str:
        return escape(to_liquid_string(value, autoescape=False), place)

    return placed


def _reason(error: LiquidError) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:160] if lines else "not Liquid"


_STRICT = _Limited()
_PLACED = _Placed()
