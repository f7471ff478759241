"""GNU Mailman 3 as a peer: its core with all its runners, a personalised list, one post that comes in by LMTP.

The settings are those its documentation names for speed where every reader gets a mail of their own: the connection
is never given up (`max_sessions_per_connection: 0`), the relay is next door, two outgoing runners (`instances`, a power
of two; a single post is one entry of the queue, so one of them delivers it), queues are looked at ten times a second
instead of once, no debug log. `max_recipients` and `max_delivery_threads` have no say over personalised mail.
"""

import os
import shutil
import signal
import smtplib
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from email.utils import formatdate
from pathlib import Path

from bench.peers import letter
from bench.peers.environment import programs, surroundings
from bench.servers import free_port, wait_for_port

_PATIENCE_SECONDS = 600.0
_STOP_SECONDS = 30.0
_LOOK_SECONDS = 0.01
_RUNNERS = ("in", "pipeline", "out", "lmtp")
_SETTINGS = """\
[mailman]
layout: bench
site_owner: owner@{host}
[paths.bench]
var_dir: {var}
[mta]
incoming: mailman.mta.null.NullMTA
smtp_host: 127.0.0.1
smtp_port: {smtp}
lmtp_host: 127.0.0.1
lmtp_port: {lmtp}
verp_personalized_deliveries: yes
max_sessions_per_connection: 0
[runner.rest]
start: no
[runner.in]
sleep_time: 0.1s
[runner.pipeline]
sleep_time: 0.1s
[runner.out]
instances: 2
sleep_time: 0.1s
"""
_HEADER = "Dear $user_name,\n"
_LINKS = f"https://{letter.LIST_HOST}/{{}}?list={letter.LIST_NAME}&who=$user_address"
_FOOTER = (
    f"To get no more of these: {_LINKS.format('unsubscribe')}\n"
    f"To change what you get: {_LINKS.format('settings')}\n"
    f"To read this on the web: {_LINKS.format('archive')}\n"
)


class Mailman:
    """One installation in a folder of its own, with a list of each size asked for."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self._var = folder / "var"
        self._lmtp = free_port()
        self._posts = 0
        self._programs = programs("mailman")

    def make_list(self, count: int) -> None:
        """A list of the first `count` readers."""
        self._configure(smtp_port=0)
        address = _address(count)
        self._mailman("create", address)
        self._mailman("shell", "-l", address, "-r", "bench.peers.mailman_list.prepare")
        templates = self._var / "templates" / "lists" / address.replace("@", ".") / "en"
        templates.mkdir(parents=True)
        (templates / "list:member:regular:header.txt").write_text(_HEADER)
        (templates / "list:member:regular:footer.txt").write_text(_FOOTER)
        members = self._folder / "members"
        members.write_text("".join(f'"{reader.name}" <{reader.address}>\n' for reader in letter.readers(count)))
        self._mailman("addmembers", "-W", str(members), address)

    @contextmanager
    def running(self, smtp_port: int) -> Iterator[None]:
        """Master and runners, delivering to `smtp_port` of this machine, until the block ends."""
        self._configure(smtp_port)
        shutil.rmtree(self._var / "logs", ignore_errors=True)
        named = self._var / "master.pid"
        named.unlink(missing_ok=True)
        self._mailman("start")
        _until(lambda: named.exists() and named.read_text().strip() != "", "Mailman's master")
        master = int(named.read_text())
        try:
            _until(self._all_started, "Mailman's runners")
            wait_for_port(self._lmtp)
            yield
        finally:
            _end(master)

    def send(self, count: int) -> float:
        """Seconds from posting to the list of `count` readers until the last of them was accepted by the relay."""
        self._posts += 1
        post = _post(self._posts, count)
        began = time.perf_counter()
        with smtplib.LMTP("127.0.0.1", self._lmtp) as door:
            door.send_message(post, letter.SENDER, [_address(count)])
        done = f"{post['Message-ID']} smtp to {_address(count)} for {count} recips, completed"
        _until(lambda: done in self._log("smtp"), "Mailman's delivery")
        took = time.perf_counter() - began
        if "refused" in self._log("smtp") or "SHUNTING" in self._log("mailman"):
            raise RuntimeError("Mailman could not deliver to everybody")
        return took

    def _all_started(self) -> bool:
        return all(f"{runner} runner started" in self._log("mailman") for runner in _RUNNERS)

    def _log(self, name: str) -> str:
        file = self._var / "logs" / f"{name}.log"
        return file.read_text() if file.exists() else ""

    def _configure(self, smtp_port: int) -> None:
        settings = _SETTINGS.format(host=letter.LIST_HOST, var=self._var, smtp=smtp_port, lmtp=self._lmtp)
        (self._folder / "mailman.cfg").write_text(settings)

    def _mailman(self, *words: str) -> None:
        command = [str(self._programs / "mailman"), "-C", str(self._folder / "mailman.cfg")]
        if os.geteuid() == 0:
            command.append("--run-as-root")
        command += words
        said = self._folder / "said"
        with said.open("w") as output:  # no pipe: what `mailman start` leaves running would keep it open
            ended = subprocess.run(command, check=False, env=surroundings(), stdout=output, stderr=output)  # noqa: S603  ours
        if ended.returncode:
            raise RuntimeError(f"mailman {words[0]}: {said.read_text()}")


def _address(count: int) -> str:
    return f"{letter.LIST_NAME}-{count}@{letter.LIST_HOST}"


def _post(number: int, count: int) -> EmailMessage:
    post = EmailMessage()
    post["From"] = f"{letter.TITLE} <{letter.SENDER}>"
    post["To"] = _address(count)
    post["Subject"] = letter.SUBJECT
    post["Date"] = formatdate()
    post["Message-ID"] = f"<post-{number}@northfield.example>"
    post.set_content(letter.plain())
    post.add_alternative(f"<html><body>{letter.html()}</body></html>", subtype="html")
    return post


def _until(met: Callable[[], bool], what: str) -> None:
    patience = time.monotonic() + _PATIENCE_SECONDS
    while not met():
        if time.monotonic() > patience:
            raise TimeoutError(what)
        time.sleep(_LOOK_SECONDS)


def _end(master: int) -> None:
    """Mailman's own way of stopping, then by force what has not gone, each by its id."""
    family = [master, *_children(master)]
    os.kill(master, signal.SIGTERM)
    patience = time.monotonic() + _STOP_SECONDS
    while any(_lives(pid) for pid in family):
        if time.monotonic() > patience:
            for pid in filter(_lives, family):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_LOOK_SECONDS)


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _lives(pid: int) -> bool:
    """A process that ended and waits for its parent to notice is as good as gone (proc(5), state Z)."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"
