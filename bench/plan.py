"""`python -m bench.plan`: planning a campaign against a bare INSERT of the very same rows, on both databases.

A town of a million people with five earlier mails each (`bench/town.py`) gets a promotional campaign, planned by the
product's own planner: consent, bars, two rolling caps, promises, own caps, give ratio, quiet hours, a transaction a
slice, an audit entry for each mail withheld. The rows it made are then put, already computed, from a staging table into
an equal copy of the store, in the same slices and transactions: what the table, its indexes and the disk cost whoever
fills it. `ratio` is the one to the other; `ratio_one` to the same INSERT as one single statement, which would keep the
web waiting all the while. `exponent`: the slope of planning's time over the town's size, doubly logarithmic.
`ratio_cpu` compares processor time alone.
`judge_us`: microseconds a message of the second decision, in the batches of 500 a worker decides.

Runs alternate, each on a fresh copy. `--people` sets the size, `--repeats` how often.

`--large` plans a million and then ten million once, on PostgreSQL, without copies and so without the bare INSERT: what
a row costs at either size, and the exponent between.
"""

import argparse
import math
import secrets
import shutil
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Connection, create_engine, insert, text

from bench.servers import cpu_of, durable_postgresql, folder
from bench.town import Town, fill, settle_in
from outreach.config import Settings
from outreach.pipeline.plan import plan_next
from outreach.services.context import Context, open_context
from outreach.store.decide import load_rule
from outreach.store.migrate import upgrade
from outreach.store.planning import judge_messages
from outreach.store.schema.campaigns import campaign, message
from tests.postgresql import Cluster

_COLUMNS = ", ".join(column.name for column in message.c if column.name != "id" and column.computed is None)
_BATCH, _BATCHES = 500, 60


class Store(Protocol):
    """A database that can be filled once and copied often."""

    def base(self) -> Context: ...

    def copy(self) -> Context: ...

    def stage(self, base: Context, run: Context, /) -> None:
        """Put the rows that `run` planned into the base's table `staged`, with their ids."""


