"""One run of the chaos proof: an organisation mails thousands while its processes are killed, then all is compared."""

import random
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sqlalchemy import text

from tests.acceptance.books import Books
from tests.acceptance.product import DAY, HOUR, MINUTE, Product
from tests.chaos.house import House, open_house
from tests.chaos.life import Life
from tests.chaos.parts import Keeper, Part, Program, Service
from tests.chaos.tables import learn_addresses, read_tables
from tests.chaos.verdict import Tally, Verdict
from tests.chaos.witness import sink
from tests.postgresql import cluster
from tests.rabbitmq import broker

Engine = Literal["embedded", "distributed"]
Store = Literal["sqlite", "postgresql"]

CONNECTIONS = 6
_RAISED = {
    "OUTREACH_CONFIRMATIONS_PER_NETWORK": "100000",
    "OUTREACH_CONFIRMATIONS_TOTAL": "100000",
    "OUTREACH_RELAYS__MAIN__CONNECTIONS": str(CONNECTIONS),
    "OUTREACH_RELAYS__MAIN__PACING__OTHER": "100",  # so that hosts lease room from each other all the time
}
_WORDS: dict[Engine, tuple[tuple[str, int | None], ...]] = {
    "embedded": (("engine", 0), ("worker", 1)),
    "distributed": (("worker", 0), ("worker", 1), ("scheduler", None), ("scheduler", None)),
}
"""What runs, each on which of the sink's ports; of the distributed engine's, every other one on the second host."""

_WEIGHTS = {"engine": 5.0, "worker": 5.0, "scheduler": 2.0, "postgresql": 3.0, "rabbitmq": 2.0}
_KILLS_AN_ACT = 17
_MOVES = (31 * MINUTE, 8 * DAY, 61 * MINUTE, 31 * MINUTE, 8 * DAY)
_UNSETTLED = "('planned', 'attempted', 'waiting')"
_PATIENCE_SECONDS = 120.0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """`pace`: seconds the sink thinks over a mail on average; `interval`: seconds between kills, least and most."""

    engine: Engine
    store: Store
    kills: int = 100
    seed: int = 1
    people: int = 2400
    pace: float = 0.06
    interval: tuple[float, float] = (1.5, 6.5)


def play(plan: Plan) -> Tally:
    """Run it, in a folder of its own that is gone afterwards, unless something was wrong."""
    folder = Path(tempfile.mkdtemp(prefix="outreach-chaos-"))
    tally = Play(plan, folder).perform()
    if tally.is_clean:
        shutil.rmtree(folder)
    else:
        tally.faults.append(f"what was printed and logged stays in {folder}")
    return tally


