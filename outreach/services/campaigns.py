"""What marketers do with a campaign: write, aim, time, schedule, pause, resume, cancel, adopt and copy it.

Any marketer may act on any campaign; the log says who did. Each act locks the campaign's row, which the pipeline holds
while it decides a batch, so pausing and cancelling count from the very next batch.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, select

from outreach.domain.actors import Actor, Role
from outreach.domain.campaign import (
    Event,
    Kind,
    Segment,
    day_begins,
    must_be_draft,
    transition,
    wall_time,
    zone,
)
from outreach.domain.errors import ConflictError, InvalidInputError, NotAllowedError, NotFoundError
from outreach.services.campaign_content import check_words, freeze, the_campaign, words_hash
from outreach.services.context import Context
from outreach.services.conversations.owing import settle_owing
from outreach.services.forecast import dry_run
from outreach.services.policies import holds
from outreach.services.policies.asking import WaitsError
from outreach.store import campaigns as rows
from outreach.store.approvals import Asked
from outreach.store.audit import Entry, record
from outreach.store.campaigns import Campaign
from outreach.store.schema.consents import topic
from outreach.store.unfinished import finish_cancelled, withhold_cancelled

_MINUTE = 60_000_000
SLICES_A_SWEEP = 4
LONGEST_NAME = 120


@dataclass(frozen=True, kw_only=True)
class NewCampaign:
    """A draft to make. `topic`: the topic's ref."""

    name: str
    topic: bytes
    kind: str


@dataclass(frozen=True, kw_only=True)
class Words:
    """What a campaign says. `body`: Markdown with Liquid fields."""

    name: str
    subject: str
    preheader: str
    body: str


@dataclass(frozen=True, kw_only=True)
class Timing:
    """When a campaign goes. `local`: "2026-11-30T08:00" on a clock in `zone`, or "" for now.

    `occurrence`: "first" or "second", where clocks go back over that time. `later_until`: a day such as "2026-12-24";
    mail a cap keeps back goes out if the cap opens before it, "" withholds at once. `priority`: 1 goes first, 9 last.
    """

    local: str = ""
    zone: str = "UTC"
    occurrence: str = ""
    later_until: str = ""
    priority: int = 5


@dataclass(frozen=True)
class Scheduled:
    """`due`: UTC microseconds. `now`, `later`: people who would get it, as the dry run saw it. `waits`: for a second
    yes, None where none is needed.
    """

    due: int
    now: int
    later: int
    waits: Asked | None = None


def create_campaign(ctx: Context, actor: Actor, new: NewCampaign) -> bytes:
    """Start a draft. Returns its ref."""
    actor.must_be(Role.MARKETER)
    name = _name(new.name)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        found = conn.execute(
            select(topic.c.id, topic.c.ref).where(topic.c.ref == new.topic, topic.c.closed.is_(None))
        ).one_or_none()
        if found is None:
            raise InvalidInputError("Choose the topic this campaign is about.", "topic")
        kind = _kind(conn, found.id, new.kind)
        values = {"name": name, "topic": found.id, "kind": kind, "author": _author(actor)}
        ref = rows.insert_campaign(conn, now, values)
        record(
            conn,
            now,
            Entry(kind="campaign.created", actor=actor.name, topic=found.ref, campaign=ref, body={"kind": kind}),
        )
    return ref


def edit_words(ctx: Context, actor: Actor, ref: bytes, words: Words) -> None:
    """Change what a draft says. Raises InvalidInputError when its fields or Markdown cannot work."""
    name = _name(words.name)
    check_words(words.subject, words.preheader, words.body)
    values = {"name": name, "subject": words.subject.strip(), "preheader": words.preheader.strip(), "body": words.body}
    digest = words_hash(values["subject"], values["preheader"], words.body).hex()
    with ctx.db.transaction() as conn:
        _edit(ctx, conn, actor, ref, {"content": digest}, lambda _one: values)


def edit_audience(ctx: Context, actor: Actor, ref: bytes, segment: Segment, kind: str = "") -> None:
    """Narrow a draft to a segment of its topic; with `kind`, say what kind of mail it is, within the topic's text."""
    stored = segment.to_json()
    body = {"segment": stored} | ({"kind": kind} if kind else {})
    with ctx.db.transaction() as conn:
        _edit(
            ctx,
            conn,
            actor,
            ref,
            body,
            lambda one: {"segment": stored, "kind": _kind(conn, one.topic, kind or one.kind)},
        )


