"""A DNS made of a table, for tests of what asks it."""

from collections.abc import Mapping, Sequence

from outreach.mail.resolver import DnsError


class Table:
    """(name in lower case, kind) → records. A name in `failing` has no answer now. `asked`: the questions."""

    def __init__(
        self, records: Mapping[tuple[str, str], Sequence[str]] | None = None, failing: frozenset[str] = frozenset()
    ) -> None:
        self.records = dict(records or {})
        self.failing = failing
        self.asked: list[tuple[str, str]] = []

    def look_up(self, name: str, kind: str) -> Sequence[str]:
        key = name.lower().rstrip("."), kind
        self.asked.append(key)
        if key[0] in self.failing:
            raise DnsError
        return self.records.get(key, [])
