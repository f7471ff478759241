"""`python -m bench.imports`: bringing people from another system, against bare inserts of the very same rows.

A CSV file of people with evidence, each with a mailbox of their own and two fields, is rehearsed and then imported by
the product's own service into an empty store: parsed, keyed, boxed, judged, stored with consents, events and audit
entries, a transaction a slice. The finished rows are then put, as they are, into an equal empty store, by COPY on
PostgreSQL and the driver's executemany on SQLite, in transactions of as many people: what the tables, their indexes and
the disk cost whoever fills them. The runs alternate, each on a fresh copy; files and finished rows are in memory.

Prints `imports ratio=… ratio_sqlite=… rows_per_s=… rows_per_s_sqlite=…`: medians of `--repeats` runs of `--rows` rows;
`rehearsed_per_s`: the same for the rehearsal before it, on PostgreSQL; `slice_ms` and `slice_ms_sqlite`: the longest
any transaction of an import was open; `spread`: the widest distance between two runs of one kind over their median.
"""

import argparse
import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import Table, event, select

from bench.servers import durable_postgresql, folder
from outreach.config import Settings
from outreach.domain.actors import CONSOLE
from outreach.services.context import Context, open_context
from outreach.services.import_contacts import Import, apply_import, rehearse_import
from outreach.store.bulk import insert_rows
from outreach.store.migrate import upgrade
from outreach.store.schema.audit import audit_entry, audit_pending
from outreach.store.schema.consents import consent, consent_event
from outreach.store.schema.people import contact, contact_key, mailbox
from tests.factories import World

_FILLED = (mailbox, contact, contact_key, consent, consent_event, audit_entry, audit_pending)
_SLICE = 500
_DOMAINS = ("gmail.com", "example.org", "outlook.com", "northfield.example", "yahoo.com")

Copies = Callable[[], Context]
"""Each call opens a fresh copy of a store with one topic and nobody in it."""


@dataclass
class Figures:
    """Seconds of each run by what was run, and of the longest transaction."""

    rows: int
    imported: list[float] = field(default_factory=list)
    rehearsed: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    longest: float = 0.0

    @property
    def ratio(self) -> float:
        return statistics.median(self.imported) / statistics.median(self.bare)

    @property
    def spread(self) -> float:
        kinds = (self.imported, self.bare)
        return max((max(kind) - min(kind)) / statistics.median(kind) for kind in kinds)

    def per_second(self, seconds: Sequence[float]) -> int:
        return round(self.rows / statistics.median(seconds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    people = _file(options.rows)
    with folder() as place, on_postgresql(place) as copies:
        postgresql = measure("PostgreSQL", copies, people, options.rows, options.repeats)
    with folder() as place, on_sqlite(place) as copies:
        sqlite = measure("SQLite", copies, people, options.rows, options.repeats)
    print(
        f"imports ratio={postgresql.ratio:.2f} ratio_sqlite={sqlite.ratio:.2f} "
        f"rows_per_s={postgresql.per_second(postgresql.imported)} "
        f"rows_per_s_sqlite={sqlite.per_second(sqlite.imported)} "
        f"rehearsed_per_s={postgresql.per_second(postgresql.rehearsed)} "
        f"slice_ms={postgresql.longest * 1000:.0f} slice_ms_sqlite={sqlite.longest * 1000:.0f} "
        f"spread={postgresql.spread:.2f} spread_sqlite={sqlite.spread:.2f}"
    )


@contextmanager
def on_postgresql(place: Path) -> Iterator[Copies]:
    """Copies of a template database on a server that keeps what it commits."""
    with durable_postgresql() as server:
        template = server.create()
        _fill(_open(place, server.url(template)))
        yield lambda: _open(place, server.url(server.create(template)))


@contextmanager
def on_sqlite(place: Path) -> Iterator[Copies]:
    """Copies of a file."""
    base, copy = place / "base.db", place / "copy.db"
    _fill(_open(place, f"sqlite:///{base}"))

    def fresh() -> Context:
        for left in place.glob("copy.db*"):
            left.unlink()
        shutil.copy(base, copy)
        return _open(place, f"sqlite:///{copy}")

    yield fresh


def measure(name: str, copies: Copies, people: bytes, rows: int, repeats: int) -> Figures:
    """Import `people` into a copy, put the finished rows into another, `repeats` times."""
    figures = Figures(rows)
    for _ in range(repeats):
        ctx = copies()
        files = Import(people, no_suppressions=True)
        figures.rehearsed.append(_timed(lambda: rehearse_import(ctx, CONSOLE, files)))  # noqa: B023  called here
        figures.longest = max(figures.longest, *_transactions(ctx, figures, files))
        finished = _finished(ctx)
        ctx.db.dispose()
        if len(finished[contact]) != rows:
            raise RuntimeError(f"{len(finished[contact])} people of {rows} came in")
        ctx = copies()
        figures.bare.append(_timed(lambda: _put(ctx, finished)))  # noqa: B023  called here
        ctx.db.dispose()
        print(
            f"  {name}: {rows:,} rows rehearsed in {figures.rehearsed[-1]:.2f} s, imported in "
            f"{figures.imported[-1]:.2f} s, put bare in {figures.bare[-1]:.2f} s",
            flush=True,
        )
    return figures


def _timed(act: Callable[[], object]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def _transactions(ctx: Context, figures: Figures, files: Import) -> list[float]:
    """Import, and return how long each transaction was open, in seconds."""
    begun, seconds = [0.0], []

    def begin(_connection: Any) -> None:
        begun[0] = time.perf_counter()

    def commit(_connection: Any) -> None:
        seconds.append(time.perf_counter() - begun[0])

    event.listen(ctx.db.engine, "begin", begin)
    event.listen(ctx.db.engine, "commit", commit)
    figures.imported.append(_timed(lambda: apply_import(ctx, CONSOLE, files)))
    return seconds[1:]  # the first only looks whether these files were rehearsed


def _finished(ctx: Context) -> dict[Table, list[tuple[Any, ...]]]:
    """Every row the import left, as the driver gives it, in the order of the primary key."""
    with ctx.db.reading() as conn:
        return {
            table: [tuple(row) for row in conn.execute(select(table).order_by(*table.primary_key))] for table in _FILLED
        }


def _put(ctx: Context, finished: dict[Table, list[tuple[Any, ...]]]) -> None:
    columns = {table: [column.name for column in table.c] for table in finished}
    for at in range(0, max(len(rows) for rows in finished.values()), _SLICE):
        with ctx.db.transaction() as conn:
            for table, rows in finished.items():
                insert_rows(conn, table, columns[table], rows[at : at + _SLICE])


def _file(rows: int) -> bytes:
    lines = ["address,topic,source,time,text,locale,timezone,name,town"]
    lines += [
        f"reader.{number}@{_DOMAINS[number % len(_DOMAINS)]},topic-1,spring fair,2025-03-03T10:{number % 60:02}:00Z,"
        f'"Yes, write to me about the garden",en,Europe/Stockholm,Reader {number},Northfield'
        for number in range(rows)
    ]
    return "\n".join(lines).encode()


def _open(place: Path, url: str) -> Context:
    return open_context(Settings(instance=place, database_url=url))


def _fill(ctx: Context) -> None:
    upgrade(ctx.db)
    World(ctx).topic()
    ctx.db.dispose()


if __name__ == "__main__":
    main()
