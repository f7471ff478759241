"""Who owes the readers of a promotion answers is told before the next one, and refused it where policy says so."""

import json
from typing import Any

import pytest
from sqlalchemy import select, update

from outreach.domain.actors import Actor
from outreach.domain.errors import ConflictError
from outreach.domain.policies import Name
from outreach.services import campaigns
from outreach.services.context import Context
from outreach.services.conversations import answering, handling
from outreach.services.conversations.owing import see_owing
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.campaigns import campaign
from tests.factories import World
from tests.services.conversations.writing import mailed, opened, replies, rows, worker
from tests.services.people import move_clock

DAY = 86_400


class Seller:
    """An author whose last promotion got `many` replies; and the draft of the next one."""

    def __init__(self, world: World, many: int) -> None:
        self.world, self.ctx = world, world.ctx
        self.topic, text = world.topic()
        self.robin = worker(world, "marketer")
        self.sold = self._campaign("promotional", state="sent", started=world.now)
        self.people = [world.person() for _ in range(many)]
        for person in self.people:
            world.grant(person, self.topic, text)
        self.replies = [
            replies(self.ctx, person, mailed(world, person, self.topic, self.sold), "Too dear!")
            for person in self.people
        ]
        self.draft = self._campaign("promotional", state="draft", due=None)

    def _campaign(self, kind: str, **more: Any) -> int:
        return self.world.campaign(self.topic, author=self.robin.staff_id, kind=kind, **more)

    def ref(self, which: int) -> bytes:
        return bytes(rows(self.ctx, campaign.c.ref, id=which)[0].ref)

    def schedule(self, actor: Actor | None = None) -> dict[str, Any]:
        """Schedule the draft, and what the log says of it."""
        campaigns.schedule_campaign(self.ctx, actor or self.robin, self.ref(self.draft), campaigns.Timing())
        with self.ctx.db.reading() as conn:
            query = select(audit_entry.c.body).where(audit_entry.c.kind == "campaign.scheduled")
            return dict(json.loads(conn.execute(query).scalars().one()))


def test_by_default_it_is_said_and_noted_and_goes_all_the_same(world: World) -> None:
    seller = Seller(world, 6)
    assert see_owing(seller.ctx, seller.robin, seller.ref(seller.draft)) is None, "they are not old yet"
    move_clock(seller.ctx, 7 * DAY + 60)
    owing = see_owing(seller.ctx, seller.robin, seller.ref(seller.draft))
    assert owing is not None
    assert owing.words == "6 replies to “Pruning roses” have waited for an answer for more than 7 days."
    assert (owing.ref, owing.blocks) == (seller.ref(seller.sold).hex(), False)
    assert see_owing(seller.ctx, seller.robin, seller.ref(seller.sold)) is None, "it is no draft"
    noted = seller.schedule()
    assert (noted["unanswered"], noted["unanswered_days"]) == (6, 7)


def test_policy_may_refuse_until_enough_are_answered_or_closed(ctx: Context, world: World) -> None:
    world.policy(Name.REPLIES, {"most": 1, "days": 1, "blocks": True})
    seller = Seller(world, 4)
    move_clock(ctx, DAY + 60)
    with pytest.raises(ConflictError, match=r"4 replies .* Your draft was kept"):
        seller.schedule()
    first, second, third, _last = seller.replies
    answering.answer(ctx, seller.robin, first, "We know.", seen=opened(ctx, seller.robin, first).seen)
    handling.close(ctx, seller.robin, second, "says only thank you")
    colleague = worker(world, "marketer", "Sam")
    with pytest.raises(ConflictError, match="2 replies"):
        seller.schedule(colleague)
    answering.answer(ctx, colleague, third, "We know.", seen=opened(ctx, colleague, third).seen)
    assert "unanswered" not in seller.schedule()


def test_only_the_authors_own_last_promotion_counts_and_only_for_promotions(ctx: Context, world: World) -> None:
    world.policy(Name.REPLIES, {"most": 0, "days": 1, "blocks": True})
    seller = Seller(world, 2)
    move_clock(ctx, DAY + 60)
    draft = seller.ref(seller.draft)
    assert see_owing(ctx, seller.robin, draft) is not None
    with ctx.db.transaction() as conn:
        conn.execute(update(campaign).where(campaign.c.id == seller.draft).values(kind="informational"))
    assert see_owing(ctx, seller.robin, draft) is None
    kinds = {"kind": "promotional", "author": worker(world, "marketer", "Sam").staff_id}
    with ctx.db.transaction() as conn:
        conn.execute(update(campaign).where(campaign.c.id == seller.draft).values(**kinds))
    assert see_owing(ctx, seller.robin, draft) is None
