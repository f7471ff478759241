"""`python -m bench.web`: the three pages a mail leads to, beside the least a web application can do that writes.

wrk holds 32 connections open to the product's own web server: it opens the why page, presses Confirm with the cookie
and form token a browser got, and posts one-click stops as a mail program does. Every post is the only one for its
token. In the same round, on the same database and under the same server and options, it posts to a bare Flask view that
updates one row by its key through SQLAlchemy Core (`bench.bare`). People came by an import, were sent a campaign and
asked by mail, all by the product's own processes; after each round the store is asked whether every press counted.
Then the same three while the product's scheduler and two workers send a campaign, beside the bare view at rest.

Prints a line a round, and at the end `web ratio=… p99_ms=… why=… confirm=… one_click=… sending=… sending_p99_ms=…
sqlite=… sqlite_p99_ms=… sqlite_sending=…`: rates as parts of the bare view's in the same run, medians of the rounds;
`ratio`, `sqlite` and the two of sending are the least of their three, every p99 the worst of its three.
"""

import argparse
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench.installation import Installation, engines
from bench.send import installed
from bench.servers import sink
from bench.web_load import Load, wrk
from bench.web_people import ENDLESS, People
from bench.web_servers import Sites, sites

PAGES = ("why", "confirm", "one_click")
_READERS = 40_000
_ROUNDS = 3
_SECONDS = 4
_MOST_A_SECOND = 2_000
"""More than any of the pages reaches: so many fresh tokens are made for each second."""


@dataclass(frozen=True)
class Round:
    """Requests a second and their slowest hundredth in milliseconds, by page; of the bare view too."""

    loads: dict[str, Load]

    def ratio(self, page: str, bare: float) -> float:
        return self.loads[page].rate / bare


def play(people: People, here: Sites, seconds: int, *, bare: bool) -> Round:
    """Each page in turn, after the bare view."""
    loads = {}
    if bare:
        loads["bare"] = wrk(here.bare, people.bare(), seconds, again=True)
    loads["why"] = wrk(here.product, people.why(), seconds, again=True)
    for page, lines in (("confirm", people.confirm), ("one_click", people.one_click)):
        before = people.acted(page)
        loads[page] = wrk(here.product, lines(seconds * _MOST_A_SECOND), seconds)
        done = people.acted(page) - before
        assert done >= loads[page].requests, f"{page}: {loads[page].requests} answers, {done} acts"
    return Round(loads)


def measure(store: str, port: int, options: argparse.Namespace) -> dict[str, float]:
    """The figures of one database, by name."""
    with installed(store, port, workers=2) as here:
        here.extra = dict(ENDLESS)
        people = People(here, options.readers)
        with engines(here) as running:
            people.import_all()
            here.send(here.campaign(kilobytes=4), running)
            people.ask(options.seconds * _MOST_A_SECOND * (options.rounds + 1))
        with _serving(here, people) as serving:
            rounds = [play(people, serving, options.seconds, bare=True) for _ in range(options.rounds)]
            for one in rounds:
                print(f"  {store}: {_line(one)}", flush=True)
            bare = statistics.median(one.loads["bare"].rate for one in rounds)
            sending = _while_sending(here, people, serving, options.seconds)
            print(f"  {store}, while a campaign is sent: {_line(sending)}", flush=True)
    found = {page: statistics.median(one.ratio(page, one.loads["bare"].rate) for one in rounds) for page in PAGES}
    return {
        **found,
        "p99_ms": max(statistics.median(one.loads[page].p99_ms for one in rounds) for page in PAGES),
        "sending": min(sending.ratio(page, bare) for page in PAGES),
        "sending_p99_ms": max(sending.loads[page].p99_ms for page in PAGES),
    }


@contextmanager
def _serving(here: Installation, people: People) -> Iterator[Sites]:
    with sites(here) as serving:
        people.open_pages(serving.product)
        yield serving


def _while_sending(here: Installation, people: People, serving: Sites, seconds: int) -> Round:
    """The same, with a campaign to everybody under way from before the first request to after the last."""
    with engines(here) as running:
        one = here.begin(here.campaign(kilobytes=4))
        people.wait_for_mail(one, running)
        played = play(people, serving, seconds, bare=False)
        running.must_live()
        assert people.waits(one), "the campaign was over before the last request: take more readers"
    return played


def _line(one: Round) -> str:
    return ", ".join(f"{name} {load.rate:,.0f}/s, p99 {load.p99_ms:.0f} ms" for name, load in one.loads.items())


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--readers", type=int, default=_READERS)
    options.add_argument("--rounds", type=int, default=_ROUNDS)
    options.add_argument("--seconds", type=int, default=_SECONDS)
    options.add_argument("--only", choices=["postgresql", "sqlite"])
    chosen = options.parse_args()
    stores = [store for store in ("postgresql", "sqlite") if chosen.only in {None, store}]
    with sink() as into:
        found = {store: measure(store, into.port, chosen) for store in stores}
    words = []
    for store, figures in found.items():
        mark = "sqlite_" if store == "sqlite" else ""
        words.append(f"{mark}ratio={min(figures[page] for page in PAGES):.2f}")
        words += [
            f"{mark}{name}={value:.0f}" if name.endswith("_ms") else f"{mark}{name}={value:.2f}"
            for name, value in figures.items()
        ]
    order = {"ratio": 0, "p99_ms": 1}
    print("web " + " ".join(sorted(words, key=lambda word: order.get(word.partition("=")[0], 2))))


if __name__ == "__main__":
    main()
