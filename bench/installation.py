"""An installation to measure: readers with real boxes, a sender, campaigns, and the product's own engine processes."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import func, insert, select, update

from bench.servers import cpu_below, cpu_of, peak_megabytes
from outreach.config import Settings
from outreach.domain import addresses
from outreach.hosts import Relay
from outreach.mail import dkim
from outreach.mail.content import prepare
from outreach.services.context import Context, open_context
from outreach.store.boxes import ContactKeys
from outreach.store.bulk import analyse
from outreach.store.migrate import upgrade
from outreach.store.newcomers import Newcomer, ensure_contacts
from outreach.store.schema.audit import audit_pending
from outreach.store.schema.campaigns import campaign, content, message
from outreach.store.schema.consents import consent
from outreach.store.schema.organisation import sender
from outreach.store.schema.people import contact
from tests.factories import World

_SLICE = 2000
_ENDLESS = 10**6
_MAIL_IN = "in.northfield.example"  # each mail has its ticket, as a site that listens sends it
_PATIENCE_SECONDS = 1800.0
_PARAGRAPH = (
    "Dear {{ first_name }}, the frost in {{ town }} is later than last year, says {{ name }} of the {{ club }}, "
    "so leave the roses alone until the buds swell; whoever prunes now will prune again in April. "
)
_FILLER = (
    "Sow onions and leeks under glass, keep the paths clear of moss, and look over the dahlias you stored in autumn: "
    "what has gone soft goes to the compost, what is dry wants a little water. The meeting is on Tuesday evening. "
)


@dataclass(frozen=True)
class Run:
    """One campaign sent: from the instant it began to the last message recorded, and to the last entry sealed."""

    mails: int
    seconds: float
    sealed_seconds: float
    worker_cpu: float
    scheduler_cpu: float
    store_cpu: float

    @property
    def rate(self) -> float:
        return self.mails / self.seconds


@dataclass
class Installation:
    """Its store is filled through the product's own writing of contacts; `environment` is what its processes get."""

    folder: Path
    database_url: str
    relay_port: int
    workers: int = 2
    store_pid: int = 0
    extra: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        relay = Relay(host="127.0.0.1", port=self.relay_port, security="none", connections=10)
        self.ctx: Context = open_context(
            Settings(
                instance=self.folder,
                database_url=self.database_url,
                public_url="https://mail.northfield.example",
                relays={"main": relay},
                inbound_domain=_MAIL_IN,
            )
        )
        upgrade(self.ctx.db)
        self.world = World(self.ctx)
        self.topic, self.text = self.world.topic(cap_n=_ENDLESS)
        self.author = self.world.staff()
        with self.ctx.db.transaction() as conn:
            conn.execute(update(sender).values(relay="main"))
        self.world.cap("total", _ENDLESS, 604_800)

    @property
    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("OUTREACH_")}
        return kept | {
            "OUTREACH_INSTANCE": str(self.folder),
            "OUTREACH_DATABASE_URL": self.database_url,
            "OUTREACH_PUBLIC_URL": "https://mail.northfield.example",
            "OUTREACH_RELAYS__MAIN__HOST": "127.0.0.1",
            "OUTREACH_RELAYS__MAIN__PORT": str(self.relay_port),
            "OUTREACH_RELAYS__MAIN__SECURITY": "none",
            "OUTREACH_RELAYS__MAIN__CONNECTIONS": "10",
            "OUTREACH_INBOUND_DOMAIN": _MAIL_IN,
            "OUTREACH_LOG_LEVEL": "warning",
            **self.extra,
        }

    def readers(self, count: int) -> None:
        """People who agreed to the topic, each with fields of their own."""
        self.readers_made = count
        for start in range(0, count, _SLICE):
            people = [self._reader(number) for number in range(start, min(count, start + _SLICE))]
            with self.ctx.db.transaction() as conn:
                keys = ContactKeys(self.ctx.keyring, conn)
                made = ensure_contacts(conn, self.ctx.keyring, keys, people, now=self.world.now)
                rows = [
                    {"contact": person.id, "topic": self.topic, "state": "granted", "since": self.world.now,
                     "text": self.text, "cap_n": _ENDLESS, "cap_window": 604_800, "ratio_k": 0,
                     "kinds": "informational,promotional"}
                    for person in made.values()
                ]  # fmt: skip
                conn.execute(insert(consent), rows)
        with self.ctx.db.transaction() as conn:
            analyse(conn, contact, consent)  # as an import does

    def _reader(self, number: int) -> Newcomer:
        fields = {"name": f"Reader {number} Lindqvist", "town": f"Town {number % 97}", "club": "Garden Society"}
        return Newcomer(addresses.parse(f"reader{number}@example.org"), "en", "Europe/Stockholm", fields)

    def sign_with(self, kind: str) -> None:
        """Sign from now on with a fresh key: "rsa" or "ed25519"; "" for no signature."""
        with self.ctx.db.transaction() as conn:
            row = conn.execute(select(sender.c.ref)).one()
            conn.execute(update(sender).values(dkim_selector="bench" if kind else ""))
        if kind:
            path = self.folder / "dkim" / f"{row.ref.hex()}.pem"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(dkim.make_key(kind))
            path.chmod(0o600)

    def campaign(self, *, kilobytes: int = 10) -> int:
        """A campaign of about so many kB, frozen and ready, begun by nobody yet."""
        paragraphs = "\n\n".join([_PARAGRAPH, *[_FILLER * 2] * _paragraphs(kilobytes)])
        prepared = prepare("News for {{ first_name }} of {{ town }}", "before frost", paragraphs).to_json()
        made = self.world.campaign(self.topic, author=self.author, state="draft")
        with self.ctx.db.transaction() as conn:
            frozen = conn.execute(
                insert(content).values(
                    ref=secrets.token_bytes(16), campaign=made, version=1, subject="News", preheader="before frost",
                    body="", prepared=prepared, sha256=bytes(32), frozen=self.world.now,
                ).returning(content.c.id)
            ).scalar_one()  # fmt: skip
            conn.execute(update(campaign).where(campaign.c.id == made).values(content=frozen))
        return made

    def begin(self, campaign_id: int) -> int:
        """Make it due now."""
        with self.ctx.db.transaction() as conn:
            now = self.ctx.db.now(conn)
            conn.execute(update(campaign).where(campaign.c.id == campaign_id).values(state="scheduled", due=now))
        return campaign_id

    def send(self, campaign_id: int, engines: "Engines") -> Run:
        """Let the running engines send it, and wait until it is recorded and sealed."""
        before, store = engines.cpu, self._store_cpu
        self.begin(campaign_id)
        self._wait(campaign_id, engines)
        after, store = engines.cpu, self._store_cpu - store
        with self.ctx.db.reading() as conn:
            began = conn.execute(select(campaign.c.started).where(campaign.c.id == campaign_id)).scalar_one()
            query = select(func.count(), func.max(message.c.settled)).where(
                message.c.campaign == campaign_id, message.c.state == "sent"
            )
            mails, last = conn.execute(query).one()
            sealed = self.ctx.db.now(conn)
        assert began is not None
        return Run(
            mails, (last - began) / 1e6, (sealed - began) / 1e6, after[0] - before[0], after[1] - before[1], store
        )

    @property
    def _store_cpu(self) -> float:
        """Processor seconds of the database server; SQLite's are the workers' and the scheduler's own."""
        return cpu_below(self.store_pid) if self.store_pid else 0.0

    def _wait(self, campaign_id: int, engines: "Engines") -> None:
        until = time.monotonic() + _PATIENCE_SECONDS
        while time.monotonic() < until:
            time.sleep(0.1)
            with self.ctx.db.reading() as conn:
                state = conn.execute(select(campaign.c.state).where(campaign.c.id == campaign_id)).scalar_one()
                if state == "sent" and not conn.execute(select(func.count()).select_from(audit_pending)).scalar_one():
                    return
            engines.must_live()
        raise TimeoutError("the campaign was not sent in time")


