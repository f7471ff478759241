"""What would happen and what is happening: the dry run before scheduling, and the live progress of a campaign."""

from dataclasses import dataclass

from sqlalchemy import select

from outreach.domain.eligibility import ASKED_NOT_TO, GATES
from outreach.domain.errors import NotFoundError
from outreach.services.context import Context
from outreach.store import tally
from outreach.store.decide import load_rule
from outreach.store.planning import forecast
from outreach.store.schema.campaigns import campaign
from outreach.store.unfinished import ahead

_WORDS = {
    "bounce": "Address does not work",
    "no_consent": "Has not agreed",
    "expired": "Their consent has run out",
    "paused": "Paused by the person",
    "kind": "Did not agree to this kind of mail",
    "resting": "Their mailbox could not take our mail; it rests",
    "cap_promise": "At the limit this topic promised them",
    "cap_own": "At the lower limit they set",
    "cap_total": "At the limit for all mail together",
    "cap_promotional": "At the limit for promotions",
    "ratio": "Owed more useful mails before the next offer",
    "same_mailbox": "Gets it already, under another spelling of the address",
    "cancelled": "The campaign was cancelled",
    "request_ended": "Their request had ended",
    "budget": "Too many confirmation mails",
    "staff_ended": "The account was closed",
    "own_address": "The inviter's own address",
    "invited_before": "Invited before by the same member",
    "connected": "Connected with the inviter already",
    "cap_invitations": "At the limit for invitations",
    "inviter_stopped": "The inviter was stopped, or invitations by mail are off",
    "invitation_ended": "The invitation had ended",
    "conversation_ended": "The conversation had ended",
    "connection_ended": "The connection had ended",
    "muted": "Kept: they take no mail of this connection now",
    "held_settled": "They had decided before",
    "quiet": "Morning where they are",
    "waiting": "Their limit to open",
    "refused": "Their mail server refused it",
    "gave_up": "Their mail server did not take it in five days",
    "address": "Address does not work",
    "unsendable": "The mail could not be made",
    "lost": "It never arrived; it is not sent again",
}


def reason_words(reason: str) -> str:
    """A reason as staff read it. All ways of asking not to read as one (promise 9)."""
    if reason in ASKED_NOT_TO:
        return "Asked not to"
    return _WORDS.get(reason, reason.replace("_", " ").capitalize())


@dataclass(frozen=True)
class Forecast:
    """A dry run: people now, later and not, by reason, most first. `opens` says what would open the gate."""

    now: int
    later: tuple[tuple[str, int], ...]
    withheld: tuple[tuple[str, int], ...]
    opens: str

    @property
    def reaches(self) -> int:
        """People who would get it, now or later."""
        return self.now + sum(n for _reason, n in self.later)


@dataclass(frozen=True)
class Progress:
    """Where a campaign's messages stand. `per_second` over the last minute; instants in UTC microseconds."""

    sent: int
    to_go: int
    later: tuple[tuple[str, int], ...]
    withheld: tuple[tuple[str, int], ...]
    failed: tuple[tuple[str, int], ...]
    unknown: int
    per_second: float
    next_later: int | None

    @property
    def total(self) -> int:
        """Everybody the campaign has a row for."""
        later, withheld, failed = (sum(n for _r, n in part) for part in (self.later, self.withheld, self.failed))
        return self.sent + self.to_go + later + withheld + failed + self.unknown


def dry_run(ctx: Context, campaign_id: int) -> Forecast:
    """Decide for the whole audience as planning would now, and write nothing. Raises NotFoundError."""
    with ctx.db.reading() as conn:
        plan = conn.execute(select(campaign).where(campaign.c.id == campaign_id)).mappings().one_or_none()
        if plan is None:
            raise NotFoundError("There is no such campaign.")
        at = max(ctx.db.now(conn), plan["due"] or 0)
        rows = forecast(conn, load_rule(conn, at), dict(plan), at)
    later = [(why, n) for state, why, n, _due in rows if state == "waiting" or (state == "planned" and why == "quiet")]
    withheld = [(why, n) for state, why, n, _due in rows if state == "withheld"]
    ready = sum(n for state, why, n, _due in rows if state == "planned" and why != "quiet")
    return Forecast(ready, tuple(later), tuple(withheld), _opens(withheld) if not ready and not later else "")


def _opens(withheld: list[tuple[str, int]]) -> str:
    reasons = {reason for reason, _n in withheld}
    if not withheld:
        return "Nobody has agreed to this topic within this segment yet. Share its sign-up page, or widen the segment."
    if reasons & GATES:
        return "Limits keep it back. Choose “send later if it opens before” a date, or schedule it for a later day."
    if reasons == {"kind"}:
        return "Nobody in this audience agreed to this kind of mail. Choose a kind that the topic's text names."
    return "Everybody in this audience has paused, stopped or cannot be reached. Share the sign-up page, or widen it."


def progress(ctx: Context, campaign_id: int) -> Progress:
    """How a campaign's messages stand, at a price that does not grow with them."""
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        counts = tally.totals(conn, campaign_id)
        lately = tally.sent_since(conn, campaign_id, now - 60_000_000)
        asleep, opening = ahead(conn, campaign_id, now)

    def by_reason(state: str) -> tuple[tuple[str, int], ...]:
        found = [(reason or state, n) for (one, reason), n in counts.items() if one == state and n]
        return tuple(sorted(found, key=lambda item: -item[1]))

    asleep = min(asleep, counts.get(("planned", None), 0))
    return Progress(
        sent=counts.get(("sent", None), 0),
        to_go=counts.get(("planned", None), 0) - asleep,
        later=by_reason("waiting") + ((("quiet", asleep),) if asleep else ()),
        withheld=by_reason("withheld"),
        failed=by_reason("failed"),
        unknown=sum(n for _reason, n in by_reason("unknown")),
        per_second=lately / 60,
        next_later=opening,
    )
