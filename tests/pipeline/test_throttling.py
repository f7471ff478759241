"""The whole pipeline against providers that take only so much: it finds their pace, loses nobody, slows nobody else.

Time is the test's own: it moves half a second after each turn of the workers, so every count is exact.
"""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

import pytest
from sqlalchemy import insert

from outreach.domain import addresses
from outreach.domain.pacing import SECOND
from outreach.hosts import Pacing, Relay
from outreach.mail.transport import Journal, Outcome, Parcel, Result, Stop
from outreach.pipeline.journal import WorkerJournal
from outreach.pipeline.plan import begin_due, plan_next
from outreach.pipeline.send import Worker
from outreach.services.context import Context
from outreach.store.boxes import ContactKeys
from outreach.store.contacts import ensure_contact
from outreach.store.schema.consents import consent
from tests.factories import World
from tests.pipeline.conftest import Line

STEP = SECOND // 2
REFUSAL = "421 4.7.0 Try again later"


@dataclass
class House:
    """A relay behind which Gmail takes `most` messages in any `window` microseconds, and everybody else everything."""

    now: int
    most: int = 1_000_000
    window: int = 2 * SECOND
    taken: list[tuple[int, str]] = field(default_factory=list)
    refused: list[int] = field(default_factory=list)
    rooms: list[Mapping[str, int] | None] = field(default_factory=list)
    _lately: deque[int] = field(default_factory=deque)

    def hand_off(
        self,
        pool: str,
        parcels: Sequence[Parcel],
        journal: Journal,
        stop: Stop | None = None,
        room: Mapping[str, int] | None = None,
    ) -> list[Outcome]:
        self.rooms.append(room)
        return [self._answer(parcel, pool) for parcel in parcels]

    def _answer(self, parcel: Parcel, relay: str) -> Outcome:
        while self._lately and self._lately[0] <= self.now - self.window:
            self._lately.popleft()
        if parcel.provider == "gmail" and len(self._lately) >= self.most:
            self.refused.append(self.now)
            return Outcome(parcel.message_id, Result.DEFERRED, 421, "4.7.0", REFUSAL, relay=relay)
        if parcel.provider == "gmail":
            self._lately.append(self.now)
        self.taken.append((self.now, parcel.provider))
        return Outcome(parcel.message_id, Result.SENT, 250, reply="250 OK", relay=relay)

    def close(self) -> None:
        return None

    def times(self, provider: str) -> list[int]:
        return [at for at, whose in self.taken if whose == provider]


