"""What marketers read about campaigns: lists, one campaign, its dry run and its live progress.

Promise 9 is kept here. Of why people were not mailed a marketer sees counts by reason, small ones as "fewer than 5",
and no total from which they could be worked out. A person's own lower limit reads as the topic's.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from outreach.domain.actors import Actor, Role
from outreach.domain.campaign import FEW, Event, Figures, Kind, Segment, State, for_marketers, may
from outreach.domain.eligibility import ASKED_NOT_TO, GATES, Reason
from outreach.domain.errors import NotFoundError
from outreach.services.campaign_content import the_campaign
from outreach.services.context import Context
from outreach.services.forecast import dry_run, progress, reason_words
from outreach.services.policies import holds
from outreach.store import campaigns as rows
from outreach.store.approvals import Asked
from outreach.store.boxes import ContactKeys
from outreach.store.campaigns import Campaign, Promise
from outreach.store.schema.consents import topic

PAGE = 50
GROUPS: dict[str, tuple[str, ...]] = {
    "all": (),
    "drafts": (State.DRAFT,),
    "scheduled": (State.SCHEDULED,),
    "sending": (State.SENDING, State.PAUSED),
    "finished": (State.SENT, State.CANCELLED),
}
"""The tabs of the list, and the states each holds."""

_OWN_CHOICE = frozenset({Reason.PAUSED.value})
_ASKED = frozenset(reason.value for reason in ASKED_NOT_TO)
_LIMITS = {Reason.CAP_OWN.value: Reason.CAP_PROMISE.value}
_WORDS = {
    "asked not to": "Asked not to",
    Reason.CAP_PROMISE.value: "At their limit: what they were promised, or less by their own wish",
}


@dataclass(frozen=True)
class Line:
    """A campaign in a list. `ref`: hexadecimal; instants in UTC microseconds."""

    ref: str
    name: str
    topic: str
    kind: str
    state: State
    due: int | None
    finished: int | None
    author: str


@dataclass(frozen=True)
class CampaignList:
    """A page of campaigns, newest first. `counts`: by tab; `older`: where the next page begins, or ""."""

    lines: tuple[Line, ...]
    counts: dict[str, int]
    older: str


@dataclass(frozen=True, kw_only=True)
class CampaignView:
    """One campaign as its page shows it. `may`: the acts that make sense now; `mine`: the reader is its author.

    `is_starting`: its time has come, and the engine begins it within a moment. `asked`: the second yes asked for what
    it is now, whatever became of it.
    """

    ref: str
    name: str
    topic: str
    kind: str
    kinds: tuple[str, ...]
    promises: tuple[Promise, ...]
    state: State
    resumes_to: State | None
    pause_reason: str
    subject: str
    preheader: str
    body: str
    segment: Segment
    priority: int
    due: int | None
    zone: str
    later_until: int | None
    started: int | None
    finished: int | None
    author: str
    author_disabled: bool
    mine: bool
    may: frozenset[Event]
    is_starting: bool
    asked: Asked | None


@dataclass(frozen=True)
class Count:
    """A reason in words, and by its name; `exactly` None reads "fewer than 5"."""

    words: str
    exactly: int | None
    reason: str = ""


@dataclass(frozen=True)
class Not:
    """Who is not mailed, or later, as far as a marketer may know. `at_least`: small counts are left out of `total`."""

    rows: tuple[Count, ...]
    total: int
    at_least: bool


@dataclass(frozen=True)
class Check:
    """The dry run. `now`: None reads "fewer than 5"; `reaches`: anybody, now or later."""

    now: int | None
    later: Not
    withheld: Not
    reaches: bool
    opens: str


@dataclass(frozen=True, kw_only=True)
class ProgressView:
    """Where a campaign's mails are. `percent`: of those to be mailed at all; `minutes_left`: None while unknowable."""

    sent: int
    to_go: int
    later: tuple[tuple[str, int], ...]
    withheld: Not
    failed: tuple[tuple[str, int], ...]
    unknown: int
    per_second: float
    percent: int
    minutes_left: int | None
    is_live: bool

    @property
    def later_total(self) -> int:
        return sum(count for _words, count in self.later)

    @property
    def failed_total(self) -> int:
        return sum(count for _words, count in self.failed)


@dataclass(frozen=True)
class TopicChoice:
    """A topic a campaign may be about. `ref`: hexadecimal; `kinds`: those its current texts name."""

    ref: str
    name: str
    kinds: tuple[str, ...]
    promises: tuple[Promise, ...]


def see_campaigns(ctx: Context, actor: Actor, group: str = "all", older: str = "") -> CampaignList:
    """A page of the campaigns of one tab. Raises NotFoundError for a tab there is not."""
    actor.must_be(Role.MARKETER)
    if group not in GROUPS:
        raise NotFoundError("There is no such list of campaigns.")
    with ctx.db.reading() as conn:
        counts = rows.count_by_state(conn)
        found = rows.list_campaigns(conn, GROUPS[group], before=page_ref(older) if older else None, limit=PAGE + 1)
        names = _authors(ctx, conn, found)
    lines = tuple(
        Line(one.ref.hex(), one.name, one.topic_name, one.kind, one.stand.state, one.due, one.finished, names[one.id])
        for one in found[:PAGE]
    )
    tabs = {tab: sum(counts.get(state, 0) for state in states or State) for tab, states in GROUPS.items()}
    return CampaignList(lines, tabs, lines[-1].ref if len(found) > PAGE else "")


