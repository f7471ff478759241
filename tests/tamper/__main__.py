"""`make tamper`: every case on SQLite and on PostgreSQL; the last line holds the result."""

import sys
import tempfile
import time
from pathlib import Path

from tests.postgresql import cluster
from tests.tamper.cases import cases
from tests.tamper.life import live
from tests.tamper.play import play
from tests.tamper.stores import Stores


def main() -> int:
    """0 when nothing was missed."""
    began, count, missed = time.monotonic(), 0, 0
    with tempfile.TemporaryDirectory(prefix="outreach-tamper-") as place, cluster() as server:
        folder = Path(place)
        for stores in (Stores(folder, None), Stores(folder, server)):
            house = live(stores, folder)
            for outcome in play(house, cases(), folder):
                print(outcome.line(), flush=True)
                count += 1
                missed += bool(outcome.missed)
            stores.close()
    print(f"tamper cases={count} missed={missed} seconds={time.monotonic() - began:.0f}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
