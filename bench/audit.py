"""`python -m bench.audit`: sealing, verifying, proving and searching the log, each beside the least it could cost.

Sealing: entries such as a campaign leaves wait in the queue, and the product's own sealer takes them: canonical bytes,
leaves, tree, tiles, queue, checkpoint, signature, file. `seal_ratio` is its rate to bare hashlib over the very same
bytes, a leaf each and nothing else. Verifying: the offline verifier's tree over the bundles of an export of those
entries, up to its root, to bare hashlib on the same bytes (`verify_ratio`); `told_per_s`, `told_ratio`: the whole
command, which also unpacks the export, compares its manifest and retells what the entries say.

Then a log of a million entries (`--entries`; ten million with `--large`): the median of proofs that an entry is in it
and that it grew from an earlier size, and of an officer's searches for a page of 50, each as a ratio to an index-only
scan of as many rows through the same driver. Both databases; PostgreSQL keeps what it commits. Runs are repeated and
alternate with their yardsticks; the spread is the widest distance of two, as a share of the median.
"""

import argparse
import hashlib
import random
import statistics
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from sqlalchemy import select, text

from bench.servers import durable_postgresql, folder
from outreach.config import Settings
from outreach.domain.actors import CONSOLE
from outreach.services.context import Context, open_context
from outreach.services.exports.make import make_export
from outreach.services.exports.wanted import Wanted, What
from outreach.services.officer.search import search_entries
from outreach.services.seal import seal
from outreach.services.transparency import proofs
from outreach.store.audit import Entry, record
from outreach.store.audit_log import ENTRY_COLUMNS, stored_bytes
from outreach.store.log_search import Search
from outreach.store.migrate import upgrade
from outreach.store.schema.audit import audit_entry
from outreach.verifier import outreach_verify
from tests.postgresql import Cluster

_SLICE = 5000
_ASKED = 300
_PAGE = 50
_PEOPLE = 20_000


@dataclass
class Rates:
    """Entries a second, one figure a run: the product's, and bare hashlib's on the same bytes."""

    ours: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)

    @property
    def ratio(self) -> float:
        return statistics.median(self.ours) / statistics.median(self.bare)

    @property
    def spread(self) -> float:
        return max(_spread(self.ours), _spread(self.bare))


@dataclass
class Latencies:
    """Microseconds: the median of each run's questions, and of the index-only scan between them."""

    asked: dict[str, list[float]] = field(default_factory=dict)
    scan: list[float] = field(default_factory=list)

    def ratio(self, name: str) -> float:
        return statistics.median(self.asked[name]) / statistics.median(self.scan)

    @property
    def spread(self) -> float:
        return max(_spread(one) for one in (self.scan, *self.asked.values()))


Opening = Callable[[], AbstractContextManager[Context]]


