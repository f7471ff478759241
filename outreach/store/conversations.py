"""SQL for conversations: found, locked and listed; their posts, files, tags, and who has them open."""

import secrets
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, and_, case, delete, func, insert, or_, select, update
from sqlalchemy.engine import Row

from outreach.store.schema.campaigns import campaign, message
from outreach.store.schema.consents import topic
from outreach.store.schema.conversations import (
    conversation,
    conversation_file,
    conversation_opening,
    conversation_post,
    conversation_tag,
)
from outreach.store.schema.people import contact, contact_key

ConversationRow = Row[*tuple[Any, ...]]
"""A conversation beside its person (`contact_ref`, `code`, boxes, `is_held`), topic and campaign."""

PostRow = Row[*tuple[Any, ...]]
FileRow = Row[*tuple[Any, ...]]

_IS_OPEN = conversation.c.closed.is_(None)
_WAITS = and_(_IS_OPEN, conversation.c.waiting.is_not(None))
_IS_STOP = and_(conversation_post.c.kind == "note", conversation_post.c.staff.is_(None))


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """Which conversations a list shows. `which`: waiting, open, mine, unassigned, closed; `staff`: who looks."""

    which: str
    staff: int
    topic: bytes | None = None
    tag: str = ""
    mark: str = ""
    campaign: bytes | None = None


def add(conn: Connection, now: int, *, contact_id: int, via: str, **more: Any) -> ConversationRow:
    """A new one that waits for an answer. `more`: topic, campaign, message (ids)."""
    ref = secrets.token_bytes(16)
    values = {"contact": contact_id, "via": via, "opened": now, "waiting": now, **more}
    conn.execute(insert(conversation).values(ref=ref, **values))
    return conn.execute(_query().where(conversation.c.ref == ref)).one()


def change(conn: Connection, identity: int, **values: Any) -> None:
    conn.execute(update(conversation).where(conversation.c.id == identity).values(**values))


def by_ref(conn: Connection, ref: bytes, *, lock: bool = False) -> ConversationRow | None:
    """The conversation of this ref; with `lock` nobody else changes it until the transaction ends."""
    if lock:
        conn.execute(select(conversation.c.id).where(conversation.c.ref == ref).with_for_update()).one_or_none()
    return conn.execute(_query().where(conversation.c.ref == ref)).one_or_none()


def of_mail(conn: Connection, message_id: int) -> ConversationRow | None:
    """The conversation in which this mail was our answer, or the open one it was the beginning of: of whom it went to,
    at whatever address they are now.
    """
    answers = select(conversation_post.c.conversation).where(conversation_post.c.message == message_id)
    query = _query().where(or_(conversation.c.id.in_(answers), and_(_IS_OPEN, conversation.c.message == message_id)))
    return conn.execute(query.order_by(conversation.c.id.desc()).limit(1)).one_or_none()


def of_answer(conn: Connection, message_id: int) -> ConversationRow | None:
    """The conversation in which this mail was our answer."""
    answers = select(conversation_post.c.conversation).where(conversation_post.c.message == message_id)
    return conn.execute(_query().where(conversation.c.id.in_(answers))).one_or_none()


def of_person(conn: Connection, contact_id: int) -> Sequence[ConversationRow]:
    """All of one person, the newest first."""
    return conn.execute(_query().where(conversation.c.contact == contact_id).order_by(conversation.c.id.desc())).all()


def mail(conn: Connection, ref: bytes) -> Row[*tuple[Any, ...]] | None:
    """What a conversation needs of the mail it replies to: id, contact, origin, topic, campaign."""
    columns = (message.c.id, message.c.contact, message.c.origin, message.c.topic, message.c.campaign)
    return conn.execute(select(*columns).where(message.c.ref == ref)).one_or_none()


def begun_since(conn: Connection, contact_id: int, since: int) -> int:
    """How many a person began in their room since an instant."""
    mine = (conversation.c.contact == contact_id, conversation.c.via == "room", conversation.c.opened >= since)
    return int(conn.execute(select(func.count()).select_from(conversation).where(*mine)).scalar_one())


def add_post(conn: Connection, now: int, conversation_id: int, kind: str, words_box: bytes, **more: Any) -> PostRow:
    """`more`: staff, message, inbound (ids), is_foreign."""
    values = {"ref": secrets.token_bytes(16), "conversation": conversation_id, "kind": kind, "at": now, **more}
    made = insert(conversation_post).values(words_box=words_box, **values).returning(conversation_post)
    return conn.execute(made).one()


def posts(conn: Connection, conversations: Collection[int]) -> Sequence[PostRow]:
    """All that was said in these, as it was said; with what became of the mail that took it (`mail_state`)."""
    query = (
        select(conversation_post, message.c.state.label("mail_state"))
        .outerjoin(message, message.c.id == conversation_post.c.message)
        .where(conversation_post.c.conversation.in_(list(conversations)))
        .order_by(conversation_post.c.id)
    )
    return conn.execute(query).all()


