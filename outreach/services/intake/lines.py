"""A campaign whose mails come back, or are complained about, more than policy allows pauses itself, with the reason.

Judged is what was handed over and reported since it began or was last resumed: a marketer who looked into it and goes
on is not stopped again for what they know already.
"""

from outreach.domain.actors import ENGINE
from outreach.domain.campaign import Event, State, may, transition
from outreach.domain.policies import Name
from outreach.services.context import Context
from outreach.services.intake.figures import campaign_rate
from outreach.services.policies.versions import current
from outreach.store import campaigns as rows
from outreach.store.audit import Entry, record

PAUSES = {
    "complaints": "Too many of its readers reported it as spam, so it paused itself.",
    "bounces": "Too many of its mails came back, so it paused itself.",
}
"""Reasons of a pause, by what the policy counts, in words for the campaign's page."""


def watch_lines(ctx: Context) -> int:
    """Pause campaigns that are above a line. Returns how many. For the engine."""
    with ctx.db.reading() as conn:
        lines = current(conn, Name.LINES, ctx.db.now(conn))
        sending = rows.list_campaigns(conn, [State.SENDING])
        above = [one.ref for one in sending if campaign_rate(conn, one.id, "", one.ref, one.updated).is_above(lines)]
    return sum(_pause(ctx, ref) for ref in above)


def _pause(ctx: Context, ref: bytes) -> bool:
    with ctx.db.transaction() as conn:
        one = rows.lock_campaign(conn, ref)
        if one is None or one.stand.state is not State.SENDING or not may(one.stand, Event.PAUSE):
            return False
        now = ctx.db.now(conn)
        lines = current(conn, Name.LINES, now)
        why = campaign_rate(conn, one.id, one.name, one.ref, one.updated).is_above(lines)
        if not why:
            return False
        rows.move_campaign(conn, now, one.id, transition(one.stand, Event.PAUSE), pause_reason=why)
        body = {"reason": why, "line": lines[why]}
        record(
            conn, now, Entry(kind="campaign.paused", actor=ENGINE.name, topic=one.topic_ref, campaign=ref, body=body)
        )
        return True