def write(ctx: Context, count: int, people: int) -> None:
    """`count` entries that wait to be sealed: a consent of each of `people`, then round after round a mail to each."""
    dice = random.Random(count)  # noqa: S311  the same entries every time
    refs = [dice.randbytes(16) for _ in range(people)]
    topic = dice.randbytes(16)
    consent = {"from": "none", "to": "granted", "text": dice.randbytes(16).hex(), "list": "spring"}
    body = {"state": "sent", "attempt": 1, "code": 250, "relay": "main"}
    campaigns = [dice.randbytes(16) for _ in range(count // people + 1)]
    for start in range(0, count, _SLICE):
        entries = []
        for number in range(start, min(start + _SLICE, count)):
            about = {"contact": refs[number % people], "topic": topic}
            if number < people:
                entries.append(Entry(kind="consent.imported", actor="engine", body=consent, **about))
            else:
                about |= {"campaign": campaigns[number // people], "message": dice.randbytes(16)}
                entries.append(Entry(kind="message.sent", actor="engine", body=body, **about))
        with ctx.db.transaction() as conn:
            record(conn, ctx.db.now(conn), *entries)


def sealed_per_second(ctx: Context, count: int) -> float:
    began, done = time.perf_counter(), 0
    while sealed := seal(ctx, 1):
        done += sealed.count
    assert done == count
    return done / (time.perf_counter() - began)


def bare_per_second(octets: Sequence[bytes]) -> float:
    """Leaf hashes alone, a call of hashlib each."""
    began = time.perf_counter()
    for entry in octets:
        hashlib.sha256(b"\x00" + entry).digest()
    return len(octets) / (time.perf_counter() - began)


def measure_sealing(store: Opening, count: int, repeats: int) -> Rates:
    rates = Rates()
    for _ in range(repeats):
        with store() as ctx:
            write(ctx, count, count // 2)
            _settle(ctx)
            octets = _octets(ctx)
            rates.bare.append(bare_per_second(octets))
            rates.ours.append(sealed_per_second(ctx, count))
            print(f"  sealed {rates.ours[-1]:,.0f}/s, bare hashlib {rates.bare[-1]:,.0f}/s", flush=True)
    return rates


def measure_verifying(store: Opening, count: int, repeats: int) -> tuple[Rates, float]:
    """The hash part beside bare hashlib, and entries a second of the whole command, the story included."""
    rates = Rates()
    whole: list[float] = []
    with store() as ctx, folder() as place:
        write(ctx, count, count // 2)
        while seal(ctx, 1):
            pass
        octets = _octets(ctx)
        path = place / "export.zip"
        wanted = Wanted(what=What.WHOLE)
        with path.open("wb") as file:
            file.writelines(make_export(ctx, CONSOLE, wanted, "The measurement of the verifier").octets)
        bundles = _bundles(path)
        for _ in range(repeats):
            rates.bare.append(bare_per_second(octets))
            rates.ours.append(hashed_per_second(bundles, count))
            began = time.perf_counter()
            report = outreach_verify.verify(str(path))
            whole.append(count / (time.perf_counter() - began))
            assert report.code != 1, list(outreach_verify.lines_of(report))[:5]
            print(f"  verified {rates.ours[-1]:,.0f}/s, bare hashlib {rates.bare[-1]:,.0f}/s", flush=True)
    return rates, statistics.median(whole)


def hashed_per_second(bundles: Sequence[bytes], count: int) -> float:
    """The verifier's own tree over the entries of an export: bundles taken apart, leaves, nodes, root."""
    began, size = time.perf_counter(), 0
    edge: list[bytes] = []
    for bundle in bundles:
        size = outreach_verify.extend(edge, size, outreach_verify.leaf_hashes(outreach_verify.entries_of(bundle)))
    outreach_verify.root_of(edge)
    assert size >= count
    return size / (time.perf_counter() - began)


def _bundles(path: Path) -> list[bytes]:
    with zipfile.ZipFile(path) as export:
        return [export.read(name) for name in export.namelist() if name.startswith("tile/entries/")]


def measure_asking(ctx: Context, count: int, repeats: int) -> Latencies:
    found = Latencies()
    began = time.perf_counter()
    write(ctx, count, _PEOPLE)
    while seal(ctx, 1):
        pass
    _settle(ctx)
    print(f"  {count:,} entries sealed in {time.perf_counter() - began:.0f} s", flush=True)
    with ctx.db.reading() as conn:
        contacts = conn.execute(select(audit_entry.c.contact).distinct().limit(_ASKED)).scalars().all()
        campaigns = conn.execute(select(audit_entry.c.campaign).distinct()).scalars().all()
    dice = random.Random(7)  # noqa: S311  the same questions every time
    places = [dice.randrange(count) for _ in range(_ASKED)]

    def include(number: int) -> object:
        with ctx.db.reading() as conn:
            return proofs.inclusion(conn, places[number], count)

    def continue_(number: int) -> object:
        with ctx.db.reading() as conn:
            return proofs.consistency(conn, places[number] + 1, count)

    def look(search: Search) -> object:
        return search_entries(ctx, CONSOLE, search, limit=_PAGE)

    asked: dict[str, Callable[[int], object]] = {
        "inclusion": include,
        "consistency": continue_,
        "contact": lambda number: look(Search(contact=contacts[number % len(contacts)])),
        "campaign": lambda number: look(Search(campaign=campaigns[number % len(campaigns)])),
        "newest": lambda _: look(Search()),
    }
    for _ in range(repeats):
        for name, ask in asked.items():
            found.asked.setdefault(name, []).append(_median(ask))
            found.scan.append(_median(lambda n: _scan(ctx, contacts[n % len(contacts)])))
    for name, runs in found.asked.items():
        print(f"  {name} {statistics.median(runs):,.0f} µs, {found.ratio(name):.1f} index-only scans", flush=True)
    return found


def _scan(ctx: Context, contact: bytes) -> object:
    """A page of index entries, the table itself never touched."""
    query = "SELECT contact FROM audit_entry WHERE contact >= :contact ORDER BY contact LIMIT :page"
    with ctx.db.reading() as conn:
        return conn.execute(text(query), {"contact": contact, "page": _PAGE}).all()


def _median(ask: Callable[[int], object]) -> float:
    """Microseconds, over _ASKED questions after a warm-up."""
    for number in range(_ASKED // 10):
        ask(number)
    times = []
    for number in range(_ASKED):
        began = time.perf_counter()
        ask(number)
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1e6


def _octets(ctx: Context) -> list[bytes]:
    with ctx.db.reading() as conn:
        return [stored_bytes(row) for row in conn.execute(select(*ENTRY_COLUMNS).order_by(audit_entry.c.id))]


def _settle(ctx: Context) -> None:
    """What a living database does in quiet moments, so that no run pays for the one before."""
    with ctx.db.engine.connect() as conn:
        if ctx.db.is_sqlite:
            conn.exec_driver_sql("COMMIT")
            conn.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
            conn.exec_driver_sql("BEGIN")
        else:
            conn.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM ANALYZE"))


def _spread(runs: Sequence[float]) -> float:
    return (max(runs) - min(runs)) / statistics.median(runs)


@contextmanager
def _fresh(server: Cluster | None) -> Iterator[Context]:
    """A migrated store without a row, on SQLite where no server is given."""
    with folder() as place:
        name = server.create() if server else ""
        url = server.url(name) if server else f"sqlite:///{place / 'bench.db'}"
        ctx = open_context(Settings(instance=place, database_url=url))
        upgrade(ctx.db)
        try:
            yield ctx
        finally:
            ctx.db.dispose()
            if server:
                server.drop(name)


def main() -> None:
    arguments = argparse.ArgumentParser(description="Sealing, verifying, proving and searching the log.")
    arguments.add_argument("--batch", type=int, default=200_000, help="entries sealed and verified in each run")
    arguments.add_argument("--entries", type=int, default=1_000_000, help="size of the log that is asked")
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--large", action="store_true", help="ask a log of ten million, PostgreSQL alone")
    chosen = arguments.parse_args()
    with durable_postgresql() as server:
        if chosen.large:
            with _fresh(server) as ctx:
                large = measure_asking(ctx, 10_000_000, chosen.repeats)
            print("audit_large " + _asked(large))
            return
        figures = []
        for name, store in (("PostgreSQL", partial(_fresh, server)), ("SQLite", partial(_fresh, None))):
            print(name, flush=True)
            sealing = measure_sealing(store, chosen.batch, chosen.repeats)
            with store() as ctx:
                figures.append((sealing, measure_asking(ctx, chosen.entries, chosen.repeats)))
        verifying, told = measure_verifying(partial(_fresh, None), chosen.batch, chosen.repeats)
    whole = told / statistics.median(verifying.bare)
    print(f"{_report(figures, verifying)} told_per_s={told:.0f} told_ratio={whole:.3f}")


def _report(figures: Sequence[tuple[Rates, Latencies]], verifying: Rates) -> str:
    (pg, pg_asked), (lite, lite_asked) = figures
    parts = [
        f"seal_per_s={statistics.median(pg.ours):.0f} verify_ratio={verifying.ratio:.2f}",
        f"seal_per_s_sqlite={statistics.median(lite.ours):.0f}",
        f"seal_ratio={pg.ratio:.3f} seal_ratio_sqlite={lite.ratio:.3f}",
        f"bare_per_s={statistics.median(pg.bare):.0f} verify_per_s={statistics.median(verifying.ours):.0f}",
        _asked(pg_asked),
        _asked(lite_asked, "_sqlite"),
        f"spread={max(one.spread for one in (pg, lite, verifying)):.2f}",
        f"spread_asked={max(pg_asked.spread, lite_asked.spread):.2f}",
    ]
    return "audit " + " ".join(parts)


def _asked(found: Latencies, where: str = "") -> str:
    """Proofs and searches in index-only scans; the scan itself in microseconds."""
    ratios = [f"{name}{where}={found.ratio(name):.1f}" for name in found.asked]
    return " ".join([*ratios, f"scan_us{where}={statistics.median(found.scan):.0f}"])


if __name__ == "__main__":
    main()