@dataclass
class Play:
    """One run, act by act."""

    plan: Plan
    folder: Path
    services: list[Service] = field(default_factory=list)
    addresses: dict[int, str] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def perform(self) -> Tally:
        self.dice = random.Random(f"chaos/{self.plan.seed}")
        with ExitStack() as stack:
            slots = sum(1 for _, slot in _WORDS[self.plan.engine] if slot is not None)
            self.sink = stack.enter_context(
                sink(self.folder / "sink", seed=self.plan.seed, pace=self.plan.pace, slots=slots)
            )
            settings = {**_RAISED, **stack.enter_context(self._broker())}
            url = stack.enter_context(self._database())
            self.product = Product(self.folder / "north", url, self.sink.ports[0], settings)
            self.books = Books(self.product)
            self._found()
            self.keeper = stack.enter_context(self._running())
            for number in range(-(-self.plan.kills // _KILLS_AN_ACT)):
                self._act(min(_KILLS_AN_ACT, self.plan.kills - number * _KILLS_AN_ACT))
                self._say("everything runs again")
                self._rest()
                self._pass(_MOVES[number % len(_MOVES)])
            self._come_to_an_end()
            self._say("everything is settled")
            self.keeper.stop()
            return self._compare()

    def _say(self, what: str) -> None:
        print(f"{time.monotonic() - self.began:6.1f} s, {len(self.keeper.kills)} kills: {what}", flush=True)

    def _pass(self, seconds: float) -> None:
        learn_addresses(self.house.ctx, self.addresses)
        self._say(f"{seconds / HOUR:.1f} hours pass")
        self.product.move_clock(seconds)

    @contextmanager
    def _broker(self) -> Iterator[Mapping[str, str]]:
        """A real RabbitMQ for the distributed engine; the settings that name it."""
        if self.plan.engine != "distributed":
            yield {}
            return
        with broker() as node:
            self.services.append(Service("rabbitmq", node))
            yield {"OUTREACH_BROKER_URL": node.url}

    @contextmanager
    def _database(self) -> Iterator[str]:
        if self.plan.store == "sqlite":
            yield ""
            return
        with cluster(durable=True) as server:
            self.services.append(Service("postgresql", server))
            yield server.url(server.create())

    def _found(self) -> None:
        self.product.instance.mkdir(parents=True)
        upgraded = self.product.run("upgrade")
        assert upgraded.returncode == 0, upgraded.stderr
        ctx = open_house(self.product.instance, self.product.database_url, self.product.folder / "clock")
        self.house = House(ctx, self.plan.seed, self.plan.people)
        self.house.found()
        self.life = Life(self.house, random.Random(f"life/{self.plan.seed}"), backlog=self.plan.people // 10)

    @contextmanager
    def _running(self) -> Iterator[Keeper]:
        """Everything started. The second host shares the first's keys and clock, and nothing else."""
        south = self.folder / "south" / "instance"
        south.mkdir(parents=True)
        shutil.copy2(self.product.instance / "keys.json", south / "keys.json")
        programs = []
        for number, (word, slot) in enumerate(_WORDS[self.plan.engine]):
            environment = dict(self.product.environment)
            if slot is not None:
                environment["OUTREACH_RELAYS__MAIN__PORT"] = str(self.sink.ports[slot])
            if self.plan.engine == "distributed" and number % 2:
                environment["OUTREACH_INSTANCE"] = str(south)
            name = f"{word}-{number}"
            programs.append(Program(name, word, environment, self.folder / f"{name}.log", slot))
        keeper = Keeper(programs, self.services, self.dice, self.folder / "kills.jsonl")
        keeper.start()
        try:
            yield keeper
        finally:
            keeper.abandon()

    def _act(self, kills: int) -> None:
        """Life goes on while `kills` parts die, one after another; towards the end nothing new is scheduled."""
        self.life.over.clear()
        with ThreadPoolExecutor(1) as aside:
            living = aside.submit(self.life.run)
            try:
                for number in range(kills):
                    self.life.is_feeding = number < kills - kills // 3
                    self._wait(self.dice.uniform(*self.plan.interval))
                    self.keeper.kill(self._victim())
                    assert not living.done(), living.exception()
                self._wait(1.0)
            finally:
                self.keeper.bring_up()
                self.life.over.set()
            living.result()

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.keeper.tend()
            time.sleep(0.02)

    def _victim(self) -> Part:
        while True:
            if up := self.keeper.killable:
                return self.dice.choices(up, [_WEIGHTS[part.name.partition("-")[0]] for part in up])[0]
            self._wait(0.1)

    def _rest(self) -> None:
        """Until nothing is due, with everything up and kept up."""
        with ThreadPoolExecutor(1) as aside:
            resting = aside.submit(self.books.rest, seconds=_PATIENCE_SECONDS)
            while not resting.done():
                self._wait(0.1)
            try:
                resting.result()
            except AssertionError as error:
                raise AssertionError(f"{error}, see {self.folder}:\n{self._still_moving()}") from None

    def _still_moving(self) -> str:
        """What keeps the product from coming to rest."""
        query = (
            "SELECT state, lane, worker, COUNT(*) AS messages, MIN(due) AS due FROM message "
            f"WHERE state IN {_UNSETTLED} GROUP BY 1, 2, 3"
        )
        with self.house.ctx.db.reading() as conn:
            return "\n".join(str(dict(row)) for row in conn.execute(text(query)).mappings())

    def _come_to_an_end(self) -> None:
        """Pass the waiting times of what is to be tried again, and of the caps, until every message is settled."""
        while (seconds := self._next_due()) is not None:
            self._pass(seconds)
            self._rest()

    def _next_due(self) -> float | None:
        """Seconds until the next message is due, or days where all that is left waits for a cap to open.

        None when every message is settled.
        """
        query = (
            "SELECT state, MIN(due) AS due FROM message WHERE state IN ('planned', 'attempted', 'waiting') GROUP BY 1"
        )
        with self.house.ctx.db.reading() as conn:
            due = {row.state: int(row.due) / 1_000_000 for row in conn.execute(text(query))}
            now = self.house.ctx.db.now(conn) / 1_000_000
        if not due:
            return None
        waiting = due.pop("waiting", None)
        return max(min(due.values()) - now, 0) + MINUTE if due else 8 * DAY if waiting else None

    def _compare(self) -> Tally:
        verdict = Verdict(
            people=self.house.people,
            life=self.life,
            kills=self.keeper.kills,
            witness=self.sink.read(),
            tables=read_tables(self.house.ctx, self.addresses),
            moved=self.product.moved,
        )
        tally = verdict.reach()
        tally.faults += self.keeper.faults
        verified = self.product.run("audit", "verify")
        if verified.returncode != 0:
            tally.fault(
                "unaudited", "the verifier is not content:\n" + verified.stdout[-3000:] + verified.stderr[-2000:]
            )
        self.house.ctx.db.dispose()
        return tally
