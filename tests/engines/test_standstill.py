"""Nothing runs here while an act has the store to itself; what runs still is named."""

import socket
from dataclasses import replace

import pytest

from outreach.domain.errors import ConflictError
from outreach.engines.leader import leading
from outreach.engines.standstill import standstill
from outreach.pipeline.journal import WorkerJournal
from outreach.services.context import Context
from tests.guards.living import free_port


@pytest.fixture
def alone(ctx: Context) -> Context:
    """A context at whose web address nobody listens."""
    return replace(ctx, settings=ctx.settings.model_copy(update={"listen_port": free_port()}))


def test_nobody_leads_meanwhile_and_anybody_afterwards(alone: Context) -> None:
    with standstill(alone), leading(alone) as other:
        assert other is None
    with leading(alone) as next_one:
        assert next_one is not None


def test_a_running_engine_is_in_the_way(alone: Context) -> None:
    with leading(alone), pytest.raises(ConflictError, match="engine is running"), standstill(alone):
        pass


def test_a_worker_is_in_the_way_while_it_lives(alone: Context) -> None:
    journal = WorkerJournal(alone.settings.instance / "journal", "worker")
    with pytest.raises(ConflictError, match="worker is still sending"), standstill(alone):
        pass
    journal.close()
    (alone.settings.instance / "journal" / "dead.journal").touch()
    with standstill(alone), leading(alone) as other:
        assert other is None


def test_a_running_web_is_in_the_way(alone: Context) -> None:
    with (
        socket.create_server(("127.0.0.1", alone.settings.listen_port)),
        pytest.raises(ConflictError, match="Stop the web first"),
        standstill(alone),
    ):
        pass
