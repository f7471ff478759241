"""The database commits and dies before it can say so: what was taken is not forgotten, what was recorded stays so."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest
from sqlalchemy import Connection, select
from sqlalchemy.exc import DBAPIError, OperationalError

from outreach.mail.transport import Outcome, Result
from outreach.pipeline import send
from outreach.pipeline.record import record_outcomes
from outreach.pipeline.send import Worker
from outreach.services.context import Context
from outreach.store.database import Database
from outreach.store.schema.campaigns import message
from tests.factories import World
from tests.pipeline.claiming import claim_due
from tests.pipeline.conftest import Line


class Deaf(Database):
    """While `is_deaf`, the answer to each commit is lost, once it has been made."""

    is_deaf = False

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        with super().transaction() as connection:
            yield connection
        if self.is_deaf:
            raise OperationalError("COMMIT", {}, Exception("server closed the connection"))


@pytest.fixture
def deaf(ctx: Context) -> Iterator[Deaf]:
    db = Deaf(ctx.settings.database, clock_file=ctx.settings.clock_file)
    yield db
    db.dispose()


def one_message(line: Line, world: World, author: int) -> int:
    topic, text = world.topic()
    world.grant(world.person(), topic, text)
    one = line.campaign(topic, author=author)
    line.plan()
    return one


def held(ctx: Context) -> tuple[str, str | None, int]:
    with ctx.db.reading() as conn:
        row = conn.execute(select(message.c.state, message.c.worker, message.c.attempts)).one()
        return row.state, row.worker, row.attempts


def test_what_was_taken_in_a_commit_nobody_heard_of_goes_out_once(
    line: Line, world: World, author: int, deaf: Deaf
) -> None:
    one_message(line, world, author)
    line.worker.ctx = replace(line.ctx, db=deaf)
    deaf.is_deaf = True
    with pytest.raises(DBAPIError):
        line.worker.round(line.journal)
    assert held(line.ctx) == ("attempted", line.worker.name, 1)
    deaf.is_deaf = False
    line.rounds()
    assert held(line.ctx) == ("sent", None, 1)
    assert len(line.relay.sent) == 1


def test_a_worker_told_to_stop_over_it_leaves_its_journal_to_the_reaper(
    line: Line, world: World, author: int, deaf: Deaf
) -> None:
    one_message(line, world, author)
    dying = Worker(replace(line.ctx, db=deaf), line.relay, "bulk")
    claim = dying._claim

    def claim_unheard() -> object:
        dying.stopping.set()
        deaf.is_deaf = True
        return claim()

    dying._claim = claim_unheard  # type: ignore[method-assign,assignment]  # the moment the database dies
    dying.run()
    deaf.is_deaf = False
    assert held(line.ctx) == ("attempted", dying.name, 1)
    assert (dying.journals / f"{dying.name}.journal").exists(), "nobody would know that it was never begun"


def test_a_worker_told_to_stop_while_the_database_is_away_ends_and_its_journal_tells(
    line: Line, world: World, author: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_message(line, world, author)
    stopped = Worker(line.ctx, line.relay, "bulk")
    tries = []

    def away(*_: object) -> None:
        stopped.stopping.set()
        tries.append(1)
        raise OperationalError("COMMIT", {}, Exception("the server is away"))

    monkeypatch.setattr(send, "record_outcomes", away)
    monkeypatch.setattr(send, "_RETRY_SECONDS", 0.0)
    stopped.run()
    assert len(tries) == 5
    assert held(line.ctx) == ("attempted", stopped.name, 1)
    assert (stopped.journals / f"{stopped.name}.journal").exists(), "nobody would know what the relay said"


@pytest.mark.parametrize("result", [Result.PUT_BACK, Result.DEFERRED])
def test_recording_twice_takes_nothing_from_who_took_it_up_meanwhile(
    line: Line, world: World, author: int, result: Result
) -> None:
    one_message(line, world, author)
    first = claim_due(line.ctx, "first")
    outcomes = [Outcome(one, result, code=None if result is Result.PUT_BACK else 451) for one in first.ids]
    record_outcomes(line.ctx, "first", first.facts, outcomes)
    line.pass_hours(1)
    second = claim_due(line.ctx, "second")
    assert second.ids == first.ids
    record_outcomes(line.ctx, "first", first.facts, outcomes)
    assert held(line.ctx)[:2] == ("attempted", "second")
    record_outcomes(line.ctx, "first", first.facts, [Outcome(one, Result.SENT, code=250) for one in first.ids])
    assert held(line.ctx)[:2] == ("attempted", "second")