class OnSqlite:
    """Copies of a file."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._base, self._copy = place / "base.db", place / "copy.db"

    def base(self) -> Context:
        return _open(self._place, f"sqlite:///{self._base}")

    def copy(self) -> Context:
        for left in self._place.glob("copy.db*"):
            left.unlink()
        shutil.copy(self._base, self._copy)
        return _open(self._place, f"sqlite:///{self._copy}")

    def stage(self, base: Context, _run: Context) -> None:
        newest = _NEWEST.replace("message", "run.message")
        with base.db.engine.connect() as conn:
            conn.exec_driver_sql("COMMIT")
            conn.exec_driver_sql(f"ATTACH '{self._copy}' AS run")
            conn.exec_driver_sql(f"CREATE TABLE staged AS SELECT id, {_COLUMNS} FROM run.message WHERE {newest}")
            conn.exec_driver_sql("CREATE UNIQUE INDEX staged_id ON staged (id)")
            conn.exec_driver_sql("DETACH run")
            conn.exec_driver_sql("BEGIN")


class OnPostgresql:
    """Copies of a template database."""

    def __init__(self, server: Cluster, place: Path) -> None:
        self._server, self._place = server, place
        self._base, self._copy = server.create(), ""

    def base(self) -> Context:
        return _open(self._place, self._server.url(self._base))

    def copy(self) -> Context:
        if self._copy:
            self._server.drop(self._copy)
        self._copy = f"t{secrets.token_hex(8)}"
        url = self._server.url("postgres").replace("postgresql://", "postgresql+psycopg://")
        engine = create_engine(url, isolation_level="AUTOCOMMIT")
        with engine.connect() as conn:
            conn.execute(text(f"CREATE DATABASE {self._copy} TEMPLATE {self._base} STRATEGY FILE_COPY"))
            conn.execute(text("CHECKPOINT"))
        engine.dispose()
        return _open(self._place, self._server.url(self._copy))

    def stage(self, base: Context, run: Context) -> None:
        with base.db.transaction() as into, run.db.reading() as outof:
            into.execute(text("CREATE TABLE staged (LIKE message)"))
            read = f"COPY (SELECT id, {_COLUMNS} FROM message WHERE {_NEWEST} ORDER BY id) TO STDOUT (FORMAT BINARY)"
            write = f"COPY staged (id, {_COLUMNS}) FROM STDIN (FORMAT BINARY)"
            with _cursor(outof).copy(read) as rows, _cursor(into).copy(write) as copy:
                for block in rows:
                    copy.write(block)
            into.execute(text("CREATE UNIQUE INDEX staged_id ON staged (id)"))


class InPlace(OnPostgresql):
    """No copies: ten million people and fifty million mails are tens of gigabytes already."""

    def copy(self) -> Context:
        return self.base()

    def drop(self) -> None:
        self._server.drop(self._base)


_NEWEST = "campaign = (SELECT MAX(campaign) FROM message)"


def _cursor(conn: Connection) -> Any:
    driver: Any = conn.connection.driver_connection
    return driver.cursor()


def _open(place: Path, url: str) -> Context:
    return open_context(Settings(instance=place, database_url=url))


@dataclass
class Figures:
    """Seconds of each run, by what was run; the longest slice; how many rows, and how many of them planned."""

    rows: int = 0
    planned: int = 0
    planner: list[float] = field(default_factory=list)
    slices: list[float] = field(default_factory=list)
    bare: list[float] = field(default_factory=list)
    planner_cpu: list[float] = field(default_factory=list)
    bare_cpu: list[float] = field(default_factory=list)
    one: list[float] = field(default_factory=list)
    judged: list[float] = field(default_factory=list)

    def ratio(self, to: Sequence[float]) -> float:
        return statistics.median(self.planner) / statistics.median(to)

    @property
    def cpu_ratio(self) -> float:
        """The same of processor time, which other work on the machine disturbs less."""
        return statistics.median(self.planner_cpu) / statistics.median(self.bare_cpu)

    @property
    def spread(self) -> float:
        """The widest distance between two runs of one kind, as a share of their median."""
        kinds = [kind for kind in (self.planner, self.bare) if kind]
        return max((max(kind) - min(kind)) / statistics.median(kind) for kind in kinds)


def measure(store: Store, people: int, repeats: int, *, bare: bool) -> Figures:
    """Fill the base of `store` with `people`, then plan copies of it `repeats` times; with `bare` compare."""
    began = time.perf_counter()
    base = store.base()
    upgrade(base.db)
    town = fill(base, people)
    base.db.dispose()
    print(f"  {people:,} people and {people * 5:,} messages in {time.perf_counter() - began:.0f} s", flush=True)
    figures = Figures()
    ends: list[int] = []
    for number in range(repeats):
        with _copied(store) as run:
            spent = _cpu(run)
            slices, ends = plan_all(run, town)
            figures.planner_cpu.append(_cpu(run) - spent)
            figures.planner.append(sum(slices))
            figures.slices += slices
            if number == 0:
                _count(run, figures)
            if number == 0 and bare:
                base = store.base()
                store.stage(base, run)
                settle_in(base)
                base.db.dispose()
            figures.judged.append(_judge(run))
        if bare:
            with _copied(store) as run:
                spent = _cpu(run)
                figures.bare.append(_insert(run, ends))
                figures.bare_cpu.append(_cpu(run) - spent)
            with _copied(store) as run:
                figures.one.append(_insert(run, [ends[0], ends[-1]]))
        print(f"  {_last(figures)}", flush=True)
    return figures


@contextmanager
def _copied(store: Store) -> Iterator[Context]:
    run = store.copy()
    yield run
    run.db.dispose()


def plan_all(run: Context, town: Town) -> tuple[list[float], list[int]]:
    """(seconds of each slice, the highest id before the first and after each)."""
    with run.db.transaction() as conn:
        now = run.db.now(conn)
        values = {"name": "Autumn sale", "topic": town.topic, "author": town.author, "kind": "promotional"}
        times = dict.fromkeys(("due", "created", "updated"), now)
        conn.execute(insert(campaign).values(ref=secrets.token_bytes(16), state="sending", **values, **times))
    ends = [_highest(run)]
    seconds: list[float] = []
    while True:
        began = time.perf_counter()
        if not plan_next(run):
            return seconds, ends
        seconds.append(time.perf_counter() - began)
        ends.append(_highest(run))


def _cpu(run: Context) -> float:
    """Seconds of processor time so far: this process, and the server's one that works for it."""
    if run.db.is_sqlite:
        return time.process_time()
    with run.db.reading() as conn:
        driver: Any = conn.connection.driver_connection
        return time.process_time() + cpu_of(driver.info.backend_pid)


