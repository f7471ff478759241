"""`python -m bench.send`: the product's own engine processes beside Postfix's load generator, into the same sink.

20,000 personalised mails of 10 kB with three signed links each are planned, decided again, composed, handed over,
recorded and audited, on PostgreSQL with and without RSA-2048 and on SQLite. Before each, smtp-source hands over as many
mails of the same octets. Prints medians and spread of the ratios, a worker's time by stage, and
`send ratio=… ratio_rsa=… ratio_sqlite=…`: without signature, with RSA-2048, and SQLite beside PostgreSQL.
"""

import argparse
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import select

from bench.installation import Engines, Installation, engines
from bench.servers import Sink, durable_postgresql, folder, sink, smtp_source
from bench.stages import stages
from outreach.pipeline.letters import write_letters
from outreach.store.schema.campaigns import message

_MAILS = 20_000
_WARM_UP = 3_000
_REPEATS = 5


@contextmanager
def installed(store: str, port: int, *, workers: int) -> Iterator[Installation]:
    """An installation of its own on "postgresql" (durable) or "sqlite", its relay at `port`."""
    with folder() as place:
        if store == "sqlite":
            yield Installation(place / "instance", f"sqlite:///{place / 'outreach.db'}", port, workers)
            return
        with durable_postgresql() as server:
            yield Installation(place / "instance", server.url(server.create()), port, workers, server.pid)


def octets(here: Installation) -> bytes:
    """One mail as it was sent."""
    with here.ctx.db.reading() as conn:
        query = select(message.c.id).where(message.c.origin == "campaign").order_by(message.c.id.desc())
        one = conn.execute(query.limit(1)).scalar_one()
    (parcels,) = write_letters(here.ctx, [one], time.monotonic()).parcels.values()
    return parcels[0].data


def measure(here: Installation, running: Engines, into: Sink, mails: int, repeats: int, label: str) -> list[float]:
    """Ratios to smtp-source, one a repeat."""
    here.send(here.campaign(), running)
    like = octets(here)
    ratios = []
    for _ in range(repeats):
        theirs = mails / smtp_source(into.port, like, mails)
        before = into.cpu
        run = here.send(here.campaign(), running)
        ratios.append(run.rate / theirs)
        spent = {
            "workers": run.worker_cpu,
            "scheduler": run.scheduler_cpu,
            "database": run.store_cpu,
            "sink": into.cpu - before,
        }
        print(
            f"  {label}: {run.rate:,.0f}/s beside {theirs:,.0f}/s = {ratios[-1]:.2f}; {len(like)} octets; "
            f"processor µs a mail: {_listed({name: seconds / run.mails * 1e6 for name, seconds in spent.items()})}; "
            f"sealed after {run.sealed_seconds / run.seconds:.2f} of the time",
            flush=True,
        )
    return ratios


def _listed(microseconds: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.0f}" for name, value in microseconds.items())


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--mails", type=int, default=_MAILS)
    options.add_argument("--repeats", type=int, default=_REPEATS)
    options.add_argument("--workers", type=int, default=3)
    options.add_argument("--only", choices=["postgresql", "sqlite"])
    chosen = options.parse_args()
    found: dict[str, list[float]] = {}
    with sink() as into:
        for store in ("postgresql", "sqlite"):
            if chosen.only not in {None, store}:
                continue
            with installed(store, into.port, workers=chosen.workers) as here:
                here.readers(chosen.mails)
                for kind in ("", "rsa") if store == "postgresql" else ("",):
                    here.sign_with(kind)
                    name = f"{store}{'_' if kind else ''}{kind}"
                    with engines(here) as running:
                        found[name] = measure(here, running, into, chosen.mails, chosen.repeats, name)
                    print(f"  {name}: a worker's own µs a mail by stage: {_listed(stages(here))}", flush=True)
    for name, ratios in found.items():
        print(f"{name}: median {statistics.median(ratios):.2f}, spread {min(ratios):.2f} to {max(ratios):.2f}")
    middle = {name: statistics.median(ratios) for name, ratios in found.items()}
    print(
        f"send ratio={middle.get('postgresql', 0):.2f} ratio_rsa={middle.get('postgresql_rsa', 0):.2f} "
        f"ratio_sqlite={middle.get('sqlite', 0) / middle.get('postgresql', 1):.2f}"
    )


if __name__ == "__main__":
    main()
