"""The organisation of the chaos proof, made through the services: topics, caps, thousands of people who agreed.

Whatever is done here while databases die is done again until it is known to be done.
"""

import csv
import io
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from outreach.config import Settings
from outreach.domain.actors import CONSOLE, Actor, Role
from outreach.domain.policies import Name, of_caps
from outreach.services import campaigns, topics
from outreach.services.context import Context, open_context
from outreach.services.controller import Controller
from outreach.services.import_contacts import Import, apply_import, rehearse_import
from outreach.services.policies.changes import change_policy
from outreach.services.senders import SenderFacts, list_senders
from outreach.services.sessions import Client
from outreach.services.set_up import SetUp, make_set_up_link, set_up
from outreach.services.topics import NewText, NewTopic
from outreach.store.schema.organisation import staff
from tests.acceptance.office import PASSWORD, TITLES, WORDINGS
from tests.acceptance.people import GARDEN, SALES, Person, population
from tests.acceptance.product import DAY, HOST

PROMISE, TOTAL, PROMOTIONAL = 5, 8, 1
"""The three caps, each in any seven days: of a topic's text, over everything, and of promotions."""

WINDOW = 7 * DAY
_PATIENCE_SECONDS = 90.0
_Made = TypeVar("_Made")


def insist(act: Callable[[], _Made]) -> _Made:
    """Do it, and where the database dies over it, do it again: `act` must bear being done twice."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            return act()
        except DBAPIError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)


def open_house(instance: Path, database_url: str, clock: Path) -> Context:
    """A context over a migrated store, as a web server on this host would have."""
    settings = Settings(
        instance=instance, database_url=database_url, clock_file=clock, public_url=f"https://{HOST}", sign_up_seconds=0
    )
    return open_context(settings)


@dataclass
class House:
    """The organisation and its people. `topics`: refs by slug."""

    ctx: Context
    seed: int
    size: int
    actor: Actor = CONSOLE
    topics: dict[str, bytes] = field(default_factory=dict)
    people: list[Person] = field(default_factory=list)

    def found(self) -> None:
        """Set it up and bring everybody in, before anything dies."""
        self._set_up()
        for slug in (GARDEN, SALES):
            self._open_topic(slug)
        for name, most in ((Name.CAP_PROMOTIONAL, PROMOTIONAL), (Name.CAP_TOTAL, TOTAL)):
            change_policy(self.ctx, self.actor, name, of_caps((most, WINDOW)), f"{most} a week are enough")
        self.people = [replace(person, ticked=person.topics) for person in population(self.size, self.seed)]
        files = Import(rows=self._rows(), no_suppressions=True)
        rehearse_import(self.ctx, self.actor, files)
        report = apply_import(self.ctx, self.actor, files)
        assert report.granted == sum(len(person.topics) for person in self.people), report.reasons()

    def _set_up(self) -> None:
        given = SetUp(
            controller=Controller(
                name="Northfield Garden Society",
                postal_address="1 Orchard Lane, Northfield",
                quiet_from=0,
                quiet_to=0,
            ),
            sender=SenderFacts(
                name="Northfield",
                postal_address="1 Orchard Lane, Northfield",
                from_local="news",
                from_domain="northfield.example",
            ),
            name="Ada Lund",
            address="ada@northfield.example",
            password=PASSWORD,
            roles=frozenset(Role),
        )
        link = make_set_up_link(self.ctx)
        set_up(self.ctx, link.rpartition("/")[2], given, Client("Chaos", "192.0.2.0/24"))
        with self.ctx.db.reading() as conn:
            row = conn.execute(select(staff.c.id, staff.c.ref)).one()
        self.actor = Actor(f"staff:{row.ref.hex()}", frozenset(Role), row.id)

    def _open_topic(self, slug: str) -> None:
        title = TITLES[slug]["en"]
        new = NewTopic(
            slug=slug,
            sender=list_senders(self.ctx, self.actor)[0].ref,
            name=title,
            purpose="what to sow, prune and plant, and when",
            retention_days=1095,
            expires_days=None,
            not_for_children=True,
        )
        self.topics[slug] = topics.create_topic(self.ctx, self.actor, new)
        text = NewText(
            locale="en",
            title=title,
            gets=f"{title}, by our members",
            wording=WORDINGS["en"].format(title),
            kinds=("informational", "promotional"),
            cap_n=PROMISE,
            cap_window=WINDOW,
            ratio_k=0,
        )
        topics.publish_text(self.ctx, self.actor, self.topics[slug], text)

    def _rows(self) -> bytes:
        file = io.StringIO()
        writer = csv.writer(file)
        writer.writerow(("address", "topic", "source", "time", "text", "locale", "name"))
        for person in self.people:
            for slug in person.topics:
                wording = WORDINGS["en"].format(TITLES[slug]["en"])
                row = (person.typed, slug, "a form at the fair", "2025-01-10T10:00:00Z", wording, person.locale)
                writer.writerow((*row, f"Reader {person.number}"))
        return file.getvalue().encode()

    def draft(self, name: str, slug: str, kind: str) -> bytes:
        """A campaign ready to be scheduled; its ref."""
        new = campaigns.NewCampaign(name=name, topic=self.topics[slug], kind=kind)
        ref = campaigns.create_campaign(self.ctx, self.actor, new)
        body = (
            "Dear {{ name | default: 'gardener' }}\n\nSow broad beans now. [More](https://northfield.example/beans)\n"
        )
        words = campaigns.Words(name=name, subject=name, preheader="In good time", body=body)
        campaigns.edit_words(self.ctx, self.actor, ref, words)
        return ref
