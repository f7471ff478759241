"""What staff and people do while everything dies: campaigns are scheduled, paused, cancelled; people ask and stop."""

import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select

from outreach.domain.errors import ConflictError
from outreach.domain.tokens import Purpose
from outreach.services import campaigns
from outreach.services.campaigns import Timing
from outreach.services.confirm import Client
from outreach.services.sign_up import submit_sign_up
from outreach.services.withdraw import withdraw
from outreach.store.schema.campaigns import campaign, message
from outreach.store.schema.consents import consent
from tests.acceptance.people import GARDEN, SALES
from tests.chaos.house import House, insist
from tests.services.people import form

_PAIRS = (
    ((GARDEN, "promotional"), (SALES, "promotional")),
    ((GARDEN, "informational"), (SALES, "informational")),
    ((SALES, "promotional"), (GARDEN, "promotional")),
    ((SALES, "informational"), (GARDEN, "informational")),
)
"""Scheduled two at a time, to overlapping audiences. One promotion a week is allowed, so of two the second goes beyond
the cap, and waits for it to open.
"""

_STEP_SECONDS = 0.25
_LATER_DAYS = 12
_PAUSE_SECONDS = 5.0
_CLIENT = Client("203.0.113.25", "Chaos")


@dataclass(frozen=True)
class Withdrawal:
    """`at`: time.monotonic() once it was known to be committed."""

    contact: int
    topic: int
    at: float


@dataclass(frozen=True)
class Halt:
    """A campaign paused (`until` it was resumed) or cancelled (`until` is for ever)."""

    campaign: int
    at: float
    until: float = float("inf")