def _highest(run: Context) -> int:
    with run.db.reading() as conn:
        return int(conn.execute(text("SELECT COALESCE(MAX(id), 0) FROM message")).scalar_one())


def _insert(run: Context, ends: Sequence[int]) -> float:
    """Seconds to insert the staged rows, a transaction for each pair of neighbours in `ends`."""
    query = text(
        f"INSERT INTO message ({_COLUMNS}) SELECT {_COLUMNS} FROM staged WHERE id > :after AND id <= :upto ORDER BY id"
    )
    began = time.perf_counter()
    for after, upto in pairwise(ends):
        with run.db.transaction() as conn:
            conn.execute(query, {"after": after, "upto": upto})
    return time.perf_counter() - began


def _count(run: Context, figures: Figures) -> None:
    with run.db.reading() as conn:
        rows = conn.execute(text(f"SELECT state, COUNT(*) AS n FROM message WHERE {_NEWEST} GROUP BY state")).all()
    figures.rows = sum(row.n for row in rows)
    figures.planned = sum(row.n for row in rows if row.state == "planned")


def _judge(run: Context) -> float:
    """Microseconds a message to decide again what was planned, in the order a worker takes it."""
    with run.db.transaction() as conn:
        now = run.db.now(conn)
        rule = load_rule(conn, now)
        query = text(
            f"SELECT id FROM message WHERE state = 'planned' AND {_NEWEST} AND lane LIKE '%-gmail' "
            "ORDER BY due, id LIMIT :n"
        )
        ids = list(conn.execute(query, {"n": _BATCH * _BATCHES}).scalars())
        batches = [ids[at : at + _BATCH] for at in range(0, len(ids), _BATCH)]
        for batch in batches[: len(batches) // 4]:
            judge_messages(conn, rule, batch, now)
        timed = batches[len(batches) // 4 :]
        began = time.perf_counter()
        for batch in timed:
            judge_messages(conn, rule, batch, now)
        return (time.perf_counter() - began) / sum(len(batch) for batch in timed) * 1e6


def _last(figures: Figures) -> str:
    rows = figures.rows / 1e6
    parts = [f"planned {figures.planner[-1]:.1f} s ({figures.planner[-1] / rows:.1f} µs a row)"]
    if figures.bare:
        parts += [f"bare {figures.bare[-1]:.1f} s", f"in one {figures.one[-1]:.1f} s"]
    return ", ".join([*parts, f"judged {figures.judged[-1]:.1f} µs a message"])


def _exponent(sizes: Sequence[tuple[int, float]]) -> float:
    """The least-squares slope of log seconds over log people."""
    xs, ys = [math.log(people) for people, _ in sizes], [math.log(seconds) for _, seconds in sizes]
    slope, _intercept = statistics.linear_regression(xs, ys)
    return slope


def _scale(make: Any, people: int, repeats: int) -> tuple[Figures, float, float]:
    """(figures at `people`, exponent from a tenth of it up, the same of processor time)."""
    sizes, spent = [], []
    figures = Figures()
    for size in (people // 10, people // 3, people):
        with make() as store:
            figures = measure(store, size, repeats, bare=size == people)
        sizes.append((size, statistics.median(figures.planner)))
        spent.append((size, statistics.median(figures.planner_cpu)))
    return figures, _exponent(sizes), _exponent(spent)


def main() -> None:
    arguments = argparse.ArgumentParser(description="Planning against a bare INSERT of the same rows.")
    arguments.add_argument("--people", type=int, default=1_000_000)
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--large", action="store_true", help="a million people, then ten, once each, on PostgreSQL")
    chosen = arguments.parse_args()
    with durable_postgresql() as server, folder() as place:

        @contextmanager
        def postgresql() -> Iterator[Store]:
            yield OnPostgresql(server, place)

        if chosen.large:
            print(_report_large([_plan_in_place(server, place, people) for people in _LARGE]))
            return
        print("PostgreSQL")
        pg, *exponents = _scale(postgresql, chosen.people, chosen.repeats)
    print("SQLite")
    lite, *exponents_sqlite = _scale(_on_sqlite, chosen.people, chosen.repeats)
    print(_report(pg, exponents, lite, exponents_sqlite))


_LARGE = (1_000_000, 10_000_000)


def _plan_in_place(server: Cluster, place: Path, people: int) -> Figures:
    store = InPlace(server, place)
    try:
        return measure(store, people, 1, bare=False)
    finally:
        store.drop()


def _report_large(found: Sequence[Figures]) -> str:
    """Planning ten million beside planning a million in the same run: the same of each row, or it is not linear."""
    us, cpu = (
        [spent / one.rows * 1e6 for one, spent in pairs]
        for pairs in ([(one, one.planner[0]) for one in found], [(one, one.planner_cpu[0]) for one in found])
    )
    exponent, exponent_cpu = (
        _exponent([(people, one * people) for people, one in zip(_LARGE, spent, strict=True)]) for spent in (us, cpu)
    )
    return (
        f"plan_large us={us[1]:.1f} us_million={us[0]:.1f} exponent={exponent:.2f} exponent_cpu={exponent_cpu:.2f} "
        f"judge_us={found[1].judged[0]:.1f} judge_us_million={found[0].judged[0]:.1f} rows={found[1].rows}"
    )


@contextmanager
def _on_sqlite() -> Iterator[Store]:
    with folder() as place:
        yield OnSqlite(place)


def _report(pg: Figures, exponents: Sequence[float], lite: Figures, exponents_sqlite: Sequence[float]) -> str:
    figures = {
        "ratio": f"{pg.ratio(pg.bare):.2f}",
        "ratio_sqlite": f"{lite.ratio(lite.bare):.2f}",
        "exponent": f"{exponents[0]:.2f}",
        "exponent_sqlite": f"{exponents_sqlite[0]:.2f}",
        "exponent_cpu": f"{exponents[1]:.2f}",
        "exponent_cpu_sqlite": f"{exponents_sqlite[1]:.2f}",
        "ratio_cpu": f"{pg.cpu_ratio:.2f}",
        "ratio_cpu_sqlite": f"{lite.cpu_ratio:.2f}",
        "ratio_one": f"{pg.ratio(pg.one):.2f}",
        "ratio_one_sqlite": f"{lite.ratio(lite.one):.2f}",
        "us": f"{statistics.median(pg.planner) / pg.rows * 1e6:.1f}",
        "us_sqlite": f"{statistics.median(lite.planner) / lite.rows * 1e6:.1f}",
        "judge_us_pg": f"{statistics.median(pg.judged):.1f}",
        "judge_us_sqlite": f"{statistics.median(lite.judged):.1f}",
        "slice_ms_pg": f"{statistics.median(pg.slices) * 1000:.0f}",
        "slice_ms_sqlite": f"{statistics.median(lite.slices) * 1000:.0f}",
        "slice_ms_sqlite_max": f"{max(lite.slices) * 1000:.0f}",
        "spread": f"{pg.spread:.2f}",
        "spread_sqlite": f"{lite.spread:.2f}",
        "planned_share": f"{pg.planned / pg.rows:.2f}",
    }
    return "plan " + " ".join(f"{name}={value}" for name, value in figures.items())


if __name__ == "__main__":
    main()
