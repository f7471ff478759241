"""What a killed worker leaves is settled from its journal: nobody lost, nobody mailed twice."""

import multiprocessing
from collections.abc import Callable
from pathlib import Path

import pytest

from outreach.pipeline import journal as journals
from outreach.pipeline import reap
from outreach.pipeline.claim import LEASE
from outreach.pipeline.journal import WorkerJournal, dead_journals
from outreach.pipeline.reap import reap_dead, reap_expired
from tests.factories import World
from tests.pipeline.claiming import claim_due
from tests.pipeline.conftest import Line


def attempted(line: Line, world: World, author: int, worker: str) -> tuple[int, int]:
    """(campaign id, message id) of one message `worker` has committed to."""
    topic, text = world.topic()
    world.grant(world.person(), topic, text)
    one = line.campaign(topic, author=author)
    line.plan()
    (message_id,) = claim_due(line.ctx, worker).ids
    return one, message_id


def _die(folder: Path, worker: str, write: Callable[[WorkerJournal], None]) -> None:
    journal = WorkerJournal(folder, worker)
    write(journal)
    journal.flush()  # the process ends without closing it: its lock goes with it


def leave_journal(line: Line, worker: str, write: Callable[[WorkerJournal], None]) -> None:
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_die, args=(line.worker.journals, worker, write))
    process.start()
    process.join()


@pytest.mark.parametrize(
    ("stage", "expected"),
    [
        ("nothing", ("planned", None)),
        ("begun", ("planned", None)),
        ("dotted", ("unknown", "no_reply")),
        ("accepted", ("sent", None)),
        ("refused", ("failed", "refused")),
        ("deferred", ("planned", None)),
    ],
)
def test_each_point_of_death_has_one_answer(
    line: Line, world: World, author: int, stage: str, expected: tuple[str, str | None]
) -> None:
    one, message_id = attempted(line, world, author, "dead")

    def write(journal: WorkerJournal) -> None:
        if stage != "nothing":
            journal.begun(message_id)
        if stage not in {"nothing", "begun"}:
            journal.dotted(message_id)
        codes = {"accepted": 250, "refused": 554, "deferred": 451}
        if stage in codes:
            journal.replied(message_id, codes[stage], "as it said")

    leave_journal(line, "dead", write)
    assert reap_dead(line.ctx, line.worker.journals) == 1
    assert list(line.states(one).values()) == [expected]
    assert reap_dead(line.ctx, line.worker.journals) == 0


def test_a_living_workers_journal_is_left_alone(line: Line) -> None:
    assert list(dead_journals(line.worker.journals)) == []


def test_silence_from_before_a_restart_of_the_machine_proves_nothing(
    line: Line, world: World, author: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = attempted(line, world, author, "dead")
    leave_journal(line, "dead", lambda journal: None)
    monkeypatch.setattr(journals, "boot", lambda: "another boot")
    reap_dead(line.ctx, line.worker.journals)
    assert list(line.states(one).values()) == [("unknown", "no_reply")]


def test_a_lost_journal_means_unknown_once_the_lease_is_over(line: Line, world: World, author: int) -> None:
    one, _ = attempted(line, world, author, "gone")
    assert reap_expired(line.ctx) == 0
    line.pass_hours(LEASE / 3_600_000_000 + 0.01)
    assert reap_expired(line.ctx) == 1
    assert list(line.states(one).values()) == [("unknown", "no_reply")]


def test_an_attempt_of_the_same_worker_starts_its_journal_over(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")

    def write(journal: WorkerJournal) -> None:
        journal.begun(7)
        journal.dotted(7)
        journal.replied(7, 451, "later")
        journal.begun(7)

    process = context.Process(target=_die, args=(tmp_path, "w", write))
    process.start()
    process.join()
    (found,) = dead_journals(tmp_path)
    assert found.begun == {7}
    assert found.dotted == set()
    assert found.replies == {}


def test_a_journal_that_cannot_be_settled_now_is_left_to_whoever_comes_next(
    line: Line, world: World, author: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not only once the collector of cycles comes by: until then nobody else could settle it."""
    attempted(line, world, author, "dead-1")
    leave_journal(line, "dead-1", lambda _journal: None)

    def fails(*_: object) -> int:
        raise OSError("the database is away")

    with monkeypatch.context() as away:
        away.setattr(reap, "_settle_journal", fails)
        with pytest.raises(OSError, match="away") as kept:
            reap_dead(line.ctx, line.worker.journals)
    assert kept.tb is not None  # what failed, and all its frames, are still held
    assert reap_dead(line.ctx, line.worker.journals) == 1
