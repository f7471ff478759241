"""`make acceptance`: the whole rehearsal with two thousand people, over both engines and both stores."""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.acceptance.budgets import show_budgets
from tests.acceptance.product import Where
from tests.acceptance.rehearsal import rehearse
from tests.postgresql import cluster
from tests.rabbitmq import broker

PEOPLE = 2000


def main() -> int:
    """SQLite and PostgreSQL under `run`, then PostgreSQL with a broker and every part by itself; 0 when all holds."""
    size = int(sys.argv[1]) if len(sys.argv) > 1 else PEOPLE
    with tempfile.TemporaryDirectory(prefix="outreach-acceptance-") as place, cluster() as server, broker() as queues:
        shapes: dict[str, Callable[[], Where]] = {
            "sqlite": Where,
            "postgresql": lambda: Where(server.url(server.create())),
            "machines": lambda: Where(server.url(server.create()), queues.url),
        }
        for name, where in shapes.items():
            began = time.monotonic()
            folder = Path(place) / name
            tally = rehearse(folder / "main", where(), size)
            print(f"{tally.line()}  # {name}, {time.monotonic() - began:.0f} s", flush=True)
            tally.must_be_clean()
            print(f"{show_budgets(folder / 'budgets', where())}  # {name}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
