"""A site on several machines, as processes of its own: a folder a host, one PostgreSQL, one broker, one mail server."""

import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import func, insert, select, update

from outreach.config import Settings
from outreach.engines.broker import Listener
from outreach.engines.senders import Nudges
from outreach.mail.content import prepare
from outreach.services.context import Context
from outreach.store.schema.audit import leader
from outreach.store.schema.campaigns import attempt, campaign, content, message
from tests.acceptance.postman import Postman
from tests.factories import World
from tests.foundations.installation import AMPLE_SECONDS, ROOT, own_environment, wait_for
from tests.guards.living import free_port


@dataclass
class Host:
    """One machine: an instance folder with the site's keys, and what runs on it."""

    folder: Path
    environment: dict[str, str]
    running: "list[subprocess.Popen[bytes]]" = field(default_factory=list)

    def begin(self, *words: str) -> "subprocess.Popen[bytes]":
        """`python -m outreach <words>`, left running."""
        with (self.folder / "log").open("ab") as log:
            command = [sys.executable, "-m", "outreach", *words]
            process = subprocess.Popen(
                command, cwd=ROOT, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        self.running.append(process)
        return process

    @property
    def log(self) -> str:
        """All that its processes wrote."""
        return (self.folder / "log").read_text()

    def journals(self) -> set[str]:
        """The workers of this host that have begun, two a process, and are not reaped. A name holds the process id."""
        return {path.stem for path in (self.folder / "journal").glob("*.journal")}

    def close(self) -> None:
        """End at once what runs still."""
        for process in self.running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


class Site:
    """Everything but the processes, which a test begins. `world` stands behind the desk."""

    def __init__(self, ctx: Context, broker_url: str, post: Postman, folder: Path) -> None:
        self.ctx, self.post, self.folder = ctx, post, folder
        self.broker_url = broker_url
        self.world = World(ctx)
        self.topic, self.text = self.world.topic(cap_n=100)
        self.author = self.world.staff()
        self.hosts: list[Host] = []

    def host(self, name: str, **settings: str) -> Host:
        """A machine that was set up as the guide says: settings, and the first one's keys."""
        folder = self.folder / name
        folder.mkdir()
        shutil.copy(self.ctx.settings.instance / "keys.json", folder / "keys.json")
        environment = own_environment() | {
            "OUTREACH_INSTANCE": str(folder),
            "OUTREACH_DATABASE_URL": self.ctx.db.url,
            "OUTREACH_BROKER_URL": self.broker_url,
            "OUTREACH_DEMO_SMTP_PORT": str(self.post.port),
            "OUTREACH_INBOUND_PORT": str(free_port()),
            **settings,
        }
        self.hosts.append(Host(folder, environment))
        return self.hosts[-1]

    def people(self, count: int) -> None:
        """So many who agreed."""
        for _ in range(count):
            self.world.grant(self.world.person(), self.topic, self.text, cap_n=100)

    def campaign(self) -> int:
        """A campaign to all of them, due now; a scheduler will find it."""
        made = self.world.campaign(self.topic, author=self.author, state="scheduled", due=0)
        prepared = prepare("Pruning roses", "before frost", "Dear {{ first_name }}").to_json()
        with self.ctx.db.transaction() as conn:
            row = insert(content).values(
                ref=secrets.token_bytes(16), campaign=made, version=1, subject="Pruning roses", body="Dear reader",
                preheader="before frost", prepared=prepared, sha256=bytes(32), frozen=self.world.now,
            )  # fmt: skip
            frozen = conn.execute(row.returning(content.c.id)).scalar_one()
            conn.execute(update(campaign).where(campaign.c.id == made).values(content=frozen))
        return made

    def states(self, campaign_id: int) -> Counter[str]:
        """How many messages of it are in each state."""
        query = select(message.c.state, func.count()).where(message.c.campaign == campaign_id)
        with self.ctx.db.reading() as conn:
            return Counter({row[0]: row[1] for row in conn.execute(query.group_by(message.c.state))})

    def wait_until_sent(self, campaign_id: int, count: int) -> None:
        """Until everybody's message is settled, or is known not to be known."""

        def is_settled() -> bool:
            states = self.states(campaign_id)
            return states["sent"] + states["unknown"] == count

        wait_for(f"{count} mails to be settled", is_settled)

    def wait_for_post(self, count: int) -> None:
        """Until the mail server has taken so many."""
        wait_for(f"{count} mails to arrive", lambda: len(self.post.look().letters) >= count)

    def most_for_one(self) -> int:
        """How many mails the one who got most of them got."""
        return max(Counter(letter.to for letter in self.post.look().letters).values())

    def hosts_that_sent(self) -> int:
        """How many worker processes have attempts to their name. A worker's name: host, process, lanes, chance."""
        with self.ctx.db.reading() as conn:
            names = conn.execute(select(attempt.c.worker).distinct()).scalars()
            return len({name.rpartition("-bulk")[0] for name in names})

    def epoch(self) -> int:
        """Of the newest leader; 0 before the first."""
        with self.ctx.db.reading() as conn:
            return int(conn.execute(select(func.max(leader.c.epoch))).scalar() or 0)

    def close(self) -> None:
        """End at once what runs still."""
        for host in self.hosts:
            host.close()


def settings_for(broker_url: str) -> Settings:
    """Settings that name this broker, and a store nobody asks."""
    return Settings(instance=Path("nowhere"), database_url="postgresql://outreach@/outreach", broker_url=broker_url)


@contextmanager
def listening(settings: Settings) -> Iterator[Nudges]:
    """A listener in this process, and the events it sets."""
    nudges: Nudges = {"express": threading.Event(), "bulk": threading.Event()}
    listener = Listener(settings, nudges)
    listener.start()
    try:
        yield nudges
    finally:
        listener.stop()


def ends_by_itself(process: "subprocess.Popen[bytes]") -> int:
    """Ask it to stop, as a service manager does, and wait. Returns its exit status."""
    process.send_signal(signal.SIGTERM)
    return process.wait(AMPLE_SECONDS)
