"""What needs doing, for the start page of staff: counts only, each leading to the rows behind it."""

from dataclasses import dataclass

from sqlalchemy import func, select

from outreach.domain.actors import Actor, Role
from outreach.domain.conversations import waited
from outreach.services.context import Context
from outreach.services.controller import ready_for_real_mail
from outreach.services.conversations.colleagues import ANSWERS
from outreach.store import conversations
from outreach.store.schema.campaigns import campaign
from outreach.store.schema.consents import consent_text, topic
from outreach.store.schema.organisation import controller, staff
from outreach.store.unknown import count_waiting


@dataclass(frozen=True, kw_only=True)
class Overview:
    """`campaigns`: how many by state, for marketers; `problems`: what keeps mail back, for administrators.

    `replies`: conversations that wait for an answer, the oldest so long ("waiting 3 days", or "").
    """

    house: str
    campaigns: dict[str, int]
    silent_topics: int
    topics: int
    unknown_messages: int
    replies: int
    oldest_reply: str
    open_invitations: int
    problems: tuple[str, ...]


def see_overview(ctx: Context, actor: Actor) -> Overview:
    """What the actor's roles let them see; nought for the rest."""
    actor.must_be(*Role)
    with ctx.db.reading() as conn:
        campaigns: dict[str, int] = {}
        if Role.MARKETER in actor.roles:
            grouped = select(campaign.c.state, func.count().label("many")).group_by(campaign.c.state)
            campaigns = {row.state: row.many for row in conn.execute(grouped)}
        spoken = select(consent_text.c.id).where(consent_text.c.topic == topic.c.id).exists()
        open_topics = select(func.count()).select_from(topic).where(topic.c.closed.is_(None))
        waiting = select(func.count()).select_from(staff)
        waiting = waiting.where(staff.c.password_hash.is_(None), staff.c.disabled.is_(None))
        administers = Role.ADMINISTRATOR in actor.roles
        replies, oldest = conversations.waiting(conn) if actor.roles.intersection(ANSWERS) else (0, None)
        problems = ready_for_real_mail(ctx, conn) if administers and ctx.settings.relays else []
        return Overview(
            house=conn.execute(select(controller.c.name)).scalar_one_or_none() or "",
            campaigns=campaigns,
            silent_topics=conn.execute(open_topics.where(~spoken)).scalar_one(),
            topics=conn.execute(open_topics).scalar_one(),
            unknown_messages=count_waiting(conn) if Role.OFFICER in actor.roles else 0,
            replies=replies,
            oldest_reply=waited(oldest, ctx.db.now(conn)) if oldest is not None else "",
            open_invitations=conn.execute(waiting).scalar_one() if administers else 0,
            problems=tuple(problems),
        )