def edit_timing(ctx: Context, actor: Actor, ref: bytes, timing: Timing) -> int:
    """Keep when a draft is to go, without scheduling it. Returns the instant, UTC microseconds."""
    if not 1 <= timing.priority <= 9:
        raise InvalidInputError("Priority is a number from 1, which goes first, to 9.", "priority")
    zone(timing.zone)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        due = wall_time(timing.local, timing.zone, timing.occurrence) if timing.local else now
        if due < now - _MINUTE:
            raise InvalidInputError("That time has passed. Choose a later one, or send it now.", "local")
        until = day_begins(timing.later_until, timing.zone, "later_until") if timing.later_until else None
        if until is not None and until <= due:
            raise InvalidInputError("The last day for sending later must come after the sending itself.", "later_until")
        values = {"due": due, "zone": timing.zone, "later_until": until, "priority": timing.priority}
        _edit(ctx, conn, actor, ref, values, lambda _one: values)
    return due


def schedule_campaign(ctx: Context, actor: Actor, ref: bytes, timing: Timing) -> Scheduled:
    """Freeze a draft's content and let it go at its time. Service mail needs a marketer who is an officer too; a
    campaign that reaches more people than policy lets one person decide waits for a second yes.

    Raises NotAllowedError for another's service mail; ConflictError that says what would open the gate when nobody
    would get it, now or later: the timing is kept; and where policy wants replies to the last promotion answered first.
    """
    actor.must_be(Role.MARKETER)
    with ctx.db.reading() as conn:
        draft = the_campaign(conn, ref)
        _approval(actor, draft)
        settle_owing(conn, ctx.db.now(conn), draft.author, draft.kind)
    due = edit_timing(ctx, actor, ref, timing)
    forecast = dry_run(ctx, draft.id)
    later = sum(count for _reason, count in forecast.later)
    if forecast.now + later == 0:
        raise ConflictError(f"Nobody would get this, so it was not scheduled. Your draft was kept. {forecast.opens}")
    with ctx.db.transaction() as conn:
        one, now = _hold(ctx, conn, actor, ref)
        after = transition(one.stand, Event.SCHEDULE)
        if one.topic_closed:
            raise ConflictError("This topic is closed: nobody can be mailed about it. Your draft was kept.")
        _kind(conn, one.topic, one.kind)
        approval = _approval(actor, one)
        content, digest = freeze(conn, now, one)
        rows.move_campaign(conn, now, one.id, after, content=content)
        body = {"content": digest.hex(), "due": due, "zone": one.zone, "later_until": one.later_until}
        body |= {"priority": one.priority, "kind": one.kind, "now": forecast.now, "later": later}
        body |= approval | settle_owing(conn, now, one.author, one.kind)
        _log(conn, now, actor, one, "campaign.scheduled", **body)
        frozen = replace(one, content=content)
        waits = holds.ask_for(conn, now, actor, frozen, forecast.now + later, later)
    return Scheduled(due, forecast.now, later, waits)


def unschedule_campaign(ctx: Context, actor: Actor, ref: bytes) -> None:
    """Take a campaign that has not begun back to a draft. What was asked or approved about it is over."""
    with ctx.db.transaction() as conn:
        one, now = _hold(ctx, conn, actor, ref)
        after = transition(one.stand, Event.UNSCHEDULE)
        rows.move_campaign(conn, now, one.id, after, content=None, pause_reason="")
        _log(conn, now, actor, one, "campaign.unscheduled", state=one.stand.state)
        holds.withdraw(conn, now, actor, one)


def pause_campaign(ctx: Context, actor: Actor, ref: bytes) -> None:
    """Stop before the next batch; nothing already decided is lost."""
    _act(ctx, actor, ref, Event.PAUSE, "campaign.paused", pause_reason="")


def resume_campaign(ctx: Context, actor: Actor, ref: bytes) -> None:
    """Go on where it was paused. Refused while its author's account is disabled: somebody must adopt it first.

    Raises WaitsError where it was paused for want of a second yes, which is then asked for.
    """
    with ctx.db.transaction() as conn:
        one, now = _hold(ctx, conn, actor, ref)
        after = transition(one.stand, Event.RESUME)
        if one.author_disabled:
            raise ConflictError("Its author's account is disabled. Adopt the campaign first; it stays paused.")
        asked = holds.ask_to_go_on(conn, now, actor, one) if one.pause_reason == holds.PAUSED else None
        if asked is None:
            rows.move_campaign(conn, now, one.id, after, pause_reason="")
            _log(conn, now, actor, one, "campaign.resumed", state=after.state)
            return
    raise WaitsError(asked, "It stays paused; press again once it is approved.")


def cancel_campaign(ctx: Context, actor: Actor, ref: bytes) -> None:
    """End it for good. What has not gone out is withheld: the first slice now, the rest by the engine."""
    with ctx.db.transaction() as conn:
        one, now = _hold(ctx, conn, actor, ref)
        rows.move_campaign(conn, now, one.id, transition(one.stand, Event.CANCEL), pause_reason="")
        _log(conn, now, actor, one, "campaign.cancelled", state=one.stand.state)
    _sweep(ctx, one.id, slices=1)


