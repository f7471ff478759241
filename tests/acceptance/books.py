"""The store, read directly and only to check: has work come to rest, did anything change, and what does it say?"""

import hashlib
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, create_engine, inspect, text

from outreach.config import Settings, load_keyring
from outreach.store.boxes import ContactKeys
from tests.acceptance.postman import wait_for
from tests.acceptance.product import DAY, HOUR, Product

Snapshot = dict[str, Counter[bytes]]

_BUSY = """
SELECT (SELECT COUNT(*) FROM message WHERE state = 'attempted'
          OR state IN ('planned', 'waiting') AND due <= :now)
     + (SELECT COUNT(*) FROM campaign WHERE state = 'scheduled' AND due <= :now
          OR state = 'sending' AND (planned IS NULL OR NOT EXISTS (SELECT 1 FROM message m
             WHERE m.campaign = campaign.id AND m.state IN ('planned', 'attempted', 'waiting'))))
     + (SELECT COUNT(*) FROM request WHERE settled IS NULL AND not_before <= :now)
     + (SELECT COUNT(*) FROM audit_pending)
"""
_UNTOLD = """
SELECT (SELECT COUNT(*) FROM checkpoint WHERE size > (SELECT COALESCE(MAX(size), 0) FROM log_counted))
     + (SELECT COUNT(*) FROM checkpoint WHERE size > (SELECT COALESCE(MAX(size), 0) FROM publication)
          AND NOT EXISTS (SELECT 1 FROM publication WHERE at > :now - :hour))
"""
_OLD = """
SELECT (SELECT COUNT(*) FROM confirmation WHERE expires <= :now
          AND (answered IS NULL OR answer = 'declined' AND evidence_box IS NOT NULL))
     + (SELECT COUNT(*) FROM request WHERE settled < :now - 7 * :day)
     + (SELECT COUNT(*) FROM mail_budget WHERE at < :now - :day)
"""
_MESSAGES = """
SELECT m.id, m.ref, m.origin, m.state, m.reason, m.contact, c.address_key, c.address_box, p.name AS campaign
FROM message m JOIN contact c ON c.id = m.contact LEFT JOIN campaign p ON p.id = m.campaign
WHERE m.origin IN ('campaign', 'confirmation') ORDER BY m.id
"""
_ENTRIES = "SELECT message, kind FROM audit_entry WHERE kind LIKE 'message.%' AND message IS NOT NULL ORDER BY id"
_SETTLED = ("message.sent", "message.withheld", "message.failed", "message.unknown")


@dataclass(frozen=True)
class Line:
    """A message as the table has it. `to`: the address, decrypted; empty when its owner was erased."""

    ref: bytes
    origin: str
    state: str
    reason: str
    campaign: str
    to: str


@dataclass(frozen=True)
class Books:
    """One installation's store."""

    product: Product

    @contextmanager
    def _open(self) -> Iterator[Connection]:
        url = self.product.database_url.replace("postgresql://", "postgresql+psycopg://")
        if not url:
            url = f"sqlite:///file:{self.product.instance / 'outreach.db'}?mode=ro&uri=true"
        engine = create_engine(url)
        try:
            with engine.connect() as connection:
                yield connection
        finally:
            engine.dispose()

    def _count(self, query: str) -> int:
        now = int((time.time() + self.product.shift) * 1_000_000)
        params = {"now": now, "day": DAY * 1_000_000, "hour": HOUR * 1_000_000}
        with self._open() as connection:
            return int(connection.execute(text(query), params).scalar_one())

    def rest(self, *, seconds: float = 300) -> None:
        """Wait until nothing is due, nothing is under way and everything is sealed, twice in a row."""
        looks = [1]

        def is_quiet() -> bool:
            looks.append(self._count(_BUSY))
            return not any(looks[-2:])

        wait_for("the product to come to rest", is_quiet, seconds=seconds, every=0.2)

    def still(self) -> Snapshot:
        """A snapshot once nothing moves any more, and what is past its time is gone."""
        wait_for("what is old to be forgotten", lambda: not self._count(_OLD))
        self.rest()
        wait_for("the log to be published and added up", lambda: not self._count(_UNTOLD), seconds=60)
        taken = [self.snapshot()]

        def is_still() -> bool:
            taken.append(self.snapshot())
            return taken[-1] == taken[-2]

        wait_for("the product to stay at rest", is_still, seconds=60)
        return taken[-1]

    def snapshot(self) -> Snapshot:
        """Every row of every table, hashed; left out are a session's last-seen, entries that tell of reading, and
        observations: that a link was touched is all a GET may leave (promise 1).
        """
        with self._open() as connection:
            names = [name for name in inspect(connection).get_table_names() if name != "observation"]
            return {name: self._table(connection, name) for name in names}

    def _table(self, connection: Connection, name: str) -> Counter[bytes]:
        rows = connection.execute(text(f'SELECT * FROM "{name}"')).mappings()
        found: Counter[bytes] = Counter()
        for row in rows:
            if name == "audit_entry" and str(row["kind"]).endswith(".read"):
                continue
            values = [value for key, value in row.items() if (name, key) != ("staff_session", "seen")]
            found[hashlib.sha256(repr(values).encode()).digest()] += 1
        return found

    def lines(self) -> list[Line]:
        """Every campaign mail and confirmation, with its address read by the installation's own keys."""
        keyring = load_keyring(Settings(instance=self.product.instance))
        with self._open() as connection:
            keys = ContactKeys(keyring, connection)
            rows = connection.execute(text(_MESSAGES)).all()
            keys.load({row.contact for row in rows})
            return [_line(keys, row) for row in rows]

    def settlements(self) -> dict[bytes, list[str]]:
        """By message ref, the final states its audit entries tell, in order."""
        told: dict[bytes, list[str]] = {}
        with self._open() as connection:
            for row in connection.execute(text(_ENTRIES)):
                if row.kind in _SETTLED:
                    told.setdefault(bytes(row.message), []).append(row.kind.partition(".")[2])
        return told


def _line(keys: ContactKeys, row: Row[Any]) -> Line:
    to = keys.text(row.contact, row.address_box) or ""
    return Line(bytes(row.ref), row.origin, row.state, row.reason or "", row.campaign or "", to)


def differing(before: Snapshot, after: Snapshot) -> Counter[str]:
    """By table, how many rows came, went or changed."""
    empty: Counter[bytes] = Counter()
    changed: Counter[str] = Counter()
    for name in before.keys() | after.keys():
        old, new = before.get(name, empty), after.get(name, empty)
        changed[name] = max((old - new).total(), (new - old).total())
    return +changed
