"""Campaigns over N people: asked about when they are scheduled, held until a second yes, and never planned beyond it.

The number counts the people a campaign has messages for that were not withheld, so it is exact however its audience
grows: the planner takes a slice back that would go past it, and pauses the campaign.
"""

from typing import Any

from sqlalchemy import Connection, select, text

from outreach.domain.actors import Actor
from outreach.domain.campaign import State
from outreach.domain.policies import Name
from outreach.services.policies.asking import Act, Subject, ask_in, entry_of
from outreach.store import approvals as store
from outreach.store import campaigns as rows
from outreach.store import policies, tally
from outreach.store.approvals import Asked
from outreach.store.audit import Entry, record
from outreach.store.campaigns import Campaign
from outreach.store.schema.campaigns import campaign, content
from outreach.store.segment import segment_sql

PAUSED = "approval"
"""Why a campaign is paused that would reach more people than one person may decide."""

_GROWTH_PERCENT = 110


def ask_for(conn: Connection, now: int, actor: Actor, one: Campaign, reaches: int, later: int) -> Asked | None:
    """Ask for a second yes where `reaches` is more than one person may decide; None where it is not, or there is one.

    `one`: frozen. `reaches`: people who would get it, of whom `later` not at once.
    """
    over = limit(conn, now)
    if over is None or reaches <= over or _approved(conn, one, now) is not None:
        return None
    return _ask(conn, now, actor, one, {"reaches": reaches, "later": later, "over": over})


def ask_to_go_on(conn: Connection, now: int, actor: Actor, one: Campaign) -> Asked | None:
    """Ask for a second yes about a campaign that was paused for want of one; None once it is there.

    One that was used before did not suffice, or the campaign would not have been paused.
    """
    over = limit(conn, now)
    approved = _approved(conn, one, now)
    if over is None or (approved is not None and store.use(conn, approved, now)):
        return None
    audience = max(_audience(conn, one), _reached(conn, one.id) + 1)
    return _ask(conn, now, actor, one, {"reaches": audience, "later": 0, "over": over})


def withdraw(conn: Connection, now: int, actor: Actor, one: Campaign) -> None:
    """It is a draft again: what was asked about it, or granted, is over."""
    for ref in store.withdraw_about(conn, now, str(Act.CAMPAIGN), one.ref):
        asked = store.by_ref(conn, ref)
        if asked is not None:
            record(conn, now, entry_of(asked, "withdrawn", actor.name))


def standing(conn: Connection, one: Campaign) -> Asked | None:
    """The request about what this campaign is now, whatever became of it."""
    asked = store.newest_about(conn, str(Act.CAMPAIGN), one.ref)
    return asked if asked is not None and asked.digest == _digest(conn, one, asked) else None


def may_begin(conn: Connection, ref: bytes, now: int) -> bool:
    """Whether nothing asked about this campaign is unanswered or refused; an approval is used up by it."""
    one = rows.find_campaign(conn, ref)
    asked = standing(conn, one) if one is not None else None
    if asked is None or asked.state == "withdrawn" or asked.used is not None:
        return True
    return asked.state == "approved" and asked.expires > now and store.use(conn, asked, now)


def is_too_many(conn: Connection, now: int, campaign_id: int) -> bool:
    """Whether the campaign has messages for more people than one person may decide, and than a second one approved."""
    over, reached = limit(conn, now), _reached(conn, campaign_id)
    if over is None or reached <= over:
        return False
    ref = conn.execute(select(campaign.c.ref).where(campaign.c.id == campaign_id)).scalar_one()
    one = rows.find_campaign(conn, ref)
    asked = _approved(conn, one, now) if one is not None else None
    return asked is None or reached > asked.body["bound"]["most"]


def pause(conn: Connection, now: int, campaign_id: int, ref: bytes) -> None:
    """Stop a campaign that would go past its number; a marketer asks, and resumes it then."""
    values = {"state": State.PAUSED.value, "resumes_to": State.SENDING.value, "pause_reason": PAUSED}
    rows.update_campaign(conn, now, campaign_id, **values)
    record(conn, now, Entry(kind="campaign.paused", actor="engine", campaign=ref, body={"reason": PAUSED}))


def limit(conn: Connection, now: int) -> int | None:
    """How many people a campaign may reach on one person's word; None: any number."""
    found: int | None = policies.value_at(conn, Name.APPROVALS, now)["campaign_over"]
    return found


def _ask(conn: Connection, now: int, actor: Actor, one: Campaign, shown: dict[str, int]) -> Asked:
    most = max(shown["reaches"], _audience(conn, one)) * _GROWTH_PERCENT // 100
    reason = f"{shown['reaches']} people would get it, more than {shown['over']}."
    subject = Subject(one.ref, _bound(conn, one, most), shown)
    return ask_in(conn, now, actor, Act.CAMPAIGN, subject, reason, until=one.due or now)


def _reached(conn: Connection, campaign_id: int) -> int:
    return sum(n for (state, _reason), n in tally.totals(conn, campaign_id).items() if state != "withheld")


def _approved(conn: Connection, one: Campaign, now: int) -> Asked | None:
    """The approval of what this campaign is now: of one that has begun, or not past its time."""
    asked = standing(conn, one)
    is_granted = asked is not None and asked.state == "approved" and (asked.used is not None or asked.expires > now)
    return asked if is_granted else None


def _audience(conn: Connection, one: Campaign) -> int:
    """People whose consent to the topic lives within the segment, whatever limits keep from them."""
    segment, params = segment_sql(one.segment.to_json())
    query = (
        "SELECT COUNT(*) FROM consent cs JOIN contact c ON c.id = cs.contact "
        f"WHERE cs.topic = :topic AND cs.state = 'granted' {segment}"
    )
    return int(conn.execute(text(query), {"topic": one.topic, **params}).scalar_one())


def _bound(conn: Connection, one: Campaign, most: int) -> dict[str, Any]:
    """Everything that may not differ from what was approved: words, kind, topic, audience, and how many at most."""
    query = select(content.c.sha256).where(content.c.id == (one.content or 0))
    frozen = conn.execute(query).scalar_one_or_none()
    return {
        "content": frozen.hex() if frozen else "",
        "kind": one.kind,
        "topic": one.topic_ref.hex(),
        "segment": one.segment.to_json(),
        "most": most,
    }


def _digest(conn: Connection, one: Campaign, asked: Asked) -> bytes:
    return Subject(one.ref, _bound(conn, one, asked.body["bound"]["most"])).digest(Act.CAMPAIGN)
