"""Makes reports with a real mail server: `python -m tests.mail.inbound.making.make postfix ROOT OUT` (see README.md).

Runs in name spaces of its own (mounts, network, host name, processes), so that nothing here hears of it: there is
only a loopback interface, and every process ends with this one. Needs root, for the ports and the mounts.
"""

import os
import re
import smtplib
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.mail.inbound.making import mail_servers, servers
from tests.mail.inbound.making.cases import CASES, Case

TICKET = "00112233445566778899aabbccddeeff0123456789abcdef01234567"
_INSIDE = "OUTREACH_MAKING"
_QUIET, _LONGEST = 25, 120  # seconds without a new report, and in all
_USERS = "".join(
    f"{name}:x:{number}:{number}::/var/lib/{name}/empty:/usr/sbin/nologin\n"
    for number, name in enumerate(("Debian-exim", "opensmtpd", "opensmtpq"), 790)
)
_GROUPS = "".join(f"{name}:x:{number}:\n" for number, name in enumerate(("Debian-exim", "opensmtpd", "opensmtpq"), 790))
_LETTER = """\
From: Garden Club <news@example.org>
To: {to}
Subject: Garden tips in March
Date: Tue, 03 Mar 2026 10:00:00 +0000
Message-ID: <{name}@mail.example.org>
List-Unsubscribe: <https://mail.example.org/u/abc>, <mailto:stop+{ticket}@in.example.org>
List-Unsubscribe-Post: List-Unsubscribe=One-Click
CFBL-Address: report+{ticket}@in.example.org; report=arf
CFBL-Feedback-ID: {ticket}
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8

Sow the peas now. Tell your friends.
"""


def main(server: str, root: Path, out: Path) -> None:
    """Send every case through `server`, its packages unpacked at `root`; what comes back goes to `out`."""
    if _INSIDE not in os.environ:
        spaces = ["unshare", "--mount", "--net", "--uts", "--pid", "--fork", "--mount-proc", "--kill-child"]
        again = [sys.executable, "-m", "tests.mail.inbound.making.make", server, str(root), str(out)]
        raise SystemExit(subprocess.run([*spaces, *again], env=os.environ | {_INSIDE: "1"}, check=False).returncode)
    with tempfile.TemporaryDirectory() as scratch:
        Path(scratch).chmod(0o755)
        _furnish(root, Path(scratch))
        catcher = servers.start()
        stop = mail_servers.STARTS[server](Path(scratch) / "at")
        _wait_for_greeting()
        for case in CASES:
            _send(case)
        _wait_until_quiet(catcher)
        if stop:
            subprocess.run(stop, check=False)
        _write(server, catcher, out)


def _write(server: str, catcher: servers.Mail, out: Path) -> None:
    made = Counter[str]()
    for _, octets in catcher.kept:
        name = f"{server}-{_name(octets)}"
        made[name] += 1
        if made[name] > 1:
            name += f"-{made[name]}"
        (out / f"{name}.eml").write_bytes(octets)
        print(name)


def _furnish(root: Path, scratch: Path) -> None:
    """Addresses of documentation (RFC 5737), a host name, name service, users, programs, folders: all for this run."""
    socket.sethostname("relay.example.org")
    for words in ("link set lo up", "address add 192.0.2.1/24 dev lo"):
        subprocess.run(["ip", *words.split()], check=True)
    files = {
        "/etc/resolv.conf": "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
        "/etc/hosts": "127.0.0.1 localhost\n",
        "/etc/passwd": Path("/etc/passwd").read_text() + _USERS,
        "/etc/group": Path("/etc/group").read_text() + _GROUPS,
    }
    for place, text in files.items():
        copy = scratch / place.replace("/", "_")
        copy.write_text(text)
        subprocess.run(["mount", "--bind", str(copy), place], check=True)
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", f"lowerdir={root}/usr:/usr", "/usr"], check=True)
    for place in ("/var/spool", "/var/lib", "/run", "/etc/opensmtpd"):
        if Path(place).exists():
            subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], check=True)
    empty = Path("/var/lib/opensmtpd/empty")
    empty.mkdir(parents=True)
    Path("/var/spool/smtpd").mkdir()
    for folder in (empty.parent, empty, Path("/var/spool"), Path("/var/spool/smtpd")):
        folder.chmod(0o711)


def _wait_for_greeting() -> None:
    for _ in range(100):
        try:
            smtplib.SMTP(servers.RELAY, 25, timeout=5).quit()
        except OSError:
            time.sleep(0.2)
        else:
            return
    raise SystemExit("the server does not start")


def _send(case: Case) -> None:
    """As the product does: VERP sender, Message-ID as envelope identifier, headers only unless told."""
    letter = "".join(
        f"Received: from hop{n}.example.org by hop{n + 1}.example.org; Tue, 3 Mar 2026 09:00:00 +0000\n"
        for n in range(case.hops)
    )
    letter += _LETTER.format(to=case.address, name=case.name, ticket=TICKET)
    with smtplib.SMTP(servers.RELAY, 25, timeout=30) as relay:
        relay.ehlo("mail.example.org")
        wants, notify = [], []
        if relay.has_extn("dsn"):
            wants = [f"RET={'FULL' if case.with_copy else 'HDRS'}", f"ENVID={case.name}@mail.example.org"]
            notify = ["NOTIFY=SUCCESS,FAILURE,DELAY" if case.success else "NOTIFY=FAILURE,DELAY"]
            notify.append(f"ORCPT=rfc822;{case.address}")
        try:
            relay.sendmail(f"bounce+{TICKET}@in.example.org", [case.address], letter.encode(), wants, notify)
        except smtplib.SMTPResponseException as refused:
            print(case.name, "refused at once:", refused)


def _wait_until_quiet(catcher: servers.Mail) -> None:
    begun = time.monotonic()
    while time.monotonic() - begun < _LONGEST:
        last = max([begun, *(when for when, _ in catcher.kept)])
        if time.monotonic() - last > _QUIET:
            return
        time.sleep(1)


def _name(octets: bytes) -> str:
    """The case and what became of it."""
    text = octets.decode("utf-8", "replace")
    case = next((one.name for one in CASES if one.address in text), "nobody")
    action = re.search(r"^Action: (\w+)", text, re.MULTILINE)
    if "Envelope expired" in text:  # OpenSMTPD gave up, whatever it says there
        return f"{case}-expired"
    return f"{case}-{action[1].lower() if action else 'told'}"


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
