"""People edit, schedule, ask, approve, come, go and wait in any order: no campaign over N goes on one human's word.

After every step each campaign is held against what was approved: mails for more than N people need a yes by somebody
else than whoever asked, or a day between asking and the yes while there was nobody else.
"""

import itertools
import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import func, select, update

from outreach.domain.errors import OutreachError
from outreach.domain.policies import Name, defaults
from outreach.services import campaigns
from outreach.services.campaigns import Timing, Words
from outreach.services.policies.approvals import approve, decline, settle_due
from outreach.services.policies.changes import change_policy
from outreach.services.policies.starts import begin_due
from outreach.store.schema.campaigns import campaign, message
from outreach.store.schema.organisation import staff
from outreach.store.schema.policies import approval
from tests.factories import World
from tests.pipeline.conftest import Line
from tests.services.policies.acting import REASON, officer
from tests.services.policies.test_campaigns_over import Garden

N = 2
DAY_US = 86_400_000_000
_examples = itertools.count()
who = st.integers(0, 2)
which = st.integers(0, 5)


class Deciding(RuleBasedStateMachine):
    """Three officers who are marketers too, of whom some may be away; a fresh topic and people an example."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world, self.ctx = world, world.ctx
        self.line = Line(world)
        self.line.hours = next(_examples) * 24 * 100.0
        self.line.pass_hours(1)
        with self.ctx.db.transaction() as conn:
            conn.execute(update(staff).values(disabled=1))
            conn.execute(update(approval).where(approval.c.state == "asked").values(state="withdrawn"))
            conn.execute(update(campaign).values(state="cancelled", finished=1))
        world.policy(Name.APPROVALS, {**defaults(Name.APPROVALS), "campaign_over": N})
        self.people = [officer(world, "marketer,officer") for _ in range(3)]
        self.garden = Garden(world, N + 1)
        self.drafts: list[bytes] = []

    @initialize(present=st.integers(1, 3), is_scheduled=st.booleans())
    def begin(self, present: int, is_scheduled: bool) -> None:
        """A campaign over N, and one officer or more to decide about it."""
        for actor in range(present, 3):
            self.come_and_go(actor, is_away=True)
        self.write(0, 0)
        if is_scheduled:
            self.schedule(0, 0)

    def _try(self, act: Callable[..., Any], *arguments: Any) -> None:
        """Press; where the rules refuse it, nothing happened."""
        with suppress(OutreachError):
            act(self.ctx, *arguments)

    def _draft(self, number: int) -> bytes | None:
        return self.drafts[number % len(self.drafts)] if self.drafts else None

    @rule(actor=who, grow=st.integers(0, 3))
    def write(self, actor: int, grow: int) -> None:
        if len(self.drafts) < 3:
            self.garden.grow(grow)
            self.drafts.append(self.garden.draft(self.people[actor]))

    @rule(actor=who, number=which)
    def schedule(self, actor: int, number: int) -> None:
        if (ref := self._draft(number)) is not None:
            self._try(campaigns.schedule_campaign, self.people[actor], ref, Timing())

    @rule(actor=who, number=which, words=st.sampled_from(("Pruning", "Buy now")))
    def edit(self, actor: int, number: int, words: str) -> None:
        if (ref := self._draft(number)) is not None:
            self._try(campaigns.unschedule_campaign, self.people[actor], ref)
            kept = Words(name="x", subject=words, preheader="", body="Dear you")
            self._try(campaigns.edit_words, self.people[actor], ref, kept)

    @rule(actor=who, number=which, how=st.sampled_from(("pause", "resume", "resume")))
    def stop_and_go(self, actor: int, number: int, how: str) -> None:
        act = campaigns.pause_campaign if how == "pause" else campaigns.resume_campaign
        if (ref := self._draft(number)) is not None:
            self._try(act, self.people[actor], ref)

    @rule(actor=who, number=which, is_yes=st.sampled_from((True, True, True, False)))
    def answer(self, actor: int, number: int, is_yes: bool) -> None:
        with self.ctx.db.reading() as conn:
            refs = conn.execute(select(approval.c.ref).where(approval.c.state == "asked")).scalars().all()
        if refs:
            more = () if is_yes else (REASON,)
            self._try(approve if is_yes else decline, self.people[actor], refs[number % len(refs)], *more)

    @rule(actor=who, over=st.sampled_from((None, 3, 3)))
    def change_the_rule(self, actor: int, over: int | None) -> None:
        value = {**defaults(Name.APPROVALS), "campaign_over": over}
        self._try(change_policy, self.people[actor], Name.APPROVALS, value, REASON)

    @rule(actor=who, is_away=st.booleans())
    def come_and_go(self, actor: int, is_away: bool) -> None:
        with self.ctx.db.transaction() as conn:
            away = update(staff).where(staff.c.id == self.people[actor].staff_id)
            conn.execute(away.values(disabled=1 if is_away else None))

    @rule(hours=st.sampled_from((0.1, 5, 25, 200)))
    def wait(self, hours: float) -> None:
        self.line.pass_hours(hours)

    @rule(grow=st.integers(0, 2))
    def engine(self, grow: int) -> None:
        self.garden.grow(grow)
        settle_due(self.ctx)
        begin_due(self.ctx)
        self.line.plan()
        self.line.rounds()

    @invariant()
    def nobody_decided_alone(self) -> None:
        with self.ctx.db.reading() as conn:
            answered = conn.execute(select(approval).where(approval.c.state == "approved")).all()
            for row in answered:
                waited = row.answerer == "engine" and row.answered - row.asked >= DAY_US
                assert row.answerer != row.asker and (waited or row.answerer != "engine"), row
            rules = [json.loads(row.body)["bound"]["value"]["campaign_over"] for row in answered if row.act == "policy"]
            allowed = max((1000 if over is None else over for over in rules), default=N)
            counted = (
                select(campaign.c.ref, func.count())
                .join(message, message.c.campaign == campaign.c.id)
                .where(campaign.c.ref.in_(self.drafts), message.c.state != "withheld")
                .group_by(campaign.c.ref)
            )
            for ref, people in conn.execute(counted):
                most = max((_most(row) for row in answered if row.about == ref), default=0)
                assert people <= max(N, allowed, most), (people, allowed, most)


def _most(row: Any) -> int:
    return int(json.loads(row.body)["bound"]["most"])


def test_no_campaign_over_n_goes_on_one_humans_word(world: World) -> None:
    run_state_machine_as_test(
        lambda: Deciding(world),  # type: ignore[arg-type]  # a factory will do
        settings=settings(
            max_examples=15,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
        ),
    )
