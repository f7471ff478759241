"""Nudges on a real RabbitMQ: they arrive, never pile up, carry nothing, and nobody waits for a broker that is away."""

import secrets
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from celery import Celery
from kombu.connection import Connection
from sqlalchemy import insert, update

from outreach.config import Settings, load_settings
from outreach.domain.errors import SettingsError
from outreach.engines.broker import Nudger, make_app
from outreach.engines.distributed import classes_due
from outreach.engines.senders import LANES
from outreach.services.context import Context
from outreach.store.schema.campaigns import message
from tests.engines.site import listening, settings_for
from tests.factories import World
from tests.foundations.installation import AMPLE_SECONDS, wait_for
from tests.guards.living import free_port
from tests.mail.relays import certificate
from tests.rabbitmq import Broker

SOMEBODY = "alice@example.org"


@pytest.fixture
def settings(rabbitmq: Broker) -> Settings:
    with Connection(rabbitmq.url) as connection:
        for queue in LANES:
            connection.default_channel.queue_delete(queue)
    return settings_for(rabbitmq.url)


@pytest.fixture
def nudger(settings: Settings) -> Iterator[Nudger]:
    with closing(Nudger(settings)) as made:
        yield made


def waiting(settings: Settings, queue: str) -> int:
    with Connection(settings.broker_url.get_secret_value()) as connection:
        return int(connection.default_channel.queue_declare(queue, passive=True).message_count)


def put_in_lane(world: World, lane: str) -> None:
    person = world.person()
    row = insert(message).values(
        ref=secrets.token_bytes(16), origin="notice", kind="service", lane=lane, contact=person.id,
        mailbox=person.mailbox, state="planned", planned=world.now, due=world.now,
    )  # fmt: skip
    with world.ctx.db.transaction() as conn:
        conn.execute(row)


def test_a_nudge_wakes_the_threads_of_its_class_and_no_other(settings: Settings, nudger: Nudger) -> None:
    with listening(settings) as nudges:
        for lanes in LANES:
            assert nudger.nudge([lanes])
            assert nudges[lanes].wait(AMPLE_SECONDS)
            nudges[lanes].clear()
            assert not any(event.is_set() for event in nudges.values())


def test_nudges_do_not_pile_up_while_nobody_listens(settings: Settings, nudger: Nudger) -> None:
    for _ in range(40):
        assert nudger.nudge(["express"])
    assert 0 < waiting(settings, "express") < 40
    with listening(settings) as nudges:
        assert nudges["express"].wait(AMPLE_SECONDS)
        wait_for("the queue to be empty", lambda: waiting(settings, "express") == 0)


def test_queues_survive_a_broken_node_of_a_cluster(settings: Settings, nudger: Nudger) -> None:
    assert nudger.nudge(["bulk"])
    for queue in make_app(settings).amqp.queues.values():
        assert queue.durable
        assert queue.queue_arguments["x-queue-type"] == "quorum"


def test_what_strangers_put_on_a_queue_does_nothing(
    settings: Settings, nudger: Nudger, capfd: pytest.CaptureFixture[str]
) -> None:
    stranger: Celery = make_app(settings)
    with listening(settings) as nudges:
        stranger.send_task("outreach.send", args=(SOMEBODY,), queue="bulk")
        stranger.send_task("outreach.send", queue="bulk")
        stranger.send_task("outreach.erase", args=(SOMEBODY,), queue="bulk")
        with Connection(settings.broker_url.get_secret_value()) as connection:
            connection.Producer().publish(SOMEBODY, exchange="outreach", routing_key="bulk", serializer="pickle")
        assert nudger.nudge(["express"])
        assert nudges["express"].wait(AMPLE_SECONDS)
        wait_for("the queue to be empty", lambda: waiting(settings, "bulk") == 0)
        assert not nudges["bulk"].is_set()
    stranger.close()
    assert SOMEBODY not in capfd.readouterr().err


def test_a_broker_that_is_away_is_said_once(capfd: pytest.CaptureFixture[str]) -> None:
    with closing(Nudger(settings_for(f"amqp://outreach:secret@127.0.0.1:{free_port()}/outreach"))) as nudger:
        assert not nudger.nudge(["express"])
        assert not nudger.nudge(["express"])
    said = capfd.readouterr()
    assert (said.out + said.err).count("broker.away") == 1
    assert "secret" not in said.out + said.err


def test_a_broker_that_says_nothing_holds_nobody_up_for_ever() -> None:
    with (
        closing(socket.create_server(("127.0.0.1", 0))) as silent,
        closing(Nudger(settings_for(f"amqp://127.0.0.1:{silent.getsockname()[1]}/"))) as nudger,
    ):
        assert not nudger.nudge(["express"])


def _is_trusted(url: str, ca_file: str, server: socket.socket, context: ssl.SSLContext) -> bool:
    """Whether the scheduler ends the handshake with this server; a password would come after it."""
    shaken: list[bool] = []

    def answer() -> None:
        connection, _ = server.accept()
        try:
            context.wrap_socket(connection, server_side=True).close()
            shaken.append(True)
        except OSError:
            connection.close()

    answering = threading.Thread(target=answer)
    answering.start()
    with closing(Nudger(settings_for(url).model_copy(update={"broker_ca_file": ca_file}))) as nudger:
        assert not nudger.nudge(["express"])
    answering.join()
    return bool(shaken)


def test_a_broker_must_prove_its_name_before_it_is_told_the_password(tmp_path: Path) -> None:
    trust, context = certificate(tmp_path)
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        right = f"amqps://outreach:secret@127.0.0.1:{server.getsockname()[1]}/outreach"
        assert _is_trusted(right, str(trust), server, context)
        assert not _is_trusted(right, "", server, context)
        assert not _is_trusted(right.replace("127.0.0.1", "localhost"), str(trust), server, context)


def test_a_listener_ends_though_there_never_was_a_broker() -> None:
    with listening(settings_for(f"amqp://127.0.0.1:{free_port()}/")) as nudges:
        assert not nudges["express"].is_set()
    assert "listener" not in {thread.name for thread in threading.enumerate()}


def test_only_classes_with_something_due_are_nudged(ctx: Context, world: World) -> None:
    assert classes_due(ctx) == []
    topic, _ = world.topic()
    campaign = world.campaign(topic, author=world.staff())
    put_in_lane(world, f"5-campaign-{campaign}-other")
    put_in_lane(world, "1-confirmation")
    assert classes_due(ctx) == ["express", "bulk"]
    with ctx.db.transaction() as conn:
        conn.execute(update(message).where(message.c.lane == "1-confirmation").values(due=2**60))
    assert classes_due(ctx) == ["bulk"]


def test_redis_without_its_package_is_refused_in_words() -> None:
    with pytest.raises(SettingsError, match=r"pip install 'kombu\[redis\]'"):
        Nudger(settings_for("redis://127.0.0.1/0"))


def test_a_broker_needs_postgresql_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTREACH_BROKER_URL", "amqp://outreach:secret@127.0.0.1/outreach")
    with pytest.raises(SettingsError, match="need PostgreSQL") as caught:
        load_settings()
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "amqp:", "pyamqp://x/", "outreach:secret@127.0.0.1"])
def test_a_broker_of_another_kind_is_refused_without_repeating_its_address(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUTREACH_BROKER_URL", url)
    monkeypatch.setenv("OUTREACH_DATABASE_URL", "postgresql://outreach@/outreach")
    with pytest.raises(SettingsError, match="broker_url: must begin with") as caught:
        load_settings()
    assert "secret" not in str(caught.value)
