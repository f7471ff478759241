"""The two servers that are set side by side: the product's web, and a bare view under the very same command."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import insert, text

from bench.bare import connect, counter
from bench.installation import Installation
from bench.servers import free_port, wait_for_port

ROWS = 20_000


@dataclass(frozen=True)
class Sites:
    """Their ports on 127.0.0.1."""

    product: int
    bare: int


@contextmanager
def sites(here: Installation) -> Iterator[Sites]:
    """Both, until the block ends. The bare view has a table of its own, of `ROWS` rows, in the product's database."""
    _make_table(here)
    ports = Sites(free_port(), free_port())
    environment = here.environment | {"OUTREACH_LISTEN_PORT": str(ports.product), "OUTREACH_LOG_LEVEL": "info"}
    with (here.folder / "web.log").open("wb") as log, (here.folder / "bare.log").open("wb") as aside:
        product = subprocess.Popen([sys.executable, "-m", "outreach", "web"], env=environment, stdout=log, stderr=log)
        bare = None
        try:
            wait_for_port(ports.product)
            bare = subprocess.Popen(  # noqa: S603  ours
                _same_command(product.pid, ports),
                env=dict(os.environ) | {"BENCH_DATABASE": here.ctx.settings.database},
                stdout=aside,
                stderr=aside,
            )
            wait_for_port(ports.bare)
            yield ports
        finally:
            for one in (product, bare):
                if one is not None:
                    one.terminate()
                    one.wait(30)


def _same_command(pid: int, ports: Sites) -> list[str]:
    """What the product's server was started with, on another port and for another application."""
    words = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[:-1]
    changed = {str(ports.product): str(ports.bare), "wsgi:app": "bench.bare:app"}
    assert changed.keys() <= set(words), words
    return [changed.get(word, word) for word in words]


def _make_table(here: Installation) -> None:
    engine = connect(here.ctx.settings.database)
    with engine.begin() as conn:
        counter.create(conn)
        conn.execute(insert(counter), [{"id": number, "n": 0} for number in range(1, ROWS + 1)])
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(text("ANALYZE bench_counter"))
    engine.dispose()
