"""Reads the two files of an import: bars first, then people with the evidence of their consent. Writes nothing.

A row is in memory while it is looked at, however long the file. Both are UTF-8 CSV with a heading line; the delimiter
is found out. Rows are numbered as a spreadsheet shows them, and a row that cannot be used is named by its number and a
reason, never by what it holds.
"""

import csv
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from itertools import chain
from typing import BinaryIO
from zoneinfo import available_timezones

from outreach.domain import addresses
from outreach.domain.errors import InvalidInputError
from outreach.domain.soft_opt_in import Ground

MOST_ROWS = 2_000_000
_NEEDED = ("address", "topic", "source", "time", "text")
_SOFT = ("basis", "bought", "objecting", "similar")
_KNOWN = (*_NEEDED, *_SOFT, "locale", "timezone")
_LONGEST_FIELD = 2_000


class Refusal(StrEnum):
    """Why a row is counted but not stored."""

    WRONG_ADDRESS = "the address is not one"
    NO_TOPIC = "there is no such topic, or it is closed"
    NO_EVIDENCE = "source, time or text of the consent is missing"
    WRONG_TIME = "the time is not one, or lies in the future"
    WRONG_ZONE = "there is no such time zone"
    TWICE = "the same person and topic stand further up in this file"
    BARRED = "the address is barred"
    ASKED_NOT_TO = "the person withdrew from this topic"
    ALREADY = "the person gets this topic already"
    EXPIRED = "the consent would be over by now"
    NO_BASIS = "the basis is none we know: consent, purchase or inquiry"
    NO_PURCHASE = "of the purchase, source, time, what was bought, or how objecting was offered is missing"
    NOT_SIMILAR = "the row does not say that the topic is about our own similar products"
    NOT_ALLOWED = "mail after a purchase is not switched on"


@dataclass(frozen=True)
class Bought:
    """The evidence of a soft opt-in (ePrivacy 13(2)): what was bought or asked about, and the words that offered to
    object when the address was taken.
    """

    ground: Ground
    what: str
    objecting: str


@dataclass(frozen=True)
class Given:
    """A row with evidence. `topic`: slug; `given`: when the person agreed, UTC microseconds.

    `bought`: what the mail stands on where nobody agreed; then `given` is when they bought or asked.
    """

    number: int
    address: addresses.Address = field(repr=False)
    topic: str
    source: str
    given: int
    text: str
    locale: str
    timezone: str
    fields: Mapping[str, str] = field(repr=False)
    bought: Bought | None = None


@dataclass(frozen=True)
class Barred:
    """A row of the suppressions file."""

    number: int
    address: addresses.Address = field(repr=False)
    reason: str


@dataclass(frozen=True)
class Refused:
    """A row that cannot be used."""

    number: int
    why: Refusal


def read_people(
    file: BinaryIO, locale: str, timezone: str, locales: tuple[str, ...], now: int
) -> Iterator[Given | Refused]:
    """The rows of people; `locale` and `timezone` where a row names none. Raises InvalidInputError (field "rows")."""
    zones = available_timezones()
    for number, row in _rows(file, "rows", _NEEDED):
        address, given = _address(row["address"]), _instant(row["time"])
        bought = _bought(row)
        zone = row.get("timezone") or timezone
        if address is None:
            yield Refused(number, Refusal.WRONG_ADDRESS)
        elif isinstance(bought, Refusal):
            yield Refused(number, bought)
        elif not (row["source"] and row["time"] and (row["text"] or bought)):
            yield Refused(number, Refusal.NO_PURCHASE if bought else Refusal.NO_EVIDENCE)
        elif given is None or given > now:
            yield Refused(number, Refusal.WRONG_TIME)
        elif zone not in zones:
            yield Refused(number, Refusal.WRONG_ZONE)
        else:
            yield Given(
                number,
                address,
                row["topic"],
                row["source"],
                given,
                row["text"],
                _tongue(row, locale, locales),
                zone,
                {name: value for name, value in row.items() if name not in _KNOWN and value},
                bought,
            )


def _tongue(row: Mapping[str, str], locale: str, locales: tuple[str, ...]) -> str:
    tongue = row.get("locale", "").replace("_", "-").split("-")[0].lower()
    return tongue if tongue in locales else locale


def _bought(row: Mapping[str, str]) -> Bought | Refusal | None:
    """What a row stands on where it is no consent; None for a consent."""
    basis = row.get("basis", "").lower()
    if basis in {"", "consent"}:
        return None
    if basis not in set(Ground):
        return Refusal.NO_BASIS
    if not row.get("bought") or not row.get("objecting"):
        return Refusal.NO_PURCHASE
    if row.get("similar", "").lower() != "yes":
        return Refusal.NOT_SIMILAR
    return Bought(Ground(basis), row["bought"], row["objecting"])


def read_bars(file: BinaryIO) -> Iterator[Barred | Refused]:
    """The rows of suppressions: address and reason. Raises InvalidInputError (field "suppressions")."""
    for number, row in _rows(file, "suppressions", ("address",)):
        address = _address(row["address"])
        if address is None:
            yield Refused(number, Refusal.WRONG_ADDRESS)
        else:
            yield Barred(number, address, addresses.scrub(row.get("reason", "")))


def _rows(file: BinaryIO, name: str, needed: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """(line as a spreadsheet counts, values by heading), headings in lower case, empty lines left out."""
    try:
        with _text(file) as text:
            first = text.readline()
            reader = csv.reader(chain([first], text), delimiter=max(",;\t|", key=first.count), strict=True)
            heading = [cell.strip().lower() for cell in next(reader, [])]
            missing = [column for column in needed if column not in heading]
            if missing:
                raise InvalidInputError(f"The heading line lacks: {', '.join(missing)}. Nothing was kept.", name)
            for number, cells in enumerate(reader, start=2):
                if number > MOST_ROWS + 1:
                    raise InvalidInputError(f"More than {MOST_ROWS:,} rows. Split the file; nothing was kept.", name)
                if any(cell.strip() for cell in cells):
                    values = [cell.strip()[:_LONGEST_FIELD] for cell in cells]
                    yield number, dict(zip(heading, values + [""] * (len(heading) - len(values)), strict=False))
    except UnicodeDecodeError:
        raise InvalidInputError("This file is not UTF-8. Save it as “CSV UTF-8” and choose it again.", name) from None
    except csv.Error:
        raise InvalidInputError("This file is not well-formed CSV: a quote may be left open.", name) from None


@contextmanager
def _text(file: BinaryIO) -> Iterator[io.TextIOWrapper]:
    """The file from its beginning, as text; it stays open for whoever opened it."""
    file.seek(0)
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    try:
        yield text
    finally:
        text.detach()


def _address(text: str) -> addresses.Address | None:
    try:
        return addresses.parse(text)
    except InvalidInputError:
        return None


def _instant(text: str) -> int | None:
    """UTC microseconds of an ISO 8601 time; one without a zone is taken as UTC."""
    try:
        moment = datetime.fromisoformat(text)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000_000)
    except (ValueError, OverflowError):
        return None
