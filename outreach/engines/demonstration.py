"""`outreach demo`: an invented organisation lives its last sixty days on a moved clock, so every page shows something.

Nothing is painted on: people sign up at the door, confirmations go through the pipeline to the demo mailbox, people
press, campaigns are planned and sent, some stop. Only the clock is moved. The people are invented.
"""

import random
import secrets
from collections.abc import Callable
from dataclasses import astuple, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import select

from outreach.domain.actors import CONSOLE, Actor, Role
from outreach.domain.campaign import Segment
from outreach.domain.policies import Name, of_caps
from outreach.domain.tokens import Purpose
from outreach.engines import postmasters
from outreach.engines.fiction import (
    CAMPAIGNS,
    DRAFT,
    FROST,
    MISTAKE,
    NEXT_WEEK,
    SENDER,
    SWAP,
    TEXTS,
    TOPICS,
    Person,
    invent_people,
)
from outreach.engines.neighbours import Neighbours
from outreach.engines.readers import Readers
from outreach.mail.relays import Router
from outreach.pipeline.journal import WorkerJournal
from outreach.pipeline.plan import begin_due, finish_campaigns, plan_next, release_waiting
from outreach.pipeline.send import Worker
from outreach.services import campaigns, confirm, desk, topics, withdraw
from outreach.services.confirm import Client
from outreach.services.context import Context
from outreach.services.controller import Controller
from outreach.services.expiry import expire
from outreach.services.import_contacts import Import, apply_import, rehearse_import
from outreach.services.policies.changes import change_policy
from outreach.services.requests import process_requests
from outreach.services.seal import seal
from outreach.services.senders import list_senders
from outreach.services.sessions import Client as Browser
from outreach.services.set_up import SetUp, make_set_up_link, set_up
from outreach.services.sign_up import SignUp, submit_sign_up
from outreach.services.transparency.publish import publish
from outreach.store.database import Database
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import confirmation, confirmation_topic, topic
from outreach.store.schema.organisation import staff

_DAYS = 60
_DAY_SECONDS = 86_400
_ADA = "ada@northfield.example"
_PEOPLE = 500
_CLIENT = Client(ip="192.0.2.1", browser="Demonstration")


@dataclass(frozen=True)
class SignIn:
    """How to look around: one account that holds every role of staff, and one member's."""

    address: str
    password: str
    member: str
    member_password: str


