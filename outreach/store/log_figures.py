"""Adds the sealed log up, day by day, as it grows; and reads the sums, which cost the same however long the log is."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, insert, select, text, update

from outreach.store.schema.audit import checkpoint_note
from outreach.store.schema.desk import log_counted, log_figure

SLICE = 20_000
DAY = 86_400_000_000
COUNTED = (
    "message.sent",
    "message.withheld",
    "message.failed",
    "message.unknown",
    "consent.confirmed",
    "consent.imported",
    "consent.withdrawn",
    "consent.complained",
)
"""Kinds of entries that are added up, under their own names."""

COMPLAINTS = "complaints"
"""People who complained, each once a day, whatever they had agreed to."""

EXCEEDED = "promise.exceeded"
"""Mails of campaigns that went beyond the promise in the text their reader agreed to. There should be none."""

PASSING = "passing"
"""Reason of an unknown outcome that was not the end: a confirmation that is simply sent once more."""

RULED = "ruled"
"""Reason of a mail of which an officer said that it arrived, its outcome having been unknown."""


class Key(NamedTuple):
    """What a figure counts. `day`: days since 1970, UTC; `topic`: a ref, or empty; `provider`: empty for nobody's."""

    day: int
    kind: str
    topic: bytes
    reason: str
    provider: str


def counted(conn: Connection) -> int:
    """Up to which size of the log everything is added up."""
    return int(conn.execute(select(func.coalesce(func.max(log_counted.c.size), 0))).scalar_one())


def next_size(conn: Connection, start: int) -> int | None:
    """The signed checkpoint to count up to next, at most SLICE entries on unless the next one is farther."""
    size = checkpoint_note.c.size
    near = select(func.max(size)).where(size > start, size <= start + SLICE)
    found = conn.execute(near).scalar_one() or conn.execute(select(func.min(size)).where(size > start)).scalar_one()
    return None if found is None else int(found)


def read_slice(conn: Connection, start: int, end: int) -> Counter[Key]:
    """What entries `start` to `end` - 1 add up to."""
    found: Counter[Key] = Counter()
    for row in conn.execute(_ENTRIES, {"start": start, "end": end}):
        found[Key(row.day, row.kind, row.topic or b"", _reason(row.kind, row.body), row.provider or "")] += row.n
    for row in conn.execute(_COMPLAINTS, {"start": start, "end": end}):
        found[Key(row.day, COMPLAINTS, b"", "", row.provider or "")] += row.n
    for row in conn.execute(_EXCEEDED, {"start": start, "end": end}):
        found[Key(row.day, EXCEEDED, row.topic or b"", "", "")] += row.n
    return found


def add(conn: Connection, start: int, end: int, found: Counter[Key]) -> bool:
    """Add a slice to the sums. False, and nothing is written, when somebody else has added it meanwhile."""
    if start == 0 and conn.execute(select(log_counted.c.id)).first() is None:
        conn.execute(insert(log_counted).values(id=1, size=0))
    moved = conn.execute(update(log_counted).where(log_counted.c.size == start).values(size=end))
    if moved.rowcount != 1:
        return False
    rows = [{**key._asdict(), "n": n} for key, n in found.items()]
    if rows:
        conn.execute(_ADD, rows)
    return True


def sums(conn: Connection, since: int, until: int, kinds: Iterable[str]) -> Iterator[tuple[str, bytes, str, str, int]]:
    """(kind, topic, reason, provider, how many) over the days `since` to `until` - 1."""
    figure = log_figure.c
    grouped = (figure.kind, figure.topic, figure.reason, figure.provider)
    query = select(*grouped, func.sum(figure.n)).where(figure.day >= since, figure.day < until)
    for kind, topic, reason, provider, n in conn.execute(query.where(figure.kind.in_(list(kinds))).group_by(*grouped)):
        yield kind, topic, reason, provider, int(n)


def first_day(conn: Connection) -> int | None:
    """The earliest day of which anything is counted."""
    found = conn.execute(select(func.min(log_figure.c.day))).scalar_one()
    return None if found is None else int(found)


def _reason(kind: str, body: str | None) -> str:
    if body is None:
        return ""
    said: Any = json.loads(body)
    if "ruled" in said and kind == "message.sent":
        return RULED
    return said.get("reason") or (PASSING if kind == "message.unknown" else "")


_SEALED = "FROM audit_leaf l JOIN audit_entry e ON e.id = l.entry"
_WITHIN = "WHERE l.position >= :start AND l.position < :end"
_ON = f"e.at / {DAY} AS day"
_KINDS = ", ".join(f"'{kind}'" for kind in COUNTED)

# Bodies of messages are few for many entries, so they are read once each.
_ENTRIES = text(f"""
SELECT {_ON}, e.kind, e.topic, c.provider, CASE WHEN e.kind LIKE 'message.%' THEN e.body END AS body, COUNT(*) AS n
{_SEALED} LEFT JOIN contact c ON c.ref = e.contact
{_WITHIN} AND e.kind IN ({_KINDS})
GROUP BY 1, 2, 3, 4, 5""")

_COMPLAINTS = text(f"""
SELECT {_ON}, c.provider, COUNT(DISTINCT e.contact) AS n
{_SEALED} LEFT JOIN contact c ON c.ref = e.contact
{_WITHIN} AND e.kind = 'consent.complained'
GROUP BY 1, 2""")

# By the ledger that the caps are decided by: what the mailbox had of the topic when this mail was accepted.
_EXCEEDED = text(f"""
SELECT {_ON}, e.topic, COUNT(*) AS n
{_SEALED}
JOIN message m ON m.ref = e.message
JOIN consent k ON k.contact = m.contact AND k.topic = m.topic
{_WITHIN} AND e.kind = 'message.sent' AND m.origin = 'campaign' AND k.cap_n IS NOT NULL AND k.cap_n < (
  SELECT COUNT(*) FROM message x WHERE x.mailbox = m.mailbox AND x.topic = m.topic AND x.origin = 'campaign'
  AND x.state IN ('sent', 'unknown') AND x.counted <= m.counted
  AND x.counted > m.counted - CAST(k.cap_window AS BIGINT) * 1000000)
GROUP BY 1, 2""")

_ADD = text("""
INSERT INTO log_figure (day, kind, topic, reason, provider, n) VALUES (:day, :kind, :topic, :reason, :provider, :n)
ON CONFLICT (day, kind, topic, reason, provider) DO UPDATE SET n = log_figure.n + excluded.n""")