class Engines:
    """The scheduler and the workers of an installation, as processes."""

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self.scheduler = self._start("scheduler")
        self.workers = [self._start("worker") for _ in range(installation.workers)]

    def _start(self, word: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "outreach", word]
        return subprocess.Popen(command, env=self._installation.environment)  # noqa: S603  our own

    @property
    def cpu(self) -> tuple[float, float]:
        """(workers', scheduler's) processor seconds so far."""
        return sum(cpu_of(one.pid) for one in self.workers), cpu_of(self.scheduler.pid)

    @property
    def peak_megabytes(self) -> float:
        """The most memory any worker has held."""
        return max(peak_megabytes(one.pid) for one in self.workers)

    def must_live(self) -> None:
        """Raises RuntimeError when one of them ended."""
        for one in (self.scheduler, *self.workers):
            if one.poll() is not None:
                raise RuntimeError(f"an engine process ended with {one.returncode}")

    def stop(self) -> None:
        """TERM, and wait."""
        for one in (self.scheduler, *self.workers):
            one.send_signal(signal.SIGTERM)
        for one in (self.scheduler, *self.workers):
            one.wait(60)


@contextmanager
def engines(installation: Installation) -> Iterator[Engines]:
    """A scheduler and workers that run until the block ends."""
    running = Engines(installation)
    try:
        yield running
    finally:
        running.stop()


def _paragraphs(kilobytes: int) -> int:
    """Each comes twice, as HTML and as text, beside what frame and footer take."""
    return max(0, round((kilobytes * 1000 - 5500) / (4.3 * len(_FILLER))))
