"""A real Postfix as the relay our mail leaves by, and another as the peer that takes it, or does not: on this machine.

Each has a configuration and queue of its own and high ports. Postfix starts as root, so whoever is not becomes it.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.guards.living import free_port

READERS = "reader.example"

_MAIN = """
compatibility_level = 3.6
queue_directory = {at}/queue
data_directory = {at}/data
maillog_file = {at}/log
maillog_file_prefixes = {at}
myhostname = {name}
mydestination =
local_recipient_maps =
alias_maps =
alias_database =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtp_host_lookup = native
smtp_dns_support_level = disabled
smtp_tls_security_level = none
smtpd_tls_security_level = none
smtpd_peername_lookup = no
smtpd_relay_restrictions = permit_mynetworks, reject
smtpd_recipient_restrictions = {restrictions}permit_mynetworks, reject
transport_maps = inline:{{ {transports} }}
minimal_backoff_time = 1s
maximal_backoff_time = 1s
queue_run_delay = 1s
transport_retry_time = 1s
delay_warning_time = 1s
maximal_queue_lifetime = 4s
bounce_queue_lifetime = 60s
"""
_MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
lmtp unix - - n - - lmtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
flush unix n - n 1000? 0 flush
showq unix n - n - - showq
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""
_ANSWERS = {
    "unknown": "550 5.1.1 There is no such user",
    "full": "450 4.2.2 The mailbox is full",
    "refused": "554 5.7.1 Refused by policy",
}
"""What the peer says to a recipient, by local part. `late` is taken, and comes back by mail; all others are taken."""


@dataclass(frozen=True)
class Neighbours:
    """Ports: of our relay, and of the door both bring reports to, by LMTP."""

    relay: int
    door: int
    folder: Path

    @property
    def log(self) -> str:
        """What both wrote down."""
        return "".join(path.read_text() for path in sorted(self.folder.glob("*/log")))


@contextmanager
def postfixes(inbound_domain: str) -> Iterator[Neighbours]:
    """Both, running."""
    folder = Path(tempfile.mkdtemp(prefix="postfix-"))
    folder.chmod(0o755)  # Postfix's own user looks in
    relay, peer, door = free_port(), free_port(), free_port()
    back = f"{{ {inbound_domain} = lmtp:inet:127.0.0.1:{door} }}"
    answers = " ".join(f"{{ {local}@{READERS} = {words} }}" for local, words in _ANSWERS.items())
    configured = {
        "relay": _Postfix(relay, "relay.example.org", f"{{ {READERS} = smtp:[127.0.0.1]:{peer} }} {back}", ""),
        "peer": _Postfix(
            peer,
            f"mx.{READERS}",
            f"{{ late@{READERS} = error:5.1.1 There is no such user }} {{ {READERS} = discard: }} {back}",
            f"check_recipient_access inline:{{ {answers} }}, ",
        ),
    }
    began: list[Path] = []
    try:
        for name, one in configured.items():
            _start(folder / name, one)
            began.append(folder / name)
        yield Neighbours(relay, door, folder)
    finally:
        for at in began:
            _postfix(at, "stop")
        subprocess.run([*_become(), "rm", "-rf", str(folder)], check=True)


@dataclass(frozen=True)
class _Postfix:
    port: int
    name: str
    transports: str
    restrictions: str


def _start(at: Path, one: _Postfix) -> None:
    for part in ("conf", "queue", "data"):
        (at / part).mkdir(parents=True)
    main = _MAIN.format(at=at, name=one.name, transports=one.transports, restrictions=one.restrictions)
    (at / "conf" / "main.cf").write_text(main)
    (at / "conf" / "master.cf").write_text(_MASTER.format(port=one.port))
    subprocess.run([*_become(), "chown", "root", str(at / "queue"), *map(str, (at / "conf").iterdir())], check=True)
    subprocess.run([*_become(), "chown", "postfix", str(at / "data")], check=True)
    _postfix(at, "start")


def _postfix(at: Path, word: str) -> None:
    command = [*_become(), shutil.which("postfix") or "/usr/sbin/postfix", "-c", str(at / "conf"), word]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def _become() -> list[str]:
    return [] if os.geteuid() == 0 else ["sudo", "-n"]
