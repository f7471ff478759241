"""A RabbitMQ of the tests' own: one throw-away node on free ports of 127.0.0.1, with its own epmd, cookie and folder.

Debian's service is never used, nor its data: everything below is told otherwise by environment.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kombu.connection import Connection

_HOME = Path("/usr/lib/rabbitmq")
_PATIENCE_SECONDS = 120.0
_NO_SPINNING = "+sbwt none +sbwtdcpu none +sbwtdio none"


def _server() -> Path:
    found = sorted(_HOME.glob("lib/rabbitmq_server-*/sbin/rabbitmq-server"))
    if not found:
        raise RuntimeError("RabbitMQ's server is missing: run `make debian`")
    return found[-1]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 5).close()
    except OSError:
        return False
    return True


class Broker:
    """A node that can be killed and started again on the same queues. `url` is what `broker_url` wants."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port, self._names_port, self._node_port = _free_port(), _free_port(), _free_port()
        self._password = secrets.token_hex(8)
        self._node: subprocess.Popen[bytes] | None = None
        (folder / "log").touch()
        (folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self._port}\n"
            "default_user = outreach\n"
            f"default_pass = {self._password}\n"
            "default_vhost = outreach\n"
            "default_user_tags.administrator = true\n"
        )
        epmd = sorted(Path("/usr/lib/erlang").glob("erts-*/bin/epmd"))[-1]
        command = [str(epmd), "-port", str(self._names_port), "-address", "127.0.0.1"]
        self._names = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._wait_until(lambda: _is_open(self._names_port))  # else the node starts one that outlives it

    @property
    def url(self) -> str:
        return f"amqp://outreach:{self._password}@127.0.0.1:{self._port}/outreach"

    def start(self) -> None:
        """Start it, or start it again. Returns once a client can sign in."""
        with (self._folder / "log").open("ab") as log:
            self._node = subprocess.Popen(
                [_server()],
                env=self._environment(),
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._wait_until(self._answers)

    def kill(self) -> None:
        """kill -9, with every process of the node."""
        if self._node is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._node.pid, signal.SIGKILL)
            self._node.wait()

    def close(self) -> None:
        """The end of it, and of what tells its port."""
        self.kill()
        self._names.kill()
        self._names.wait()

    def _wait_until(self, ready: Callable[[], bool]) -> None:
        until = time.monotonic() + _PATIENCE_SECONDS
        while not ready():
            ended = self._node is not None and self._node.poll() is not None
            if ended or time.monotonic() > until:
                raise RuntimeError("RabbitMQ did not start:\n" + (self._folder / "log").read_text()[-2000:])
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            with Connection(self.url, connect_timeout=5) as connection:
                connection.connect()
        except OSError:
            return False
        return True

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("RABBITMQ_", "ERL_"))}
        folder = str(self._folder)
        return kept | {
            "HOME": folder,
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(self._names_port),
            "RABBITMQ_BASE": folder,
            "RABBITMQ_CONF_ENV_FILE": f"{folder}/none.conf",
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf",
            "RABBITMQ_DIST_PORT": str(self._node_port),
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/plugins",
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_LOG_BASE": folder,
            "RABBITMQ_MNESIA_BASE": f"{folder}/data",
            "RABBITMQ_NODENAME": f"outreach-{self._node_port}@localhost",
            "RABBITMQ_PID_FILE": f"{folder}/pid",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"{_NO_SPINNING} -kernel inet_dist_use_interface {{127,0,0,1}}",
        }


@contextmanager
def broker() -> Iterator[Broker]:
    """Start a node; kill and delete it at the end."""
    folder = Path(tempfile.mkdtemp(prefix="outreach-mq-"))
    running = Broker(folder)
    try:
        running.start()
        yield running
    finally:
        running.close()
        shutil.rmtree(folder, ignore_errors=True)
