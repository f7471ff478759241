"""What an author owes the readers of their last promotion before the next one goes: answers.

The policy says how many replies may be older than how many days, and whether more only warns or refuses (`REPLIES`).
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from outreach.domain.actors import Actor, Role
from outreach.domain.campaign import Kind
from outreach.domain.errors import ConflictError
from outreach.domain.policies import Name
from outreach.services.context import Context
from outreach.services.policies.versions import current
from outreach.store import campaigns, conversations

_DAY = 86_400_000_000


@dataclass(frozen=True, kw_only=True)
class Owing:
    """`waiting`: replies to the author's last promotion (`campaign`, hexadecimal `ref`) older than `days`; `most` are
    allowed; `blocks`: nothing promotional of theirs may be scheduled meanwhile.
    """

    campaign: str
    ref: str
    waiting: int
    most: int
    days: int
    blocks: bool

    @property
    def words(self) -> str:
        """What is owed, in a sentence."""
        replies = "1 reply" if self.waiting == 1 else f"{self.waiting} replies"
        waits = "has" if self.waiting == 1 else "have"
        days = "1 day" if self.days == 1 else f"{self.days} days"
        return f"{replies} to “{self.campaign}” {waits} waited for an answer for more than {days}."


def owed(conn: Connection, now: int, author: int, kind: str) -> Owing | None:
    """What the author of a campaign of this kind owes; None within the policy, and for a kind that sells nothing."""
    if kind != Kind.PROMOTIONAL:
        return None
    last = conversations.last_promotion(conn, author)
    if last is None:
        return None
    policy = current(conn, Name.REPLIES, now)
    waiting = conversations.waiting_of_campaign(conn, last.id, now - policy["days"] * _DAY)
    if waiting <= policy["most"]:
        return None
    return Owing(
        campaign=last.name,
        ref=last.ref.hex(),
        waiting=waiting,
        most=policy["most"],
        days=policy["days"],
        blocks=bool(policy["blocks"]),
    )


def settle_owing(conn: Connection, now: int, author: int, kind: str) -> dict[str, Any]:
    """What the entry of a scheduling says of it, if anything. Raises ConflictError where policy refuses."""
    owing = owed(conn, now, author, kind)
    if owing is None:
        return {}
    if owing.blocks:
        words = "Answer them, or close those that need no answer; then schedule this. Your draft was kept."
        raise ConflictError(f"{owing.words} {words}")
    return {"unanswered": owing.waiting, "unanswered_days": owing.days}


def see_owing(ctx: Context, actor: Actor, ref: bytes) -> Owing | None:
    """What stands between a draft and its schedule, for its pages; None for a campaign that is no draft."""
    actor.must_be(Role.MARKETER)
    with ctx.db.reading() as conn:
        one = campaigns.find_campaign(conn, ref)
        if one is None or one.stand.state != "draft":
            return None
        return owed(conn, ctx.db.now(conn), one.author, one.kind)
