"""A campaign ready to go and a relay that does as it is told: everything but the wire is the product's own."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from outreach.mail.content import prepare
from outreach.mail.transport import Journal, Outcome, Parcel, Result, Stop
from outreach.pipeline.journal import WorkerJournal
from outreach.pipeline.plan import begin_due, plan_next
from outreach.pipeline.send import Worker
from outreach.store.schema.campaigns import campaign, content, message
from tests.factories import World

HOUR = 3600.0


class ScriptedRelay:
    """Takes parcels; `script(parcel)` says what becomes of each. Keeps what it was handed, in order."""

    def __init__(self) -> None:
        self.taken: list[tuple[Parcel, Outcome]] = []
        self.script: Callable[[Parcel], Outcome] = lambda parcel: Outcome(parcel.message_id, Result.SENT, code=250)

    def hand_off(
        self,
        pool: str,
        parcels: Sequence[Parcel],
        journal: Journal,
        stop: Stop | None = None,
        room: Mapping[str, int] | None = None,
    ) -> list[Outcome]:
        outcomes = []
        for parcel in parcels:
            outcome = self.script(parcel)
            if outcome.result is not Result.PUT_BACK:
                journal.begun(parcel.message_id)
            self.taken.append((parcel, outcome))
            outcomes.append(outcome)
        return outcomes

    def close(self) -> None:
        return None

    @property
    def sent(self) -> list[Parcel]:
        return [parcel for parcel, outcome in self.taken if outcome.result is Result.SENT]


class Line:
    """The pipeline on a bench: plan, send rounds, move the clock, look at rows."""

    def __init__(self, world: World) -> None:
        self.world, self.ctx = world, world.ctx
        self.relay = ScriptedRelay()
        self.express = Worker(self.ctx, self.relay, "express")
        self.worker = Worker(self.ctx, self.relay, "bulk")
        self.journal = WorkerJournal(self.worker.journals, self.worker.name)
        self.hours = 0.0

    def pass_hours(self, hours: float) -> None:
        self.hours += hours
        assert self.ctx.settings.clock_file is not None
        self.ctx.settings.clock_file.write_text(str(self.hours * HOUR))

    def now(self) -> int:
        with self.ctx.db.reading() as conn:
            return self.ctx.db.now(conn)

    def campaign(self, topic: int, *, author: int, body: str = "Dear {{ first_name }}", **more: Any) -> int:
        """A campaign due now, its content frozen."""
        more.setdefault("due", self.now())
        made = self.world.campaign(topic, author=author, **more)
        prepared = prepare("Pruning roses", "before frost", body).to_json()
        with self.ctx.db.transaction() as conn:
            frozen = conn.execute(
                insert(content).values(
                    ref=made.to_bytes(16, "big"), campaign=made, version=1, subject="Pruning roses",
                    preheader="before frost", body=body, prepared=prepared, sha256=bytes(32), frozen=self.world.now,
                ).returning(content.c.id)
            ).scalar_one()  # fmt: skip
            conn.execute(update(campaign).where(campaign.c.id == made).values(content=frozen))
        return made

    def plan(self) -> None:
        begin_due(self.ctx)
        while plan_next(self.ctx):
            pass

    def rounds(self, most: int = 50) -> int:
        done = 0
        while done < most and (self.express.round(self.journal) or self.worker.round(self.journal)):
            done += 1
        return done

    def states(self, campaign_id: int | None = None) -> dict[int, tuple[str, str | None]]:
        """contact id → (state, reason)."""
        query = select(message.c.contact, message.c.state, message.c.reason)
        if campaign_id is not None:
            query = query.where(message.c.campaign == campaign_id)
        with self.ctx.db.reading() as conn:
            return {row.contact: (row.state, row.reason) for row in conn.execute(query)}

    def entries(self, kind: str) -> list[dict[str, Any]]:
        from outreach.store.schema.audit import audit_entry

        with self.ctx.db.reading() as conn:
            rows = conn.execute(select(audit_entry.c.body).where(audit_entry.c.kind == kind)).scalars()
            return [json.loads(body) for body in rows]


@pytest.fixture
def line(world: World) -> Line:
    return Line(world)


@pytest.fixture
def author(world: World) -> int:
    return world.staff()
