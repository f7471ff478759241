"""The product as a person starts it, `outreach demo` or `outreach run`, on ports of its own until the block ends."""

import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

from tests.acceptance.postman import wait_for
from tests.guards.living import free_port

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Product:
    """Where it answers, and its instance folder. `printed`: the file that takes what it says on its terminal.

    `mail_port`: where mail comes in.
    """

    url: str
    instance: Path
    printed: Path
    mail_port: int

    @property
    def sign_in(self) -> tuple[str, str]:
        """Address and password of the demonstration's staff."""
        address, password, *_ = (self.instance / "sign-in.txt").read_text().split()
        return address, password

    @property
    def member_sign_in(self) -> tuple[str, str]:
        """Address and password of a member of the demonstration."""
        *_, address, password = (self.instance / "sign-in.txt").read_text().split()
        return address, password

    @property
    def set_up_link(self) -> str:
        """The one-time address `run` prints."""
        return next(word for word in self.printed.read_text().split() if "/set-up/" in word)

    def is_up(self) -> bool:
        """Whether the web answers."""
        try:
            with urllib.request.urlopen(f"{self.url}/sign-in") as answer:
                return bool(answer.status == 200)
        except (URLError, ConnectionError):
            return False


@contextmanager
def running(folder: Path, word: str) -> Iterator[Product]:
    """`python -m outreach <word>` over a fresh instance in `folder`."""
    folder.mkdir(parents=True)
    port, mail_port = free_port(), free_port()
    product = Product(f"http://127.0.0.1:{port}", folder / "instance", folder / "printed.txt", mail_port)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("OUTREACH_")}
    environment = kept | {
        "OUTREACH_INSTANCE": str(product.instance),
        "OUTREACH_LISTEN_PORT": str(port),
        "OUTREACH_PUBLIC_URL": product.url,
        "OUTREACH_DEMO_SMTP_PORT": str(free_port()),
        "OUTREACH_INBOUND_PORT": str(mail_port),
        "OUTREACH_SIGN_UP_SECONDS": "0",  # a test types and knocks faster than people do
        "OUTREACH_HTTP_LIMIT": "100000/minute",
        "OUTREACH_SIGN_IN_LIMIT": "1000/minute",
        "OUTREACH_LOG_LEVEL": "warning",
    }
    with product.printed.open("wb") as terminal:
        process = subprocess.Popen(
            [sys.executable, "-m", "outreach", word], cwd=ROOT, env=environment, stdout=terminal, stderr=terminal
        )
        try:
            wait_for("the web to answer", lambda: _is_ready(process, product), seconds=120)
            yield product
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


def _is_ready(process: "subprocess.Popen[bytes]", product: Product) -> bool:
    assert process.poll() is None, product.printed.read_text()[-2000:]
    return product.is_up()
