"""`python -m bench.wire`: our SMTP client beside Postfix's load generator and beside smtplib, into the same sink.

The same 10 kB mail, 20,000 times over ten connections: by `smtp-source -d -s 10`, by our client and by the one made of
smtplib, both fed as a worker feeds them, in batches with a journal. Three rounds, medians. Prints
`wire ratio=… ratio_smtplib=… us_per_message=…`: the two clients' messages a second beside smtp-source's, and the
processor time a message costs in the process that runs our client, parcels and journal included.
"""

import random
import statistics
import string
import time
from dataclasses import dataclass

from bench.servers import Sink, folder, sink, smtp_source
from outreach.config import Settings
from outreach.hosts import Relay
from outreach.mail.relays import Router
from outreach.mail.transport import Parcel, Result
from outreach.pipeline.journal import WorkerJournal

_MAILS = 20_000
_ROUNDS = 3
_BATCH = 500
_WARM_UP = 1_000
_CONNECTIONS = 10
_OCTETS = 10_000


@dataclass(frozen=True)
class Run:
    """`rate`: messages a second. `cpu_us`, `sink_us`: processor microseconds a message, here and in the sink."""

    rate: float
    cpu_us: float
    sink_us: float


def main() -> None:
    mail = _mail()
    with sink() as server, folder() as place:
        journal = WorkerJournal(place, "bench")
        relays = {client: _relay(server, client) for client in ("pipelined", "smtplib")}
        router = Router(Settings(relays=relays, public_url="https://mail.example.org"), "client.example")
        for client in relays:
            _hand_over(router, client, journal, mail, _WARM_UP)
        smtp_source(server.port, mail, _WARM_UP, sessions=_CONNECTIONS)
        ratios: dict[str, list[float]] = {client: [] for client in relays}
        costs = []
        for _ in range(_ROUNDS):
            theirs = _MAILS / smtp_source(server.port, mail, _MAILS, sessions=_CONNECTIONS)
            for client in relays:
                run = _measured(server, router, client, journal, mail)
                ratios[client].append(run.rate / theirs)
                costs += [run.cpu_us] if client == "pipelined" else []
                print(
                    f"  {client}: {run.rate:,.0f}/s beside {theirs:,.0f}/s = {run.rate / theirs:.2f}; "
                    f"{len(mail)} octets; processor µs a mail: {run.cpu_us:.0f}, sink {run.sink_us:.0f}"
                )
        router.close()
        journal.close()
    print(
        f"wire ratio={statistics.median(ratios['pipelined']):.2f} "
        f"ratio_smtplib={statistics.median(ratios['smtplib']):.2f} us_per_message={statistics.median(costs):.1f} "
        f"ratio_least={min(ratios['pipelined']):.2f} ratio_most={max(ratios['pipelined']):.2f}"
    )


def _measured(server: Sink, router: Router, client: str, journal: WorkerJournal, mail: bytes) -> Run:
    cpu, sink_cpu, began = time.process_time(), server.cpu, time.perf_counter()
    _hand_over(router, client, journal, mail, _MAILS)
    seconds = time.perf_counter() - began
    a_mail = 1_000_000 / _MAILS
    return Run(_MAILS / seconds, (time.process_time() - cpu) * a_mail, (server.cpu - sink_cpu) * a_mail)


def _hand_over(router: Router, client: str, journal: WorkerJournal, mail: bytes, count: int) -> None:
    for start in range(0, count, _BATCH):
        now = time.monotonic()
        parcels = [
            Parcel(number, "news@northfield.example", f"reader{number}@example.org", mail, now)
            for number in range(start, start + _BATCH)
        ]
        outcomes = router.hand_off(client, parcels, journal)
        assert sum(outcome.result is Result.SENT for outcome in outcomes) == _BATCH
        journal.forget()


def _relay(server: Sink, client: str) -> Relay:
    return Relay.model_validate(
        {"host": "127.0.0.1", "port": server.port, "security": "none", "connections": _CONNECTIONS, "client": client}
    )


def _mail() -> bytes:
    """Lines of words, so that what looks for dots and line ends has something to look at."""
    chance = random.Random(1)  # noqa: S311  no secret is made of it
    words = ["".join(chance.choices(string.ascii_lowercase, k=chance.randint(2, 9))) for _ in range(300)]
    lines = ["From: news@northfield.example", "To: reader@example.org", "Subject: Garden tips", ""]
    while sum(map(len, lines)) + 2 * len(lines) < _OCTETS:
        lines.append((" ".join(chance.choices(words, k=11)) + ". More: https://northfield.example")[:76])
    return "\r\n".join([*lines, ""]).encode()


if __name__ == "__main__":
    main()
