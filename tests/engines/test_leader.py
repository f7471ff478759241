"""One leader at a time, each with a higher epoch, and one that lost its lock knows."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from outreach.config import Settings
from outreach.domain.errors import AuditError
from outreach.engines import leader
from outreach.engines.leader import leading
from outreach.services.context import Context, open_context
from outreach.services.seal import seal
from tests.factories import World
from tests.foundations.installation import wait_for
from tests.postgresql import Cluster


@pytest.fixture
def on_postgresql(postgresql: Cluster, postgresql_template: str, tmp_path: Path) -> Iterator[Context]:
    """A context on PostgreSQL alone: a file lock cannot be lost while its process lives."""
    name = postgresql.create(postgresql_template)
    ctx = open_context(Settings(instance=tmp_path, database_url=postgresql.url(name)))
    yield ctx
    ctx.db.dispose()
    postgresql.drop(name)


def test_only_one_leads_and_the_next_has_a_higher_epoch(ctx: Context) -> None:
    with leading(ctx) as first:
        assert first is not None
        assert first.still_held()
        with leading(ctx) as second:
            assert second is None
    with leading(ctx) as third:
        assert third is not None
        assert third.epoch == first.epoch + 1


def test_a_leader_of_an_earlier_epoch_seals_nothing(ctx: Context, world: World) -> None:
    from outreach.domain.actors import CONSOLE
    from outreach.domain.policies import Name, of_caps
    from outreach.services.policies.changes import change_policy

    with leading(ctx) as old:
        pass
    with leading(ctx) as new:
        change_policy(ctx, CONSOLE, Name.CAP_TOTAL, of_caps((3, 86400)), "to have an entry")
        assert old is not None
        assert new is not None
        try:
            seal(ctx, old.epoch)
        except AuditError:
            sealed = seal(ctx, new.epoch)
            assert sealed is not None
            assert sealed.count == 2
        else:
            raise AssertionError("a leader whose time is over sealed the log")


def _server_side(ctx: Context) -> int:
    """The process id of the leader's connection, on the server."""
    held = (
        "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND database = "
        "(SELECT oid FROM pg_database WHERE datname = current_database())"
    )
    with ctx.db.reading() as conn:
        return int(conn.execute(text(held)).scalar_one())


def test_a_leader_whose_connection_died_stops_leading(on_postgresql: Context) -> None:
    with leading(on_postgresql) as leadership:
        assert leadership is not None
        with on_postgresql.db.transaction() as conn:
            conn.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": _server_side(on_postgresql)})
        assert not leadership.still_held()


def test_a_leader_whose_server_stands_still_does_not_wait_for_it(on_postgresql: Context) -> None:
    with leading(on_postgresql) as leadership:
        assert leadership is not None
        server = _server_side(on_postgresql)
        os.kill(server, signal.SIGSTOP)
        try:
            assert not leadership.still_held()
        finally:
            os.kill(server, signal.SIGCONT)


def test_a_leader_that_stands_still_loses_its_turn(on_postgresql: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(leader._THEIRS, "idle_session_timeout", "100ms")
    with leading(on_postgresql) as sleeping:
        assert sleeping is not None

        def takes_over() -> bool:
            with leading(on_postgresql) as other:
                return other is not None

        wait_for("another to lead", takes_over)
        assert not sleeping.still_held()
