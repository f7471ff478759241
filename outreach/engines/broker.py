"""Nudges over a message broker: the scheduler says that a class of lanes has work, and a worker that listens looks.

A nudge is a Celery task without content. Nothing depends on it: what is due stands in the database, workers look there
by themselves every few seconds, and the scheduler nudges again while anything is due. So it may be lost, late, doubled
or forged, and nobody is mailed twice or forgotten; hence no results, no retries, no ETA, and a queue that keeps few.

Each worker process consumes by itself (Celery's `solo` pool, a nudge takes microseconds) and sends in threads of its
own: were sending the task, a pool full of campaigns would keep confirmations waiting, and a broker's restart would end
what is being sent.
"""

import logging
import ssl
import threading
from collections import Counter
from collections.abc import Iterable
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

import structlog
from celery import Celery
from celery.worker import WorkController, state
from celery.worker.consumer import Consumer
from kombu.common import maybe_declare
from kombu.connection import Connection
from kombu.entity import Exchange, Queue

from outreach.config import Settings
from outreach.domain.errors import SettingsError
from outreach.engines.senders import LANES, Nudges
from outreach.engines.ticks import where

log = structlog.get_logger()

_TASK = "outreach.send"
_CONNECT_SECONDS = 3.0
_HEARTBEAT_SECONDS = 10.0
_AGAIN_SECONDS = 1.0
_NOTICE_SECONDS = 0.25
_GOODBYE_SECONDS = 5.0
_WITHOUT = {"without_gossip": True, "without_mingle": True, "without_heartbeat": True}
_LONGEST_LINE = 200
_ENOUGH = 16
"""No nudge is added where so many wait already: they would say nothing new, and nobody may be listening."""
_STUCK = 3
"""After so many nudges in a row that a queue of a broker that answers did not take, it is deleted and made anew.

A quorum queue can be left like this by a node that crashed, for good (rabbitmq-server issues 11561 and 13828); nothing
is lost with ours.
"""


def make_app(settings: Settings) -> Celery:
    """The Celery application of one process. Only JSON is read, no result kept, no remote control listened to.

    Raises SettingsError when the broker's kind needs a package that is not installed.
    """
    url = settings.broker_url.get_secret_value()
    if url.startswith("redis") and find_spec("redis") is None:
        raise SettingsError("broker_url: Redis and Valkey need one package more: pip install 'kombu[redis]'")
    exchange = Exchange("outreach", type="direct")
    app = Celery("outreach", set_as_current=False)
    app.conf.update(
        broker_url=url,
        broker_use_ssl=_tls(settings),
        broker_connection_timeout=_CONNECT_SECONDS,
        broker_heartbeat=_HEARTBEAT_SECONDS,
        broker_transport_options={"confirm_publish": True} if url.startswith("amqp") else {},
        broker_connection_retry_on_startup=True,
        broker_channel_error_retry=True,
        task_queues=[
            Queue(lanes, exchange, routing_key=lanes, queue_arguments={"x-queue-type": "quorum"}) for lanes in LANES
        ],
        task_create_missing_queues=False,
        task_default_queue="bulk",
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        worker_prefetch_multiplier=1,
        worker_detect_quorum_queues=True,
        worker_enable_remote_control=False,
        worker_cancel_long_running_tasks_on_connection_loss=True,
    )
    return app


