"""`python -m bench.peers`: the same mail to the same list through GNU Mailman 3, django-newsletter and this product.

The peers come from PyPI, each into an environment of its own. Each has the same readers and sends the same words, as
text and as HTML, with the reader's name and three links, about 10 kB a mail, into the same smtp-sink. A few mails of
each peer are read before anything is timed; then the three take turns. A rate is messages a second from "send" to the
relay having the last one; starting up and filling lists count for nobody. The peers' lists are short, for they are
slow; a run over a quarter of each list shows that the rate does not hang on its length.

The peers keep their lists in SQLite, as Mailman does unless told otherwise and as we do; so `ratio` compares three on
SQLite, and `ratio_postgresql` says the same of ours on a durable PostgreSQL that shares the machine. Prints
`peers ratio=… ratio_postgresql=… mailman=… newsletter=… ours=… ours_postgresql=…`: median messages a second, and ours
in the faster peer's.
"""

import argparse
import statistics
from pathlib import Path

from bench.peers import letter, ours
from bench.peers.arrivals import caught
from bench.peers.mailman import Mailman
from bench.peers.newsletter import Newsletter
from bench.servers import folder, sink

_FEW = 20
_PART = 4


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readers", type=int, default=1_000, help="of a peer's list")
    parser.add_argument("--ours", type=int, default=20_000, help="readers of ours")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    with folder() as place:
        mailman, newsletter = Mailman(place / "mailman"), Newsletter(place)
        for count in (_FEW, options.readers // _PART, options.readers):
            mailman.make_list(count)
        _read_a_few(mailman, newsletter, place)
        with sink() as into, mailman.running(into.port):
            _in_turn(mailman, newsletter, into.port, options.readers // _PART, options.ours // _PART, 1)
            rates = _in_turn(mailman, newsletter, into.port, options.readers, options.ours, options.repeats)
    for name, seen in rates.items():
        print(f"{name}: median {statistics.median(seen):,.0f}/s, spread {min(seen):,.0f} to {max(seen):,.0f}")
    middle = {name: statistics.median(seen) for name, seen in rates.items()}
    faster = max(middle["mailman"], middle["newsletter"])
    ratios = f"ratio={middle['ours'] / faster:.1f} ratio_postgresql={middle['ours_postgresql'] / faster:.1f}"
    print(f"peers {ratios} " + " ".join(f"{name}={rate:.0f}" for name, rate in middle.items()))


def _read_a_few(mailman: Mailman, newsletter: Newsletter, place: Path) -> None:
    people = letter.readers(_FEW)
    with caught(place / "newsletter-mails") as catch:
        newsletter.send(_FEW, catch.sink.port)
        print(f"newsletter: {catch.look(people)} octets a mail", flush=True)
    with caught(place / "mailman-mails") as catch, mailman.running(catch.sink.port):
        mailman.send(_FEW)
        print(f"mailman: {catch.look(people)} octets a mail", flush=True)


def _in_turn(
    mailman: Mailman, newsletter: Newsletter, port: int, theirs: int, our_readers: int, repeats: int
) -> dict[str, list[float]]:
    """Messages a second of each, `repeats` times one after the other, when those that keep running have warmed up."""
    rates: dict[str, list[float]] = {"mailman": [], "newsletter": [], "ours": [], "ours_postgresql": []}
    with ours.running("sqlite", port, our_readers) as product, ours.running("postgresql", port, our_readers) as larger:
        mailman.send(_FEW)
        print(f"ours: {product.octets} octets a mail, {our_readers} readers; a peer's list: {theirs}", flush=True)
        for _ in range(repeats):
            rates["mailman"].append(theirs / mailman.send(theirs))
            rates["newsletter"].append(theirs / newsletter.send(theirs, port))
            rates["ours"].append(our_readers / product.send(our_readers))
            rates["ours_postgresql"].append(our_readers / larger.send(our_readers))
            print("  " + ", ".join(f"{name} {seen[-1]:,.0f}/s" for name, seen in rates.items()), flush=True)
    return rates


if __name__ == "__main__":
    main()
