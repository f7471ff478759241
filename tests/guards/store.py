"""The store as a whole: all its rows, to compare before and after, and what in it belongs to people alone."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqlalchemy import select

from outreach.services.context import Context
from outreach.store.boxes import ContactKeys
from outreach.store.schema.people import contact

Rows = dict[str, Counter[tuple[Any, ...]]]

_PASSES = {("staff_session", "seen"), ("member_session", "seen")}


class Watch:
    """Reads every row of a SQLite store, and only when something was committed since."""

    def __init__(self, path: Path) -> None:
        self._raw = sqlite3.connect(path)
        self._version = self._data_version()
        self.rows = self._read()

    def close(self) -> None:
        self._raw.close()

    def changes(self) -> list[str]:
        """What appeared or vanished since the last call, as `+table` and `-table`, a session's last-seen aside.

        Audit entries of a `read` kind with their places in the queue are `+read`, observations `+observation`.
        """
        version = self._data_version()
        if version == self._version:
            return []
        before, self.rows, self._version = self.rows, self._read(), version
        return sorted(_named(before, self.rows))

    def _data_version(self) -> int:
        return int(self._raw.execute("PRAGMA data_version").fetchone()[0])

    def _read(self) -> Rows:
        tables = [name for (name,) in self._raw.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {table: Counter(self._raw.execute(self._query(table))) for table in tables}

    def _query(self, table: str) -> str:
        columns = [row[1] for row in self._raw.execute(f"PRAGMA table_info({table})")]
        return "SELECT {} FROM {}".format(", ".join(f'"{c}"' for c in columns if (table, c) not in _PASSES), table)


def _named(before: Rows, after: Rows) -> Iterator[str]:
    read = {row[0] for row in after["audit_entry"] - before["audit_entry"] if _is_reading(row)}
    for table in after:
        for row in after[table] - before[table]:
            is_read = (table == "audit_entry" and row[0] in read) or (table == "audit_pending" and row[0] in read)
            yield "+read" if is_read else f"+{table}"
        for _ in before[table] - after[table]:
            yield f"-{table}"


def _is_reading(entry: tuple[Any, ...]) -> bool:
    return any(isinstance(value, str) and value.endswith(".read") for value in entry)


class Private:
    """What must stand nowhere: every address we ever mailed or hold, and every name."""

    def __init__(self, ctx: Context, mailed: set[str]) -> None:
        with ctx.db.reading() as conn:
            rows = conn.execute(select(contact.c.id, contact.c.address_box, contact.c.fields_box)).all()
            keys = ContactKeys(ctx.keyring, conn)
            keys.load(row.id for row in rows)
            held = [keys.text(row.id, row.address_box) for row in rows]
            fields = [keys.facts(row.id, row.fields_box) for row in rows]
        self.addresses = {address for address in held if address} | mailed
        self.names = {str(has["name"]) for has in fields if has.get("name")}

    def found_in(self, text: str) -> list[str]:
        """Which of them occur in `text`, plainly, percent-encoded, or as JSON writes them."""
        plain = text.casefold().replace("%40", "@")
        looked_for = self.names | self.addresses if "@" in plain else self.names
        return sorted(
            value
            for value in looked_for
            if value.casefold() in plain or (not value.isascii() and json.dumps(value)[1:-1].casefold() in plain)
        )