def stopped(conn: Connection, conversation_id: int) -> int | None:
    """Since when its person wants no more of it by mail: a note of nobody's, until they write again. Else None."""
    mine = (conversation_post.c.conversation == conversation_id, or_(conversation_post.c.kind == "theirs", _IS_STOP))
    last = select(conversation_post).where(*mine).order_by(conversation_post.c.id.desc()).limit(1)
    row = conn.execute(last).one_or_none()
    return row.at if row is not None and row.kind == "note" else None


def remove_stop(conn: Connection, conversation_id: int, at: int) -> None:
    """Take back that they wanted no more of it by mail since this instant."""
    mine = (conversation_post.c.conversation == conversation_id, conversation_post.c.at == at, _IS_STOP)
    conn.execute(delete(conversation_post).where(*mine))


def last_spoken(conn: Connection, conversation_id: int) -> PostRow | None:
    """The newest post that is no note."""
    mine = (conversation_post.c.conversation == conversation_id, conversation_post.c.kind != "note")
    query = select(conversation_post).where(*mine).order_by(conversation_post.c.id.desc()).limit(1)
    return conn.execute(query).one_or_none()


def add_file(conn: Connection, post_id: int, octets: int, name_box: bytes, content_box: bytes | None) -> None:
    values = {"ref": secrets.token_bytes(16), "post": post_id, "octets": octets}
    conn.execute(insert(conversation_file).values(name_box=name_box, content_box=content_box, **values))


def files(conn: Connection, conversations: Collection[int]) -> Sequence[FileRow]:
    """The files of these conversations, without what is in them; `is_kept`: whether it is held."""
    query = (
        select(
            conversation_file.c.ref,
            conversation_file.c.post,
            conversation_file.c.octets,
            conversation_file.c.name_box,
            conversation_file.c.content_box.is_not(None).label("is_kept"),
            conversation_post.c.conversation,
        )
        .join(conversation_post, conversation_post.c.id == conversation_file.c.post)
        .where(conversation_post.c.conversation.in_(list(conversations)))
        .order_by(conversation_file.c.id)
    )
    return conn.execute(query).all()


def file(conn: Connection, conversation_id: int, ref: bytes) -> FileRow | None:
    """One file of a conversation, with what is in it."""
    query = select(conversation_file).join(conversation_post, conversation_post.c.id == conversation_file.c.post)
    mine = (conversation_file.c.ref == ref, conversation_post.c.conversation == conversation_id)
    return conn.execute(query.where(*mine)).one_or_none()


def tags(conn: Connection, conversations: Collection[int]) -> dict[int, list[str]]:
    """The tags of each of these, by the alphabet."""
    found: dict[int, list[str]] = {one: [] for one in conversations}
    query = select(conversation_tag).where(conversation_tag.c.conversation.in_(list(found)))
    for row in conn.execute(query.order_by(conversation_tag.c.tag)):
        found[row.conversation].append(row.tag)
    return found


def used_tags(conn: Connection) -> list[str]:
    """Tags of open conversations."""
    query = select(conversation_tag.c.tag).join(conversation, conversation.c.id == conversation_tag.c.conversation)
    return list(conn.execute(query.where(_IS_OPEN).distinct().order_by(conversation_tag.c.tag)).scalars())


def set_tags(conn: Connection, conversation_id: int, chosen: Iterable[str]) -> None:
    conn.execute(delete(conversation_tag).where(conversation_tag.c.conversation == conversation_id))
    rows = [{"conversation": conversation_id, "tag": tag} for tag in chosen]
    if rows:
        conn.execute(insert(conversation_tag), rows)


def listed(conn: Connection, wanted: Wanted, *, offset: int, limit: int) -> Sequence[ConversationRow]:
    """A page: what waits longest first, then the newest; closed ones by when they were closed, the latest first."""
    order: tuple[Any, ...] = (case((_WAITS, 0), else_=1), conversation.c.waiting, conversation.c.id.desc())
    if wanted.which == "closed":
        order = (conversation.c.closed.desc(), conversation.c.id.desc())
    query = _query().where(*_of(wanted)).order_by(*order)
    return conn.execute(query.limit(limit).offset(offset)).all()


def count(conn: Connection, wanted: Wanted) -> int:
    joined = conversation.outerjoin(topic, topic.c.id == conversation.c.topic)
    joined = joined.outerjoin(campaign, campaign.c.id == conversation.c.campaign)
    query = select(func.count()).select_from(joined)
    return int(conn.execute(query.where(*_of(wanted))).scalar_one())


def waiting(conn: Connection) -> tuple[int, int | None]:
    """How many wait for an answer, and since when the oldest does."""
    query = select(func.count().label("many"), func.min(conversation.c.waiting).label("oldest"))
    row = conn.execute(query.select_from(conversation).where(_WAITS)).one()
    return row.many, row.oldest