def see_campaign(ctx: Context, actor: Actor, ref: bytes) -> CampaignView:
    """One campaign. Raises NotFoundError."""
    actor.must_be(Role.MARKETER)
    with ctx.db.reading() as conn:
        one = the_campaign(conn, ref)
        promises = tuple(rows.current_texts(conn, [one.topic])[one.topic])
        author = _authors(ctx, conn, [one])[one.id]
        is_due = one.due is not None and one.due <= ctx.db.now(conn)
        asked = None if one.stand.state is State.DRAFT else holds.standing(conn, one)
    is_held = asked is not None and asked.state != "approved" and one.started is None
    return CampaignView(
        ref=one.ref.hex(),
        name=one.name,
        topic=one.topic_name,
        kind=one.kind,
        kinds=_kinds(promises),
        promises=promises,
        state=one.stand.state,
        resumes_to=one.stand.resumes_to,
        pause_reason=one.pause_reason,
        subject=one.subject,
        preheader=one.preheader,
        body=one.body,
        segment=one.segment,
        priority=one.priority,
        due=one.due,
        zone=one.zone,
        later_until=one.later_until,
        started=one.started,
        finished=one.finished,
        author=author,
        author_disabled=one.author_disabled,
        mine=one.author == actor.staff_id,
        may=frozenset(event for event in Event if may(one.stand, event)),
        is_starting=is_due and one.stand.state is State.SCHEDULED and not is_held,
        asked=asked,
    )


def see_topics(ctx: Context, actor: Actor) -> tuple[TopicChoice, ...]:
    """The open topics with a published text, by name."""
    actor.must_be(Role.MARKETER)
    with ctx.db.reading() as conn:
        query = select(topic.c.id, topic.c.ref, topic.c.name).where(topic.c.closed.is_(None)).order_by(topic.c.name)
        found = conn.execute(query).all()
        texts = rows.current_texts(conn, [row.id for row in found])
    return tuple(
        TopicChoice(row.ref.hex(), row.name, _kinds(tuple(texts[row.id])), tuple(texts[row.id]))
        for row in found
        if texts[row.id]
    )


def see_check(ctx: Context, actor: Actor, ref: bytes) -> Check:
    """What would happen if it went now, or at the time it has: writes nothing."""
    actor.must_be(Role.MARKETER)
    with ctx.db.reading() as conn:
        campaign_id = the_campaign(conn, ref).id
    forecast = dry_run(ctx, campaign_id)
    now = forecast.now if forecast.now >= FEW else None
    later = for_marketers(dict(_later(forecast.later)), asked=frozenset(), own=_OWN_WAITS)
    waits = Not(tuple(Count(row.reason, row.exactly) for row in later.rows), later.total, later.at_least)
    return Check(now, waits, _withheld(forecast.withheld), bool(forecast.reaches), forecast.opens)


def see_progress(ctx: Context, actor: Actor, ref: bytes) -> ProgressView:
    """How far a campaign has come."""
    actor.must_be(Role.MARKETER)
    with ctx.db.reading() as conn:
        one = the_campaign(conn, ref)
    now = progress(ctx, one.id)
    later, failed = _later(now.later), tuple((reason_words(reason), count) for reason, count in now.failed)
    done = now.sent + now.unknown + sum(count for _words, count in failed)
    open_ = now.to_go + sum(count for _words, count in later)
    is_sending = one.stand.state is State.SENDING
    return ProgressView(
        sent=now.sent,
        to_go=now.to_go,
        later=later,
        withheld=_withheld(now.withheld),
        failed=failed,
        unknown=now.unknown,
        per_second=now.per_second,
        percent=100 * done // (done + open_) if done + open_ else 0,
        minutes_left=round(now.to_go / now.per_second / 60)
        if now.per_second and one.stand.state == "sending"
        else None,
        is_live=is_sending or (one.stand.state is State.CANCELLED and one.finished is None),
    )


def later_words(reason: str) -> str:
    """Why a mail waits. Every limit reads as one: which it was would tell of a limit somebody set for themselves."""
    return "Their limit to open" if reason in GATES else reason_words(reason)


_OWN_WAITS = frozenset(later_words(reason) for reason in (Reason.CAP_OWN.value, "quiet"))


def _later(counts: tuple[tuple[str, int], ...]) -> tuple[tuple[str, int], ...]:
    totals: dict[str, int] = {}
    for reason, count in counts:
        totals[later_words(reason)] = totals.get(later_words(reason), 0) + count
    return tuple(sorted(totals.items(), key=lambda row: (-row[1], row[0])))


def _withheld(counts: tuple[tuple[str, int], ...]) -> Not:
    totals: dict[str, int] = {}
    for reason, count in counts:
        shown = _LIMITS.get(reason, reason)
        totals[shown] = totals.get(shown, 0) + count
    figures: Figures = for_marketers(totals, asked=_ASKED, own=_OWN_CHOICE)
    named = tuple(
        Count(_WORDS.get(row.reason) or reason_words(row.reason), row.exactly, row.reason) for row in figures.rows
    )
    return Not(named, figures.total, figures.at_least)


def _authors(ctx: Context, conn: Connection, found: list[Campaign]) -> dict[int, str]:
    keys = ContactKeys(ctx.keyring, conn)
    keys.load(one.author_contact for one in found)
    return {one.id: keys.facts(one.author_contact, one.author_box).get("name") or "a colleague" for one in found}


def _kinds(promises: tuple[Promise, ...]) -> tuple[str, ...]:
    return tuple(kind.value for kind in Kind if any(kind in promise.kinds for promise in promises))


def page_ref(text: str) -> bytes:
    """Where a page of a list begins. Raises NotFoundError."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise NotFoundError("There is no such page of this list.") from None