class Site:
    """One campaign to many, some workers over one store, and a clock that only `run` moves."""

    def __init__(self, line: Line, monkeypatch: pytest.MonkeyPatch, people: Mapping[str, int], pacing: Pacing) -> None:
        self.line, self.house = line, House(line.now() + 60 * SECOND)
        monkeypatch.setattr(line.ctx.db, "now", lambda _conn: self.house.now)
        settings = line.ctx.settings.model_copy(
            update={
                "relays": {"main": Relay(host="127.0.0.1", pacing=pacing)},
                "public_url": "https://mail.example.org",
            }
        )
        self.ctx: Context = replace(line.ctx, settings=settings)
        topic, text = line.world.topic()
        for provider, many in people.items():
            _invite_everybody(line.world, topic, text, provider, many)
        self.campaign = line.campaign(topic, author=line.world.staff())
        begin_due(self.ctx)
        while plan_next(self.ctx):
            pass
        self.began = self.house.now

    def run(self, workers: int, seconds: int) -> None:
        """Let `workers` take turns until nothing is left, for `seconds` at most."""
        crew = [Worker(self.ctx, self.house, "bulk") for _ in range(workers)]
        journals = [WorkerJournal(one.journals, one.name) for one in crew]
        for _ in range(seconds * SECOND // STEP):
            while sum(worker.round(journal) for worker, journal in zip(crew, journals, strict=True)):
                pass
            if self.states() == {"sent"}:
                break
            self.house.now += STEP
        for journal in journals:
            journal.close()

    def states(self) -> set[str]:
        return {state for state, _ in self.line.states(self.campaign).values()}


def _invite_everybody(world: World, topic: int, text: int, provider: str, many: int) -> None:
    with world.ctx.db.transaction() as conn:
        keys = ContactKeys(world.ctx.keyring, conn)
        found = [
            ensure_contact(conn, world.ctx.keyring, keys, addresses.parse(f"reader{number}@{provider}.com"),
                           now=world.now, locale="en", timezone="UTC", fields={})
            for number in range(many)
        ]  # fmt: skip
    rows = [
        {"contact": one.id, "topic": topic, "state": "granted", "since": world.now, "text": text,
         "cap_n": 2, "cap_window": 7 * 86_400, "ratio_k": 0, "kinds": "informational,promotional"}
        for one in found
    ]  # fmt: skip
    with world.ctx.db.transaction() as conn:
        conn.execute(insert(consent), rows)


def most_in(times: Sequence[int], window: int) -> int:
    """The most of `times` that any window of this length holds."""
    counts = Counter(times)
    return max(sum(many for at, many in counts.items() if start <= at < start + window) for start in counts)


def test_a_provider_that_refuses_above_its_pace_is_sent_to_at_about_that_pace_and_nobody_is_lost(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(line, monkeypatch, {"gmail": 300, "yahoo": 60}, Pacing())
    site.house.most, per_second = 10, 5
    site.run(workers=2, seconds=600)
    assert site.states() == {"sent"}
    accepted = site.house.times("gmail")
    settled = [at for at in accepted if at >= site.began + 30 * SECOND]
    pace = len(settled) * SECOND / (settled[-1] - settled[0])
    assert 0.6 * per_second <= pace <= per_second
    late = [at for at in site.house.refused if at >= site.began + 30 * SECOND]
    assert len(late) <= len(settled) / 10
    assert set(site.house.times("yahoo")) == {site.began}
    assert line.entries("pace.slowed")[0]["code"] == "421 4.7.0"


def test_workers_together_stay_below_a_ceiling(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(line, monkeypatch, {"gmail": 150, "yahoo": 40}, Pacing(gmail=Decimal(10)))
    site.run(workers=3, seconds=60)
    assert site.states() == {"sent"}
    times = site.house.times("gmail")
    for seconds in (1, 2, 5, 10):
        assert most_in(times, seconds * SECOND) <= 10 * seconds + 20
    assert times[-1] - times[0] <= 14 * SECOND
    assert set(site.house.times("yahoo")) == {site.began}
    assert site.house.refused == []


def test_an_unlimited_provider_is_handed_everything_at_once(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(line, monkeypatch, {"gmail": 80}, Pacing())
    site.run(workers=2, seconds=5)
    assert set(site.house.times("gmail")) == {site.began}
    assert set(site.house.rooms) == {None}


def test_the_warm_up_sends_a_days_allowance_and_the_rest_on_the_days_after(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(line, monkeypatch, {"gmail": 12}, Pacing(warm_up=(2, 4)))
    days = Counter[int]()
    for _ in range(4 * 24):
        site.run(workers=1, seconds=1)
        site.house.now += 3600 * SECOND
    for at in site.house.times("gmail"):
        days[at // (86_400 * SECOND)] += 1
    assert [days[day] for day in sorted(days)] == [2, 4, 6]


def test_a_message_refused_for_the_pace_comes_back_within_minutes(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(line, monkeypatch, {"gmail": 3}, Pacing())
    site.house.most = 0
    site.run(workers=1, seconds=1)
    assert len(site.house.refused) == 3
    site.house.most = 100
    site.run(workers=1, seconds=120)
    assert site.states() == {"sent"}
    assert site.house.times("gmail")[-1] <= site.began + 90 * SECOND
