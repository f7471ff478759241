"""Why did they not? Of a campaign in numbers with what each means, and of one contact as far as it betrays nobody.

Promise 9. Of one contact it says no more than: asked not to, not now, or not in the audience. Stopping, complaining,
being erased or barred, pausing: all of them asked not to, and which of them it was is theirs.
"""

from dataclasses import dataclass

from outreach.domain.actors import Actor
from outreach.domain.campaign import ASKED_NOT_TO as ASKED
from outreach.domain.campaign import State
from outreach.domain.eligibility import ASKED_NOT_TO, GATES, Reason
from outreach.services import campaign_pages
from outreach.services.context import Context

_THEIRS = ASKED_NOT_TO | {Reason.PAUSED, Reason.BOUNCE}
_MEANS: dict[str, str] = {
    ASKED: "They stopped, complained, were erased or are barred. Which of these is theirs to know, and nothing can be "
    "done about it but sending mail that fewer people stop.",
    Reason.PAUSED: "They get nothing for a while because they chose so, and it goes on by itself.",
    Reason.CAP_PROMISE: "They had as many mails of this topic as its text promised them, or as they chose. Send less "
    "often, or choose “send later”.",
    Reason.CAP_TOTAL: "They had as many mails of all topics together as was promised. Campaigns of other topics count "
    "too: agree on who sends when.",
    Reason.CAP_PROMOTIONAL: "They had as many offers and invitations as the rules allow. An informational mail may go.",
    Reason.RATIO: "Their text promises useful mails before the next offer. Send those first.",
    Reason.RESTING: "Their mail server refused several mails in a row, so we leave it in peace for some days.",
    Reason.NO_CONSENT: "They never agreed to this topic. Only they can change that, on its sign-up page.",
    Reason.EXPIRED: "What they agreed to was for a time, and that is over. Only they can agree anew.",
    Reason.KIND: "The text they agreed to names other kinds of mail than this one.",
    Reason.SAME_MAILBOX: "They get it, once, under another spelling of their address.",
    Reason.BOUNCE: "Mail to them came back for good. An officer can lift that bar.",
    Reason.CANCELLED: "The campaign was cancelled before their turn.",
}


@dataclass(frozen=True)
class Meaning:
    """A reason, how many ("fewer than 5": None), and what it means for whoever sends."""

    words: str
    exactly: int | None
    means: str


@dataclass(frozen=True)
class WhyNot:
    """Of a campaign: who is or was not mailed, by reason. `is_forecast`: it has not begun, so this is what would be."""

    rows: tuple[Meaning, ...]
    total: int
    at_least: bool
    is_forecast: bool


def see_why_not(ctx: Context, actor: Actor, ref: bytes) -> WhyNot:
    """Why people did not, or would not, get this campaign. Raises NotFoundError."""
    one = campaign_pages.see_campaign(ctx, actor, ref)
    is_forecast = one.state in {State.DRAFT, State.SCHEDULED}
    see = campaign_pages.see_check if is_forecast else campaign_pages.see_progress
    found = see(ctx, actor, ref).withheld
    rows = tuple(Meaning(row.words, row.exactly, _MEANS.get(row.reason, "")) for row in found.rows)
    return WhyNot(rows, found.total, found.at_least, is_forecast)


def of_one(reason: str | None, *, is_planned: bool) -> str:
    """Why one contact got no mail of a campaign: asked, limit, cancelled, outside, or undecided.

    `reason`: of the mail that was withheld, None where there is none; `is_planned`: the whole audience was looked at.
    """
    if reason is None:
        return "outside" if is_planned else "undecided"
    if reason in _THEIRS:
        return "asked"
    if reason in GATES:
        return "limit"
    return "cancelled" if reason == Reason.CANCELLED else "outside"
