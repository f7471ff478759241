"""The page of an export that a person reads and prints: what it holds, in words, numbers and a table."""

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

ROWS = 500
"""Entries shown one by one; the others are counted."""

_TEMPLATES = Path(__file__).parents[3] / "templates" / "export"


@dataclass(frozen=True)
class Row:
    """An entry as the table has it. Refs by their first eight digits."""

    position: int
    at: str
    kind: str
    actor: str
    about: str
    says: str


@dataclass
class Summary:
    """Grows while the entries go by."""

    kinds: Counter[str] = field(default_factory=Counter)
    rows: list[Row] = field(default_factory=list)
    topics: set[bytes] = field(default_factory=set)
    first: int | None = None
    last: int | None = None

    def add(self, position: int, row: Any) -> None:
        """Count one entry; `row` has its columns as stored."""
        self.kinds[str(row.kind)] += 1
        if isinstance(row.topic, bytes):
            self.topics.add(row.topic)
        if isinstance(row.at, int):
            self.first = row.at if self.first is None else min(self.first, row.at)
            self.last = row.at if self.last is None else max(self.last, row.at)
        if len(self.rows) < ROWS:
            self.rows.append(_row(position, row))

    def page(self, **facts: Any) -> bytes:
        """The document, with nothing outside it."""
        written = _template("summary.html").render(
            kinds=sorted(self.kinds.items()),
            count=self.kinds.total(),
            rows=self.rows,
            first=utc(self.first),
            last=utc(self.last),
            **facts,
        )
        return written.encode()


def read_me(**facts: Any) -> bytes:
    """How to check the export, in plain text."""
    return _template("readme.txt").render(**facts).encode()


def utc(instant: int | None) -> str:
    """UTC microseconds to the second, the zone named."""
    if instant is None:
        return "–"
    return datetime.fromtimestamp(instant // 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _row(position: int, row: Any) -> Row:
    about = (
        f"{name} {value.hex()[:8]}"
        for name in ("contact", "topic", "campaign", "message")
        if isinstance(value := getattr(row, name), bytes)
    )
    at = utc(row.at) if isinstance(row.at, int) else "unreadable"
    return Row(position, at, str(row.kind), str(row.actor), ", ".join(about), _says(str(row.body)))


def _says(body: str) -> str:
    try:
        said = json.loads(body)
        return ", ".join(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in said.items())
    except (ValueError, AttributeError, RecursionError):
        return "unreadable"


@lru_cache(maxsize=2)
def _template(name: str) -> Template:
    made = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=name.endswith(".html"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    return made.get_template(name)
