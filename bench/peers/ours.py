"""This product beside its peers: scheduler and workers as processes, either store, the peers' own words.

Its mail holds more than a peer's: signed links to stop, pause and ask why, one-click headers, the footer that says
why. It is planned, decided again, recorded and audited as any campaign; only DKIM is left to the relay, as the peers
leave it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import func, select, update

from bench.installation import Engines, Installation, engines
from bench.peers import letter
from bench.send import installed, octets
from outreach.mail.content import prepare
from outreach.store.schema.campaigns import campaign, content, message


@dataclass
class Ours:
    """An installation that runs, its readers filled in."""

    _here: Installation
    _engines: Engines

    def send(self, count: int) -> float:
        """Seconds from the instant a campaign to all `count` readers is due until its last mail is recorded as sent."""
        made = self._here.campaign()
        words = f"Dear {{{{ name }}}},\n\n{letter.plain()}"
        prepared = prepare(letter.SUBJECT, "", words).to_json()
        with self._here.ctx.db.transaction() as conn:
            written = select(campaign.c.content).where(campaign.c.id == made).scalar_subquery()
            conn.execute(update(content).where(content.c.id == written).values(prepared=prepared))
        run = self._here.send(made, self._engines)
        if run.mails != count:
            raise RuntimeError(f"{run.mails} of {count} mails were sent")
        with self._here.ctx.db.reading() as conn:
            due = conn.execute(select(campaign.c.due).where(campaign.c.id == made)).scalar_one()
            last = conn.execute(select(func.max(message.c.settled)).where(message.c.campaign == made)).scalar_one()
        assert due is not None
        return float(last - due) / 1e6

    @property
    def octets(self) -> int:
        """The size of one mail as it was sent."""
        return len(octets(self._here))


@contextmanager
def running(store: str, port: int, readers: int, *, workers: int = 2) -> Iterator[Ours]:
    """A scheduler and workers on "sqlite" or "postgresql", warmed up, delivering to `port` of this machine."""
    with installed(store, port, workers=workers) as here:
        here.readers(readers)
        with engines(here) as processes:
            product = Ours(here, processes)
            product.send(readers)
            yield product