def adopt_campaign(ctx: Context, actor: Actor, ref: bytes) -> None:
    """Take over a campaign whose author's account is disabled, so that it can be resumed."""
    with ctx.db.transaction() as conn:
        one, now = _hold(ctx, conn, actor, ref)
        if not one.author_disabled:
            raise ConflictError("This campaign still has its author, so it cannot be adopted. Nothing was changed.")
        rows.update_campaign(conn, now, one.id, author=_author(actor))
        _log(conn, now, actor, one, "campaign.adopted", state=one.stand.state)


def copy_campaign(ctx: Context, actor: Actor, ref: bytes) -> bytes:
    """A new draft with the same words, audience and priority. Returns its ref."""
    with ctx.db.transaction() as conn:
        one, now = _hold(ctx, conn, actor, ref)
        values = {
            "name": f"{one.name[: LONGEST_NAME - 7]} (copy)",
            "topic": one.topic,
            "author": _author(actor),
            "kind": one.kind,
            "subject": one.subject,
            "preheader": one.preheader,
            "body": one.body,
            "segment": one.segment.to_json(),
            "priority": one.priority,
            "zone": one.zone,
        }
        made = rows.insert_campaign(conn, now, values)
        body = {"kind": one.kind, "copy_of": one.ref.hex()}
        record(
            conn,
            now,
            Entry(kind="campaign.created", actor=actor.name, topic=one.topic_ref, campaign=made, body=body),
        )
    return made


def sweep_cancelled(ctx: Context) -> int:
    """Withhold what is left of cancelled campaigns, a bounded number of slices. The engine calls it each second."""
    with ctx.db.reading() as conn:
        waiting = rows.campaigns_to_sweep(conn)
    return sum(_sweep(ctx, campaign_id, slices=SLICES_A_SWEEP) for campaign_id in waiting)


def _sweep(ctx: Context, campaign_id: int, *, slices: int) -> int:
    withheld = 0
    for _ in range(slices):
        with ctx.db.transaction() as conn:
            now = ctx.db.now(conn)
            count = withhold_cancelled(conn, now, campaign_id)
            withheld += count
            if finish_cancelled(conn, now, campaign_id) or not count:
                break
    return withheld


def _act(ctx: Context, actor: Actor, ref: bytes, event: Event, kind: str, **values: Any) -> None:
    with ctx.db.transaction() as conn:
        one, now = _hold(ctx, conn, actor, ref)
        after = transition(one.stand, event)
        rows.move_campaign(conn, now, one.id, after, **values)
        _log(conn, now, actor, one, kind, state=one.stand.state)


def _edit(
    ctx: Context,
    conn: Connection,
    actor: Actor,
    ref: bytes,
    body: dict[str, Any],
    values: Callable[[Campaign], dict[str, Any]],
) -> None:
    one, now = _hold(ctx, conn, actor, ref)
    must_be_draft(one.stand)
    rows.update_campaign(conn, now, one.id, **values(one))
    _log(conn, now, actor, one, "campaign.edited", **body)


def _hold(ctx: Context, conn: Connection, actor: Actor, ref: bytes) -> tuple[Campaign, int]:
    """The campaign, locked, and the time after the lock was had."""
    actor.must_be(Role.MARKETER)
    one = rows.lock_campaign(conn, ref)
    if one is None:
        raise NotFoundError("There is no such campaign.")
    return one, ctx.db.now(conn)


def _approval(actor: Actor, one: Campaign) -> dict[str, str]:
    """What the log says of who approved service mail, which knows no caps and no quiet hours (promise 3)."""
    if one.kind != Kind.SERVICE:
        return {}
    if Role.OFFICER not in actor.roles:
        raise NotAllowedError(
            "Service mail is a necessity an officer approves: somebody who is marketer and officer must schedule it. "
            "Your draft was kept. Ask them to read it and schedule it, or choose another kind of mail."
        )
    return {"approved_by": actor.name}


def _author(actor: Actor) -> int:
    if actor.staff_id is None:
        raise NotAllowedError("A campaign needs an author who is signed in.")
    return actor.staff_id


def _name(name: str) -> str:
    name = " ".join(name.split())
    if not 1 <= len(name) <= LONGEST_NAME:
        raise InvalidInputError(f"Give the campaign a name of at most {LONGEST_NAME} letters.", "name")
    return name


def _kind(conn: Connection, topic_id: int, kind: str) -> str:
    """`kind`, when the topic's current texts name it; each person's own text is asked again at sending."""
    texts = rows.current_texts(conn, [topic_id])[topic_id]
    named = sorted({name for text in texts for name in text.kinds} & set(Kind))
    if not texts:
        raise ConflictError("This topic has no published text yet, so nobody can have agreed to it. Ask an officer.")
    if kind not in named:
        raise InvalidInputError(f"This topic's text promises only {' and '.join(named)} mail. Choose of these.", "kind")
    return kind


def _log(conn: Connection, now: int, actor: Actor, one: Campaign, kind: str, /, **body: Any) -> None:
    record(conn, now, Entry(kind=kind, actor=actor.name, topic=one.topic_ref, campaign=one.ref, body=body))
