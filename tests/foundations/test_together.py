"""`python -m outreach run` as a person starts it: what it prints, what it survives, that nothing is left behind."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.foundations.installation import AMPLE_SECONDS, Installation, Process, wait_for


@dataclass
class Running:
    """A supervisor and what it started."""

    here: Installation
    supervisor: "subprocess.Popen[bytes]"

    def engine(self) -> Process | None:
        return next((child for child in self._children() if child.command[-1] == "engine"), None)

    def worker(self) -> Process | None:
        return next((child for child in self._children() if "worker" in child.command), None)

    def web(self) -> Process | None:
        """Granian's master, once it took the place of our own command."""
        return next((child for child in self._children() if "granian" in child.command), None)

    def is_up(self) -> bool:
        assert self.supervisor.poll() is None, self.here.printed
        return self.here.answers() and None not in {self.engine(), self.worker(), self.web()}

    def _children(self) -> list[Process]:
        return [process for process in self.here.processes() if process.parent == self.supervisor.pid]


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """The product, up. Whatever a failed test leaves of it is killed."""
    here = Installation(tmp_path, {"OUTREACH_WORKERS": "2"})
    one = Running(here, here.begin())
    try:
        wait_for("the product to be up", one.is_up)
        yield one
    finally:
        one.supervisor.kill()
        one.supervisor.wait()
        for process in one.here.processes():
            _kill(process)


def _kill(process: Process | None) -> None:
    assert process is not None
    with suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)


def test_it_says_where_it_is_refuses_a_second_one_and_ends_with_ctrl_c(running: Running) -> None:
    here = running.here
    assert f"{here.url}/\n" in here.printed
    assert f"{here.url}/mailbox" in here.printed
    link = here.set_up_link()
    assert link

    second = here.ask("run")
    assert (second.returncode, second.stdout) == (2, "")
    (line,) = second.stderr.splitlines()
    assert line.startswith("outreach: listen_port: ")
    assert str(here.port) in line
    assert here.answers()

    running.supervisor.send_signal(signal.SIGINT)
    assert running.supervisor.wait(AMPLE_SECONDS) == 0
    wait_for("its children to end", lambda: not here.processes())
    assert not here.answers()
    assert "Traceback" not in here.printed


def test_the_engine_a_worker_or_the_web_killed_is_started_again(running: Running) -> None:
    engine, worker, web = running.engine(), running.worker(), running.web()
    supervisor = {one for one in running.here.processes() if one.pid == running.supervisor.pid}
    served = running.here.processes() - {engine, worker} - supervisor
    assert web in served

    _kill(engine)
    _kill(worker)
    wait_for("another engine", lambda: running.engine() not in {None, engine})
    wait_for("another worker", lambda: running.worker() not in {None, worker})
    assert running.web() == web

    _kill(web)
    wait_for("another web", lambda: running.web() not in {None, web})
    wait_for("the killed one's workers to end", lambda: not served & running.here.processes())
    wait_for("the web to answer again", running.here.answers)

    running.supervisor.send_signal(signal.SIGTERM)
    assert running.supervisor.wait(AMPLE_SECONDS) == 0
    wait_for("its children to end", lambda: not running.here.processes())
    assert "Traceback" not in running.here.printed


def test_the_supervisor_killed_takes_its_children_along(running: Running) -> None:
    assert len(running.here.processes()) >= 4
    running.supervisor.kill()
    running.supervisor.wait()
    wait_for("its children to end", lambda: not running.here.processes())
    assert not running.here.answers()


@pytest.mark.parametrize("name", ["demo_smtp_port", "inbound_port"])
def test_a_taken_port_for_mail_is_named(tmp_path: Path, name: str) -> None:
    here = Installation(tmp_path)
    port = here.demo_port if name == "demo_smtp_port" else here.inbound_port
    with closing(socket.create_server(("127.0.0.1", port))):
        ended = here.ask("run")
    assert (ended.returncode, ended.stdout) == (2, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"outreach: {name}: ")
    assert not here.processes()