def waiting_of_campaign(conn: Connection, campaign_id: int, before: int) -> int:
    """How many replies to a campaign have waited since before an instant."""
    old = (conversation.c.campaign == campaign_id, _WAITS, conversation.c.waiting < before)
    return int(conn.execute(select(func.count()).select_from(conversation).where(*old)).scalar_one())


def last_promotion(conn: Connection, author: int) -> Row[*tuple[Any, ...]] | None:
    """The newest promotional campaign of an author that was begun: id, ref, name."""
    mine = (campaign.c.author == author, campaign.c.kind == "promotional", campaign.c.started.is_not(None))
    query = select(campaign.c.id, campaign.c.ref, campaign.c.name).where(*mine)
    return conn.execute(query.order_by(campaign.c.started.desc(), campaign.c.id.desc()).limit(1)).one_or_none()


def told(conn: Connection, topic_id: int, since: int) -> tuple[int, int, int]:
    """(how many, critical, unanswered) conversations about a topic opened since an instant.

    Unanswered: nothing was ever answered, whatever else was done with it, or something of theirs waits again.
    """
    is_critical = case((conversation.c.mark == "critical", 1), else_=0)
    is_unanswered = case((or_(conversation.c.answered.is_(None), conversation.c.waiting.is_not(None)), 1), else_=0)
    columns = (func.count().label("many"), func.sum(is_critical).label("critical"), func.sum(is_unanswered).label("un"))
    about = (conversation.c.topic == topic_id, conversation.c.opened >= since)
    row = conn.execute(select(*columns).select_from(conversation).where(*about)).one()
    return row.many, int(row.critical or 0), int(row.un or 0)


def note_opening(conn: Connection, now: int, conversation_id: int, staff_id: int) -> None:
    """From now on this member of staff has it open."""
    mine = (conversation_opening.c.conversation == conversation_id, conversation_opening.c.staff == staff_id)
    conn.execute(delete(conversation_opening).where(*mine))
    conn.execute(insert(conversation_opening).values(conversation=conversation_id, staff=staff_id, at=now))


def openings(conn: Connection, conversation_id: int, since: int) -> dict[int, int]:
    """Who opened it since an instant, and when: staff id → UTC microseconds."""
    recent = (conversation_opening.c.conversation == conversation_id, conversation_opening.c.at > since)
    query = select(conversation_opening.c.staff, conversation_opening.c.at).where(*recent)
    return {row.staff: row.at for row in conn.execute(query)}


def forget(conn: Connection, contacts: Collection[int]) -> None:
    """Close the conversations of people who are erased, and take every word of theirs and about them."""
    theirs = select(conversation.c.id).where(conversation.c.contact.in_(list(contacts)))
    said = select(conversation_post.c.id).where(conversation_post.c.conversation.in_(theirs))
    conn.execute(delete(conversation_file).where(conversation_file.c.post.in_(said)))
    conn.execute(update(conversation_post).where(conversation_post.c.conversation.in_(theirs)).values(words_box=None))
    conn.execute(delete(conversation_tag).where(conversation_tag.c.conversation.in_(theirs)))
    ended = func.coalesce(conversation.c.closed, conversation.c.answered, conversation.c.opened)
    conn.execute(
        update(conversation).where(conversation.c.contact.in_(list(contacts))).values(closed=ended, waiting=None)
    )


def _query() -> Select[Any]:
    return (
        select(
            conversation,
            contact.c.ref.label("contact_ref"),
            contact.c.code,
            contact.c.locale,
            contact.c.address_box,
            contact.c.fields_box,
            contact_key.c.contact.is_not(None).label("is_held"),
            topic.c.ref.label("topic_ref"),
            topic.c.name.label("topic_name"),
            campaign.c.ref.label("campaign_ref"),
            campaign.c.name.label("campaign_name"),
        )
        .join(contact, contact.c.id == conversation.c.contact)
        .outerjoin(contact_key, contact_key.c.contact == contact.c.id)
        .outerjoin(topic, topic.c.id == conversation.c.topic)
        .outerjoin(campaign, campaign.c.id == conversation.c.campaign)
    )


def _of(wanted: Wanted) -> list[ColumnElement[bool]]:
    chosen: dict[str, ColumnElement[bool]] = {
        "waiting": _WAITS,
        "open": _IS_OPEN,
        "mine": and_(_IS_OPEN, conversation.c.staff == wanted.staff),
        "unassigned": and_(_IS_OPEN, conversation.c.staff.is_(None)),
        "closed": conversation.c.closed.is_not(None),
    }
    found = [chosen[wanted.which]]
    if wanted.topic is not None:
        found.append(topic.c.ref == wanted.topic)
    if wanted.campaign is not None:
        found.append(campaign.c.ref == wanted.campaign)
    if wanted.tag:
        tagged = select(conversation_tag.c.conversation).where(conversation_tag.c.tag == wanted.tag)
        found.append(conversation.c.id.in_(tagged))
    if wanted.mark:
        found.append(conversation.c.mark == wanted.mark)
    return found