class Demonstration:
    """Plays the days in order. `ctx` is the demo's own: its instance folder holds nothing yet."""

    def __init__(self, ctx: Context) -> None:
        self._clock = ctx.settings.instance / "clock"
        generous = {
            "confirmations_per_network": 10_000,
            "confirmations_total": 100_000,
            "sign_up_seconds": 0,
            "clock_file": self._clock,
        }
        settings = ctx.settings.model_copy(update=generous)
        self.ctx = replace(ctx, settings=settings, db=Database(ctx.settings.database, clock_file=self._clock))
        self._dice = random.Random(2007)  # noqa: S311  fiction, the same each time
        carrier = Router(ctx.settings, ctx.settings.public_host)
        self._express = Worker(self.ctx, carrier, "express")
        self._bulk = Worker(self.ctx, carrier, "bulk")
        self._refs: dict[str, bytes] = {}
        self._actor = Actor("staff", frozenset(Role))

    def play(self) -> SignIn:
        """Everything, up to now."""
        self._go_to(_DAYS)
        password = self._set_up()
        journal = WorkerJournal(self._bulk.journals, self._bulk.name)
        neighbours = Neighbours(self.ctx, self._actor, lambda: self._send(journal))
        readers = Readers(self.ctx, self._actor, lambda: self._send(journal))
        neighbours.allow_mail()
        people = invent_people(self._dice, _PEOPLE)
        by_day: dict[int, list[Person]] = {}
        for person in people:
            by_day.setdefault(person.joined_days_ago, []).append(person)
        acts: dict[int, list[Callable[[], None]]] = {
            2: [self._record_desk_acts],
            4: [lambda: postmasters.report(self.ctx)],
            _DAYS - 2: [self._import_people],
        }
        for day in range(_DAYS - 1, -1, -1):
            self._go_to(day)
            self._sign_up(by_day.get(day, []), journal)
            for act in acts.get(day, []):
                act()
            self._campaigns_of(day, journal)
            self._leave(day)
            neighbours.live(day)
            readers.live(day)
        self._clock.unlink(missing_ok=True)
        self._come(journal)
        while seal(self.ctx, 0) is not None:
            pass
        publish(self.ctx, 0)
        journal.close()
        self.ctx.db.dispose()
        return SignIn(_ADA, password, *neighbours.sign_in)

    def _go_to(self, days_ago: int) -> None:
        self._clock.write_text(str(-days_ago * _DAY_SECONDS))

    def _set_up(self) -> str:
        password = secrets.token_urlsafe(12)
        given = SetUp(
            controller=Controller(
                name="Northfield Garden Society",
                postal_address="1 Orchard Lane, Northfield",
                privacy_contact="privacy@northfield.example",
                timezone="Europe/Stockholm",
                quiet_from=0,
                quiet_to=0,
            ),
            sender=SENDER,
            name="Ada Lind",
            address=_ADA,
            password=password,
            roles=frozenset(Role),
        )
        set_up(
            self.ctx,
            make_set_up_link(self.ctx).rsplit("/", 1)[1],
            given,
            Browser(browser="Demonstration", network="192.0.2.0/24"),
        )
        with self.ctx.db.reading() as conn:
            row = conn.execute(select(staff.c.id, staff.c.ref)).one()
            brand = list_senders(self.ctx, CONSOLE)[0].ref
        self._actor = Actor(f"staff:{row.ref.hex()}", frozenset(Role), row.id)
        for new in TOPICS:
            self._refs[new.slug] = topics.create_topic(self.ctx, self._actor, replace(new, sender=brand))
            for text in TEXTS[new.slug]:
                topics.publish_text(self.ctx, self._actor, self._refs[new.slug], text)
        caps = [(2, 7 * _DAY_SECONDS), (5, 30 * _DAY_SECONDS)]
        reason = "Two offers a week is what members told us"
        change_policy(self.ctx, self._actor, Name.CAP_PROMOTIONAL, of_caps(*caps), reason)
        return password

    def _sign_up(self, people: list[Person], journal: WorkerJournal) -> None:
        for person in people:
            submit_sign_up(
                self.ctx,
                SignUp(
                    address=person.address,
                    topics=person.topics,
                    locale=person.locale,
                    form_url=f"{self.ctx.settings.public_url}/sign-up/{person.topics[0]}",
                    network=person.network,
                    ip=person.network.split("/")[0],
                    browser="Mozilla/5.0",
                    seconds=30,
                ),
            )
        if people:
            while process_requests(self.ctx):
                pass
            self._send(journal)
            self._answer(people)

    def _answer(self, people: list[Person]) -> None:
        """People open their mail and press, or do not. The order of answers follows that of the requests."""
        with self.ctx.db.reading() as conn:
            open_ones = conn.execute(
                select(confirmation.c.id, confirmation.c.ref)
                .where(confirmation.c.answered.is_(None))
                .order_by(confirmation.c.id.desc())
                .limit(len(people))
            ).all()
            asked = {
                row.id: list(
                    conn.execute(
                        select(topic.c.ref)
                        .join(confirmation_topic, confirmation_topic.c.topic == topic.c.id)
                        .where(confirmation_topic.c.confirmation == row.id)
                    ).scalars()
                )
                for row in open_ones
            }
        for row, person in zip(reversed(open_ones), people, strict=False):
            token = self.ctx.tokens.issue(Purpose.CONFIRM, row.ref, self._now())
            if person.answer == "yes":
                confirm.grant(self.ctx, token, asked[row.id], _CLIENT, button="Yes, send me this", is_human=True)
            elif person.answer == "no":
                confirm.decline(self.ctx, token)
            elif person.answer == "never":
                confirm.never(self.ctx, token)

    def _now(self) -> int:
        with self.ctx.db.reading() as conn:
            return self.ctx.db.now(conn)

    def _send(self, journal: WorkerJournal) -> None:
        begin_due(self.ctx)
        while plan_next(self.ctx):
            pass
        release_waiting(self.ctx)
        while self._express.round(journal) or self._bulk.round(journal):
            pass
        finish_campaigns(self.ctx)

    def _campaigns_of(self, day: int, journal: WorkerJournal) -> None:
        for story in CAMPAIGNS:
            if story.days_ago != day:
                continue
            ref = self._write(story.name, story.topic, story.kind, story.subject, story.preheader, story.body)
            campaigns.schedule_campaign(self.ctx, self._actor, ref, campaigns.Timing(zone="Europe/Stockholm"))
        self._send(journal)

    def _write(self, name: str, slug: str, kind: str, subject: str, preheader: str, body: str) -> bytes:
        new = campaigns.NewCampaign(name=name, topic=self._refs[slug], kind=kind)
        ref = campaigns.create_campaign(self.ctx, self._actor, new)
        words = campaigns.Words(name=name, subject=subject, preheader=preheader, body=body)
        campaigns.edit_words(self.ctx, self._actor, ref, words)
        return ref

    def _leave(self, day: int) -> None:
        """A few of those who were mailed lately stop, pause, or ask for less."""
        if day % 6 != 1:
            return
        with self.ctx.db.reading() as conn:
            refs = list(
                conn.execute(
                    select(message.c.ref)
                    .where(message.c.state == "sent", message.c.origin == "campaign")
                    .order_by(message.c.id.desc())
                    .limit(200)
                ).scalars()
            )
        ways = ("one-click", "one-click", "page", "everything", "pause", "pause", "lower")
        for ref, how in zip(self._dice.sample(refs, min(len(refs), len(ways))), ways, strict=False):
            purpose = Purpose.WHY if how in {"pause", "lower"} else Purpose.STOP
            token = self.ctx.tokens.issue(purpose, ref, self._now())
            withdraw.withdraw(self.ctx, token, how, _CLIENT, purpose=purpose)
        expire(self.ctx)

    def _record_desk_acts(self) -> None:
        desk.record_stop(self.ctx, self._actor, "telephone@example.net", "Rang and asked to be left alone")
        desk.record_death(self.ctx, self._actor, "late.member@example.net", "A relative wrote to us")

    def _import_people(self) -> None:
        heading = "address,topic,source,time,text,name,locale\n"
        rows = [
            f"imported{number}@example.com,garden-tips,Paper form at the spring fair,2026-01-1{number % 9}T10:00:00Z,"
            f"I would like garden tips by e-mail,Fairgoer {number},en\n"
            for number in range(24)
        ]
        rows.append("without.evidence@example.com,garden-tips,,,,Nobody,en\n")
        files = Import(rows=(heading + "".join(rows)).encode(), no_suppressions=True)
        rehearse_import(self.ctx, self._actor, files)
        apply_import(self.ctx, self._actor, files)

    def _come(self, journal: WorkerJournal) -> None:
        """Today and what lies ahead: people waiting, a mistake stopped in time, a campaign scheduled, a draft."""
        stockholm = campaigns.Timing(zone="Europe/Stockholm")
        swap = self._write(*SWAP)
        campaigns.edit_audience(self.ctx, self._actor, swap, Segment(locales=("en",)))
        campaigns.schedule_campaign(self.ctx, self._actor, swap, stockholm)
        self._send(journal)
        patient = replace(stockholm, later_until=_in_days(self._now(), 6)[:10])
        campaigns.schedule_campaign(self.ctx, self._actor, self._write(*FROST), patient)
        self._send(journal)
        mistake = self._write(*MISTAKE)
        campaigns.schedule_campaign(self.ctx, self._actor, mistake, self._soon(1))
        campaigns.cancel_campaign(self.ctx, self._actor, mistake)
        ahead = self._write(*NEXT_WEEK)
        campaigns.edit_audience(self.ctx, self._actor, ahead, Segment(locales=("sv",)))
        campaigns.schedule_campaign(self.ctx, self._actor, ahead, self._soon(9))
        self._write(*DRAFT)
        self._send(journal)

    def _soon(self, days: int) -> campaigns.Timing:
        return campaigns.Timing(local=_in_days(self._now(), days), zone="Europe/Stockholm")


def _in_days(now: int, days: int) -> str:
    day = datetime.fromtimestamp(now / 1_000_000, UTC) + timedelta(days=days)
    return f"{day:%Y-%m-%d}T08:30"


def keep_sign_in(path: Path, sign_in: SignIn) -> None:
    """Write how to sign in beside the data, readable by its owner only: staff first, then a member."""
    path.touch(mode=0o600)
    path.write_text("\n".join(astuple(sign_in)) + "\n")
