"""The corpus, read from its folder."""

import json
import re
from dataclasses import dataclass
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"
TICKET = "00112233445566778899aabbccddeeff0123456789abcdef01234567"
ADDRESS = re.compile(r"@[\w-]+(?:\.[\w-]+)+")
"""The domain of an address that is not masked."""
NOW = 1_800_000_000_000_000


@dataclass(frozen=True)
class Expected:
    """A line of expected.tsv. `text`: None where it is not compared."""

    file: str
    door: str
    kind: str
    status: str
    has_ticket: bool
    text: str | None

    @property
    def octets(self) -> bytes:
        return (CORPUS / self.file).read_bytes()


def _expected(line: str) -> Expected:
    file, door, kind, status, ticket, text = line.split("\t")
    told = None if text == "-" else json.loads(text)
    return Expected(file, door, kind, "" if status == "-" else status, ticket == "ticket", told)


REPORTS = [_expected(line) for line in (CORPUS / "expected.tsv").read_text().splitlines()[1:]]


def octets(name: str) -> bytes:
    """A file of the corpus, by its name without ending."""
    return (CORPUS / f"{name}.eml").read_bytes()