@dataclass
class Life:
    """One run's acts, by seed. `run` goes on until `over` is set; what was paused is resumed by then.

    While it `is_feeding`, new campaigns are scheduled whenever fewer than `backlog` messages are left.
    """

    house: House
    dice: random.Random
    backlog: int
    over: threading.Event = field(default_factory=threading.Event)
    is_feeding: bool = True
    scheduled: int = 0
    withdrawals: list[Withdrawal] = field(default_factory=list)
    halts: list[Halt] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    _paused: tuple[int, bytes, float] | None = None

    def run(self) -> None:
        acts: tuple[tuple[Callable[[], None], float], ...] = (
            (self._feed, 0.3),
            (self._withdraw, 0.25),
            (self._ask, 0.25),
            (self._pause, 0.05),
            (self._cancel, 0.004),
        )
        while not self.over.wait(_STEP_SECONDS):
            for act, chance in acts:
                if self.dice.random() < chance:
                    act()
            self._resume()
        self._resume(now=True)

    def _feed(self) -> None:
        """Keep mail flowing: when little is left, two more campaigns."""
        if not self.is_feeding:
            return
        ctx = self.house.ctx
        planned = select(func.count()).select_from(message).where(message.c.state == "planned")
        open_ones = select(func.count()).select_from(campaign)
        open_ones = open_ones.where(
            (campaign.c.state == "scheduled") | (campaign.c.state == "sending") & campaign.c.planned.is_(None)
        )

        def is_low() -> bool:
            with ctx.db.reading() as conn:
                due = planned.where(message.c.due <= ctx.db.now(conn))
                return conn.execute(open_ones).scalar_one() == 0 and conn.execute(due).scalar_one() < self.backlog

        if insist(is_low):
            pair = _PAIRS[self.scheduled % len(_PAIRS)]
            for priority, (slug, kind) in enumerate(pair, start=3):
                self._schedule(slug, kind, priority, is_patient=(slug, kind) == pair[1])
            self.scheduled += 1

    def _schedule(self, slug: str, kind: str, priority: int, *, is_patient: bool) -> None:
        house = self.house
        ref = insist(lambda: house.draft(f"{slug} {kind} {self.scheduled}", slug, kind))
        until = ""
        if is_patient:
            now = insist(self._now)
            until = (datetime.fromtimestamp(now / 1_000_000, UTC) + timedelta(days=_LATER_DAYS)).date().isoformat()

        def schedule() -> None:
            try:
                campaigns.schedule_campaign(house.ctx, house.actor, ref, Timing(priority=priority, later_until=until))
            except ConflictError:
                return  # nobody would get it, or it was scheduled and only the answer was lost

        insist(schedule)

    def _now(self) -> int:
        with self.house.ctx.db.reading() as conn:
            return self.house.ctx.db.now(conn)

    def _withdraw(self) -> None:
        """Somebody stops a topic, often one whose mail is just being handed off."""
        ctx = self.house.ctx
        query = (
            select(message.c.ref, message.c.contact, message.c.topic)
            .join(consent, (consent.c.contact == message.c.contact) & (consent.c.topic == message.c.topic))
            .where(message.c.origin == "campaign", message.c.state.in_(["planned", "attempted"]))
            .where(consent.c.state == "granted")
            .order_by(message.c.due, message.c.id)
            .limit(100)
        )

        def stop() -> Withdrawal | None:
            with ctx.db.reading() as conn:
                rows = conn.execute(query).all()
                now = ctx.db.now(conn)
            if not rows:
                return None
            row = self.dice.choice(rows)
            withdraw(ctx, ctx.tokens.issue(Purpose.STOP, row.ref, now), "one-click", _CLIENT)
            return Withdrawal(row.contact, row.topic, time.monotonic())

        done = insist(stop)
        if done is not None:
            self.withdrawals.append(done)

    def _ask(self) -> None:
        """Somebody new signs up and is to be asked by mail."""
        address = f"newcomer.{len(self.asked)}@example.net"
        insist(lambda: submit_sign_up(self.house.ctx, form(address, self.dice.choice((GARDEN, SALES)))))
        self.asked.append(address)

    def _pause(self) -> None:
        if self._paused is None and (chosen := self._a_running_one()) is not None:
            number, ref = chosen
            insist(lambda: self._until("paused", ref, campaigns.pause_campaign))
            self._paused = (number, ref, time.monotonic())

    def _resume(self, *, now: bool = False) -> None:
        if self._paused is None or not (now or time.monotonic() > self._paused[2] + _PAUSE_SECONDS):
            return
        number, ref, since = self._paused
        began = time.monotonic()
        insist(lambda: self._until("sending", ref, campaigns.resume_campaign))
        self.halts.append(Halt(number, since, began))
        self._paused = None

    def _cancel(self) -> None:
        if (chosen := self._a_running_one()) is not None:
            number, ref = chosen
            if self._paused is not None and self._paused[0] == number:
                return
            insist(lambda: self._until("cancelled", ref, campaigns.cancel_campaign))
            self.halts.append(Halt(number, time.monotonic()))

    def _a_running_one(self) -> tuple[int, bytes] | None:
        waiting = select(message.c.id).where(message.c.campaign == campaign.c.id, message.c.state == "planned")
        query = select(campaign.c.id, campaign.c.ref).where(campaign.c.state == "sending", waiting.exists())

        def look() -> list[tuple[int, bytes]]:
            with self.house.ctx.db.reading() as conn:
                return [(row.id, bytes(row.ref)) for row in conn.execute(query.order_by(campaign.c.id))]

        found = insist(look)
        return self.dice.choice(found) if found else None

    def _until(self, state: str, ref: bytes, act: Callable[..., None]) -> None:
        """Do it, unless it is done already and only the answer was lost; one that is over is left as it is."""
        while True:
            with self.house.ctx.db.reading() as conn:
                held = conn.execute(select(campaign.c.state).where(campaign.c.ref == ref)).scalar_one()
            if held in {state, "sent"}:
                return
            with suppress(ConflictError):  # its last mail was settled in between
                act(self.house.ctx, self.house.actor, ref)
