"""`python -m bench.memory`: whether a worker's memory stays flat, however much it sends. VmHWM of proc(5), in MB.

A scheduler and two workers, as processes, send 10 kB mails from PostgreSQL into smtp-sink: first a campaign to 100,000
people, then nine more through the same processes, until a million messages have gone. With `--large` fresh processes
then send one campaign to a million people, who take as long to make as to mail; `mb_1m` is the larger figure of the
two. Prints `memory mb_100k=… mb_1m=… scheduler=…`: the highest of any worker after so many messages, and the
scheduler's after all.
"""

import argparse
import time

from bench.installation import Engines, Installation, engines
from bench.send import installed
from bench.servers import peak_megabytes, sink

_PEOPLE = 100_000
_CAMPAIGNS = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=_PEOPLE, help="of a campaign")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--large", action="store_true", help="also one campaign to ten times as many")
    options = parser.parse_args()
    with sink() as into, installed("postgresql", into.port, workers=options.workers) as here:
        here.readers(options.people)
        with engines(here) as running:
            peaks = [_send(here, running) for _ in range(_CAMPAIGNS)]
            scheduler = peak_megabytes(running.scheduler.pid)
    first, last = peaks[0], peaks[-1]
    if options.large:
        with sink() as into, installed("postgresql", into.port, workers=options.workers) as here:
            here.readers(options.people * _CAMPAIGNS)
            with engines(here) as running:
                last = max(last, _send(here, running))
                scheduler = max(scheduler, peak_megabytes(running.scheduler.pid))
    print(f"memory mb_100k={first:.0f} mb_1m={last:.0f} scheduler={scheduler:.0f}")


def _send(here: Installation, running: Engines) -> float:
    """One campaign to everybody; the workers' peak so far, in MB."""
    began = time.perf_counter()
    run = here.send(here.campaign(), running)
    peak = running.peak_megabytes
    print(
        f"  {run.mails:,} mails in {time.perf_counter() - began:.0f} s: workers' peak {peak:.0f} MB, "
        f"scheduler's {peak_megabytes(running.scheduler.pid):.0f} MB",
        flush=True,
    )
    return peak


if __name__ == "__main__":
    main()
