"""`make chaos`: a hundred kills on PostgreSQL with two hosts, or what is asked for; the last line holds the result."""

import argparse
import random
import signal
import sys
import time

from tests.chaos.play import Plan, play


def main() -> int:
    """Play once; 0 when everything holds."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--engine", choices=("embedded", "distributed"), default="distributed")
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="postgresql")
    parser.add_argument("--people", type=int, default=2400)
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("told to stop"))  # so that nothing is left behind
    print(f"seed {given.seed}", flush=True)
    began = time.monotonic()
    tally = play(Plan(**vars(given)))
    for fault in tally.faults[:50]:
        print(fault)
    print(tally.line(seconds=round(time.monotonic() - began), seed=given.seed))
    return 0 if tally.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
