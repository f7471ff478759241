"""`make acceptance`: the whole rehearsal with two thousand people, on SQLite and on PostgreSQL."""

import sys
import tempfile
import time
from pathlib import Path

from tests.acceptance.budgets import show_budgets
from tests.acceptance.rehearsal import rehearse
from tests.postgresql import cluster

PEOPLE = 2000


def main() -> int:
    """Run both stores; 0 when everything holds."""
    size = int(sys.argv[1]) if len(sys.argv) > 1 else PEOPLE
    with tempfile.TemporaryDirectory(prefix="outreach-acceptance-") as place, cluster() as server:
        for store in ("sqlite", "postgresql"):
            began = time.monotonic()
            folder = Path(place) / store
            urls = [server.url(server.create()) if store == "postgresql" else "" for _ in range(2)]
            tally = rehearse(folder / "main", urls[0], size)
            print(f"{tally.line()}  # {store}, {time.monotonic() - began:.0f} s", flush=True)
            tally.must_be_clean()
            print(f"{show_budgets(folder / 'budgets', urls[1])}  # {store}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