def _tls(settings: Settings) -> dict[str, Any] | bool:
    """With amqps:// or rediss:// the broker's certificate and name are checked, against the system's authorities."""
    parts = urlsplit(settings.broker_url.get_secret_value())
    if parts.scheme == "amqps":
        context = {"cafile": settings.broker_ca_file or None, "check_hostname": True}
        return {"context": context, "server_hostname": parts.hostname}
    if parts.scheme == "rediss":
        authorities = settings.broker_ca_file or None
        return {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_ca_certs": authorities, "ssl_check_hostname": True}
    return False


class Nudger:
    """The scheduler's end. Not thread-safe: one job uses it, which waits a few seconds at most, while others go on."""

    def __init__(self, settings: Settings) -> None:
        self._app = make_app(settings)
        self._options = {"read_timeout": _CONNECT_SECONDS, "write_timeout": _CONNECT_SECONDS, "max_retries": 0}
        self._connection: Connection | None = None
        self._is_away = False
        self._untaken: Counter[str] = Counter()

    def nudge(self, classes: Iterable[str]) -> bool:
        """Say that these of LANES have work. False when the broker is away, which is logged once and costs nothing."""
        try:
            for lanes in classes:
                self._publish(lanes)
        except Exception as error:  # the transports' own errors have no common base
            self.close()
            if not self._is_away:
                log.warning("broker.away", error=type(error).__name__)
            self._is_away = True
            return False
        if self._is_away:
            log.info("broker.back")
        self._is_away = False
        return True

    def _publish(self, lanes: str) -> None:
        queue = self._app.amqp.queues[lanes]
        if self._connection is None:
            self._connection = self._app.connection_for_write(
                connect_timeout=_CONNECT_SECONDS, transport_options=self._options
            )
        channel = self._connection.default_channel
        if self._untaken[lanes] == _STUCK:
            self._untaken[lanes] = 0
            log.warning("broker.queue-made-anew", queue=lanes)
            channel.queue_delete(queue=lanes, nowait=True)
        maybe_declare(queue, channel)
        arguments = channel.prepare_queue_arguments(queue.queue_arguments)
        declared = channel.queue_declare(queue=lanes, durable=True, auto_delete=False, arguments=arguments)
        if declared.message_count >= _ENOUGH:
            return
        self._untaken[lanes] += 1
        self._app.send_task(
            _TASK,
            args=(lanes,),
            queue=lanes,
            exchange=queue.exchange.name,
            routing_key=queue.routing_key,
            connection=self._connection,
            retry=False,
            ignore_result=True,
            confirm_timeout=_CONNECT_SECONDS,
        )
        self._untaken[lanes] = 0

    def close(self) -> None:
        """Let go of the connection, whatever state it is in."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.collect(socket_timeout=_CONNECT_SECONDS)


class _Consumer(Consumer):  # type: ignore[misc]  # Celery has no types
    """Celery's, but it asks for a lost broker every second, declares no queues for delays, and stops when told."""

    class Blueprint(Consumer.Blueprint):  # type: ignore[misc]  # the same
        default_steps = tuple(step for step in Consumer.Blueprint.default_steps if "delayed_delivery" not in step)

    def ensure_connected(self, conn: Connection) -> Connection:
        """A connection, once there is one. Raises WorkerShutdown when told to stop meanwhile."""
        is_away = False

        def away(error: Exception, _seconds: float) -> None:
            nonlocal is_away
            if not is_away:
                log.warning("broker.away", error=type(error).__name__)
            is_away = True

        found: Connection = conn.ensure_connection(
            away, interval_start=_AGAIN_SECONDS, interval_step=0, callback=state.maybe_shutdown
        )
        if is_away:
            log.info("broker.back")
        self.first_connection_attempt = False
        return found

    def register_with_event_loop(self, hub: Any) -> None:
        """Wake up often enough to notice soon that it shall stop, and not only when something happens."""
        super().register_with_event_loop(hub)
        hub.call_repeatedly(_NOTICE_SECONDS, lambda: None)


class Listener:
    """A worker process's end: hears nudges in a thread of its own and sets the events the sending threads wait for."""

    def __init__(self, settings: Settings, nudges: Nudges) -> None:
        self._app = make_app(settings)
        self._app.conf.worker_consumer = _Consumer

        def send(lanes: object) -> None:
            """Whoever reaches the broker can send this, so all it does is make a worker look."""
            for known, event in nudges.items():
                if known == lanes:
                    event.set()

        self._app.task(send, name=_TASK, shared=False, lazy=False)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="listener", daemon=True)

    def start(self) -> None:
        """Begin, whether the broker is there or not."""
        _speak_our_way()
        self._thread.start()

    def stop(self) -> None:
        """End within a few seconds, even if the broker does not answer: then its connection ends with the process."""
        self._stopping.set()
        state.should_stop = 0  # Celery's own word for it, an exit status
        self._thread.join(_GOODBYE_SECONDS)
        state.should_stop = None

    def _listen(self) -> None:
        self._app.set_current()  # of this thread: what runs a task looks for it there
        while not self._stopping.is_set():
            try:
                WorkController(app=self._app, pool="solo", concurrency=1, task_events=False, **_WITHOUT).start()
            except Exception as error:  # what Celery has not caught itself: those who send must not notice
                log.error("broker.listener", error=type(error).__name__, where=where(error))
            self._stopping.wait(_AGAIN_SECONDS)


class _OurWay(logging.Handler):
    """The libraries' lines as ours: the first line of each, for what follows it may repeat a message."""

    def emit(self, record: logging.LogRecord) -> None:
        """Their errors are warnings of ours: a broker only delays."""
        log.warning("broker.library", said=record.getMessage().partition("\n")[0][:_LONGEST_LINE], by=record.name)


def _speak_our_way() -> None:
    for name in ("celery", "kombu", "amqp"):
        library = logging.getLogger(name)
        library.handlers = [_OurWay(logging.WARNING)]
        library.propagate = False
