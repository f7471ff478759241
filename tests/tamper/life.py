"""The honest life that is tampered with: people agree, mail goes out, a witness takes a checkpoint, life goes on."""

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select, update

from outreach.domain.actors import RECIPIENT, Actor, Role
from outreach.domain.consent import Event
from outreach.pipeline.plan import finish_campaigns, plan_next
from outreach.services import topics
from outreach.services.consents import apply_event
from outreach.services.context import Context
from outreach.services.exports.make import make_export
from outreach.services.exports.wanted import Wanted, What
from outreach.services.seal import LogKey, seal
from outreach.store.audit import Entry, record
from outreach.store.audit_log import newest_point
from outreach.store.contacts import Person
from outreach.store.messages import Settled, commit_attempts, let_go, settle
from outreach.store.schema.audit import audit_entry, audit_leaf
from outreach.store.schema.campaigns import campaign, message
from outreach.store.schema.consents import consent_text, topic
from outreach.store.schema.organisation import sender
from tests.factories import World
from tests.tamper.stores import Stores

OFFICER = Actor("staff:" + "0" * 32, frozenset({Role.OFFICER}))
REASON = "The yearly look at the log by the board"
_DAY = 86_400
_PEOPLE = 40
_FILLERS = 300


@dataclass(frozen=True, kw_only=True)
class House:
    """What the thief finds, and what was kept elsewhere. `backup`: from before the witness; `key`: as published."""

    stores: Stores
    now: Path
    backup: Path
    earlier: Path
    key: str
    witnessed: str
    witnessed_size: int
    first_size: int
    root: str
    contact: bytes


def live(stores: Stores, folder: Path) -> House:
    """Two campaigns and what lies between them. The witness's checkpoint and the earlier export are of the middle."""
    with stores.new() as ctx:
        world = World(ctx)
        topic_id, text_id = _topic(ctx, world)
        people = [world.person() for _ in range(_PEOPLE)]
        _fill(ctx)
        for person in people:
            _change(ctx, person, topic_id, Event.REQUESTED, text_id)
            _change(ctx, person, topic_id, Event.CONFIRMED, text_id)
        first = _sealed(ctx)
        backup = stores.keep(ctx)
        _send_campaign(ctx, world, topic_id)
        witnessed = _sealed(ctx)
        earlier = export(ctx, folder / f"{stores.name}-earlier.zip")
        assert ctx.settings.clock_file is not None
        ctx.settings.clock_file.write_text(str(_DAY))
        for person in people[:3]:
            _change(ctx, person, topic_id, Event.WITHDRAWN)
        _send_campaign(ctx, world, topic_id)
        last = _sealed(ctx)
        return House(
            stores=stores,
            now=stores.keep(ctx),
            backup=backup,
            earlier=earlier,
            key=str(LogKey(ctx.keyring).verifiers[0]),
            witnessed=witnessed[1],
            witnessed_size=witnessed[0],
            first_size=first[0],
            root=last[2],
            contact=people[5].ref,
        )


def export(ctx: Context, path: Path, contact: bytes | None = None) -> Path:
    """An officer's export of the whole log, or of what it says about one person."""
    wanted = Wanted(what=What.CONTACT if contact else What.WHOLE, ref=contact)
    with path.open("wb") as file:
        for piece in make_export(ctx, OFFICER, wanted, REASON).octets:
            file.write(piece)
    return path


def place_of(ctx: Context, kind: str, number: int = 0) -> int:
    """Where the entry of this kind stands, counted from 0 among its like."""
    with ctx.db.reading() as conn:
        query = select(audit_leaf.c.position).join(audit_entry, audit_entry.c.id == audit_leaf.c.entry)
        found = conn.execute(query.where(audit_entry.c.kind == kind).order_by(audit_leaf.c.position).offset(number))
        return int(found.scalars().first() or 0)


def _topic(ctx: Context, world: World) -> tuple[int, int]:
    officer = Actor("staff:" + "1" * 32, frozenset({Role.OFFICER}), staff_id=world.staff())
    with ctx.db.reading() as conn:
        owner = conn.execute(select(sender.c.ref).where(sender.c.id == world.sender)).scalar_one()
    ref = topics.create_topic(
        ctx,
        officer,
        topics.NewTopic(
            slug="garden-tips",
            sender=owner,
            name="Garden tips",
            purpose="what to sow and prune",
            retention_days=1095,
            expires_days=None,
            not_for_children=True,
        ),
    )
    text = topics.NewText(
        locale="en",
        title="Garden tips",
        gets="what to sow and prune",
        wording="I would like Northfield to send me garden tips by e-mail, at most twice a week.",
        kinds=("informational",),
        cap_n=2,
        cap_window=7 * _DAY,
        ratio_k=0,
    )
    topics.publish_text(ctx, officer, ref, text)
    with ctx.db.reading() as conn:
        query = select(topic.c.id, consent_text.c.id).join(consent_text, consent_text.c.topic == topic.c.id)
        return tuple(conn.execute(query.where(topic.c.ref == ref)).one())


def _fill(ctx: Context) -> None:
    """So that there are full tiles."""
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        record(conn, now, *(Entry(kind="staff.signed-in", actor="staff:" + "2" * 32) for _ in range(_FILLERS)))


def _change(ctx: Context, person: Person, topic_id: int, event: Event, text_id: int | None = None) -> None:
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        who = {"contact_id": person.id, "topic_id": topic_id, "text_id": text_id}
        apply_event(conn, ctx, now, actor=RECIPIENT, event=event, **who)  # type: ignore[arg-type]  # ids, all of them


def _send_campaign(ctx: Context, world: World, topic_id: int) -> None:
    """Planned by the planner, recorded as the pipeline records."""
    made = world.campaign(topic_id)
    with ctx.db.transaction() as conn:
        ref, of_topic = conn.execute(
            select(campaign.c.ref, topic.c.ref).join(topic, topic.c.id == campaign.c.topic).where(campaign.c.id == made)
        ).one()
        now = ctx.db.now(conn)
        conn.execute(update(campaign).where(campaign.c.id == made).values(due=now))
        body = {"kind": "informational"}
        record(conn, now, Entry(kind="campaign.created", actor="staff:x", topic=of_topic, campaign=ref, body=body))
    while plan_next(ctx):
        pass
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        ids = list(conn.execute(select(message.c.id).where(message.c.state == "planned")).scalars())
        commit_attempts(conn, ids, "worker", now, now + 1)
        ends = [Settled(one, "failed", "refused", code=550) for one in ids[:2]]
        ends += [Settled(one, "sent", counted=now, code=250) for one in ids[2:]]
        settle(conn, now, ends, "attempted", worker="worker")
        let_go(conn, "worker")
    finish_campaigns(ctx)


def _sealed(ctx: Context) -> tuple[int, str, str]:
    """(size, note, root) once everything is sealed."""
    while seal(ctx, 1) is not None:
        pass
    with ctx.db.reading() as conn:
        point = newest_point(conn, signed=True)
    assert point is not None and point.note is not None
    return point.size, point.note, point.root.hex()
