"""SQL about mail that came in and about what it reported: rows taken, settled, counted and undone."""

import secrets
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, and_, delete, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from outreach.store.boxes import ContactKeys
from outreach.store.schema.campaigns import campaign, message
from outreach.store.schema.consents import topic
from outreach.store.schema.inbound import inbound_mail, inbound_report
from outreach.store.schema.people import contact, contact_key, suppression

AGAIN = 5 * 60_000_000
"""Microseconds until a mail that could not be acted on is taken up again, the first time."""

MOST_TRIES = 8


@dataclass(frozen=True, kw_only=True)
class Arrived:
    """A mail for one recipient, to be kept. `digest`: 32 bytes of recipient and octets; `message`: a ref, or None."""

    door: str
    contact: int
    message: bytes | None
    digest: bytes
    facts: dict[str, str]


@dataclass(frozen=True, kw_only=True)
class Told:
    """What is known of one message. `message`: its id; `mail`: whether a mail that came in told so, or the relay."""

    message: int
    kind: str
    status: str = ""
    words: str = ""
    reporting: str = ""
    by_mail: bool = True
    did: str = "noted"


@dataclass(frozen=True, kw_only=True)
class Report:
    """A report as it was kept. Ids inside; `message_ref`, `contact_ref`: names of the outside."""

    id: int
    ref: bytes
    kind: str
    at: int
    contact: int
    contact_ref: bytes
    message: int
    message_ref: bytes
    topic_ref: bytes | None
    campaign_ref: bytes | None
    status: str
    did: str


def addressee(conn: Connection, message_ref: bytes) -> int | None:
    """Whom the message went to, while anything can be kept under their key."""
    query = (
        select(message.c.contact)
        .join(contact_key, contact_key.c.contact == message.c.contact)
        .where(message.c.ref == message_ref)
    )
    found = conn.execute(query).scalar_one_or_none()
    return None if found is None else int(found)


def keep(conn: Connection, keys: ContactKeys, now: int, mails: Iterable[Arrived]) -> int:
    """Box mails until they are acted on. Returns how many are new; what came before is not kept again."""
    new = 0
    for one in mails:
        values = {
            "ref": secrets.token_bytes(16),
            "door": one.door,
            "message": one.message,
            "contact": one.contact,
            "digest": one.digest,
            "mail_box": keys.seal(one.contact, one.facts),
            "received": now,
            "due": now,
        }
        made = _or_nothing(conn, inbound_mail).values(values).returning(inbound_mail.c.id)
        new += conn.execute(made).first() is not None
    return new


def came_since(conn: Connection, contact_id: int, door: str, since: int) -> int:
    """How many mails came at a door about this person's messages, acted on or not."""
    query = select(func.count()).where(
        inbound_mail.c.contact == contact_id, inbound_mail.c.door == door, inbound_mail.c.received > since
    )
    return int(conn.execute(query).scalar_one())


def due(conn: Connection, now: int, most: int) -> list[int]:
    """Ids of mails to act on, oldest first."""
    waits = (inbound_mail.c.state == "waiting", inbound_mail.c.due <= now)
    return list(conn.execute(select(inbound_mail.c.id).where(*waits).order_by(inbound_mail.c.id).limit(most)).scalars())


def find(conn: Connection, mail: int) -> Row[Any]:
    """A mail that came in, as it stands."""
    return conn.execute(select(inbound_mail).where(inbound_mail.c.id == mail)).one()


def take(conn: Connection, mail: int) -> bool:
    """Lock a waiting mail. False once it was acted on."""
    query = select(inbound_mail.c.id).where(inbound_mail.c.id == mail, inbound_mail.c.state == "waiting")
    return conn.execute(query.with_for_update()).first() is not None


def settle(conn: Connection, now: int, mail: int) -> None:
    """It was acted on: the mail itself goes."""
    values = {"state": "done", "settled": now, "mail_box": None}
    conn.execute(update(inbound_mail).where(inbound_mail.c.id == mail).values(values))


def put_off(conn: Connection, now: int, mail: int) -> bool:
    """Try it later, each time twice as late. False once it was tried often enough: it is kept for people to see."""
    tries = conn.execute(select(inbound_mail.c.tries).where(inbound_mail.c.id == mail)).scalar_one() + 1
    state = "failed" if tries >= MOST_TRIES else "waiting"
    values = {"tries": tries, "due": now + AGAIN * 2 ** (tries - 1), "state": state}
    conn.execute(update(inbound_mail).where(inbound_mail.c.id == mail).values(values))
    return state == "waiting"


def try_again(conn: Connection, now: int) -> int:
    """Take up once more what had failed. Returns how many mails that are."""
    values = {"state": "waiting", "tries": 0, "due": now}
    return conn.execute(update(inbound_mail).where(inbound_mail.c.state == "failed").values(values)).rowcount


def purge(conn: Connection, before: int) -> int:
    """Forget mails that were acted on before then: none so old comes again. Returns how many."""
    old = (inbound_mail.c.state == "done", inbound_mail.c.settled < before)
    return conn.execute(delete(inbound_mail).where(*old)).rowcount


def count_failed(conn: Connection) -> int:
    """Mails that could not be acted on."""
    return int(conn.execute(select(func.count()).where(inbound_mail.c.state == "failed")).scalar_one())


def message_id(conn: Connection, ref: bytes) -> int | None:
    """The id of the message of this ref."""
    found = conn.execute(select(message.c.id).where(message.c.ref == ref)).scalar_one_or_none()
    return None if found is None else int(found)


def add_reports(conn: Connection, now: int, told: Sequence[Told]) -> list[Report]:
    """Keep what is new, one of each kind a message. Returns that, in the order of their contacts."""
    known = {row.id: row for row in conn.execute(_about({one.message for one in told}))} if told else {}
    made = []
    for one in sorted((one for one in told if one.message in known), key=lambda one: known[one.message].contact):
        row = known[one.message]
        values = {
            "ref": secrets.token_bytes(16),
            "kind": one.kind,
            "source": "mail" if one.by_mail else "dialogue",
            "contact": row.contact,
            "message": one.message,
            "campaign": row.campaign,
            "topic": row.topic,
            "provider": row.provider,
            "status": one.status[:20],
            "words": one.words[:500],
            "reporting": one.reporting[:255],
            "did": one.did,
            "at": now,
        }
        returning = _or_nothing(conn, inbound_report).values(values).returning(inbound_report.c.id)
        new = conn.execute(returning).scalar_one_or_none()
        if new is not None:
            made.append(_report(row, int(new), values))
    return made


def _about(messages: Collection[int]) -> Select[Any]:
    return (
        select(
            message.c.id,
            message.c.ref,
            message.c.contact,
            message.c.campaign,
            message.c.topic,
            contact.c.ref.label("contact_ref"),
            contact.c.provider,
            topic.c.ref.label("topic_ref"),
            campaign.c.ref.label("campaign_ref"),
        )
        .join(contact, contact.c.id == message.c.contact)
        .outerjoin(topic, topic.c.id == message.c.topic)
        .outerjoin(campaign, campaign.c.id == message.c.campaign)
        .where(message.c.id.in_(sorted(messages)))
    )


def _report(row: Row[Any], identity: int, values: dict[str, Any]) -> Report:
    return Report(
        id=identity,
        ref=values["ref"],
        kind=values["kind"],
        at=values["at"],
        contact=row.contact,
        contact_ref=row.contact_ref,
        message=row.id,
        message_ref=row.ref,
        topic_ref=row.topic_ref,
        campaign_ref=row.campaign_ref,
        status=values["status"],
        did=values["did"],
    )


def note(conn: Connection, report: int, **values: Any) -> None:
    """Keep what was done because of a report, or that it was undone."""
    conn.execute(update(inbound_report).where(inbound_report.c.id == report).values(values))


def hard_since_lifted(conn: Connection, contact_id: int, address_key: bytes) -> int:
    """Messages that came back for good, since an officer last lifted the bar that followed."""
    lifted = (
        select(func.coalesce(func.max(suppression.c.lifted), 0))
        .where(suppression.c.key == address_key, suppression.c.kind == "bounce")
        .scalar_subquery()
    )
    counted = (
        inbound_report.c.contact == contact_id,
        inbound_report.c.kind == "hard-bounce",
        inbound_report.c.undone.is_(None),
        inbound_report.c.at > lifted,
    )
    return int(conn.execute(select(func.count()).where(*counted)).scalar_one())


def soft_in_a_row(conn: Connection, contact_id: int, most: int) -> int:
    """How many of the person's newest messages, up to `most`, a mailbox that takes none for now sent back."""
    own = select(contact.c.mailbox).where(contact.c.id == contact_id).scalar_subquery()
    ended = or_(message.c.state == "sent", and_(message.c.state == "failed", message.c.reason != "unsendable"))
    came_back = (
        select(inbound_report.c.id)
        .where(
            inbound_report.c.message == message.c.id,
            inbound_report.c.kind == "soft-bounce",
            inbound_report.c.undone.is_(None),
        )
        .exists()
    )
    query = (
        select(came_back.label("soft"))
        .where(message.c.mailbox == own, message.c.contact == contact_id, ended)
        .order_by(message.c.settled.desc(), message.c.id.desc())
        .limit(most)
    )
    found = list(conn.execute(query).scalars())
    return next((place for place, soft in enumerate(found) if not soft), len(found))


def rest(conn: Connection, contact_id: int, until: int | None) -> int | None:
    """Let campaigns wait until then; returns what held before."""
    before = conn.execute(select(contact.c.rest_until).where(contact.c.id == contact_id).with_for_update()).scalar_one()
    conn.execute(update(contact).where(contact.c.id == contact_id).values(rest_until=until))
    return None if before is None else int(before)


def end_rest(conn: Connection, contact_id: int, until: int, before: int | None) -> bool:
    """Put back what held before a rest `until`. False where another rest has begun since, or an officer ended it."""
    stands = (contact.c.id == contact_id, contact.c.rest_until == until)
    return conn.execute(update(contact).where(*stands).values(rest_until=before)).rowcount == 1


def lock_report(conn: Connection, ref: bytes) -> Row[Any] | None:
    """A report, its row locked, with the refs of whom and what it is about."""
    held = conn.execute(select(inbound_report.c.id).where(inbound_report.c.ref == ref).with_for_update())
    return None if held.first() is None else find_report(conn, ref)


def find_report(conn: Connection, ref: bytes) -> Row[Any] | None:
    """A report with the refs of whom and what it is about."""
    return conn.execute(_reports().where(inbound_report.c.ref == ref)).one_or_none()


def newest(conn: Connection, most: int, *, kinds: Collection[str] = ()) -> list[Row[Any]]:
    """The newest reports, of these kinds or of all."""
    query = _reports().order_by(inbound_report.c.id.desc()).limit(most)
    return list(conn.execute(query.where(inbound_report.c.kind.in_(sorted(kinds))) if kinds else query))


def of_contact(conn: Connection, contact_id: int) -> list[Row[Any]]:
    """Every report about one person's mail, oldest first."""
    return list(conn.execute(_reports().where(inbound_report.c.contact == contact_id).order_by(inbound_report.c.id)))


def _reports() -> Select[Any]:
    return (
        select(
            inbound_report,
            contact.c.ref.label("contact_ref"),
            message.c.ref.label("message_ref"),
            message.c.origin,
            message.c.invitation,
            topic.c.ref.label("topic_ref"),
            topic.c.name.label("topic_name"),
            campaign.c.ref.label("campaign_ref"),
            campaign.c.name.label("campaign_name"),
        )
        .join(contact, contact.c.id == inbound_report.c.contact)
        .join(message, message.c.id == inbound_report.c.message)
        .outerjoin(topic, topic.c.id == inbound_report.c.topic)
        .outerjoin(campaign, campaign.c.id == inbound_report.c.campaign)
    )


def counts_of(conn: Connection, campaign_id: int, since: int = 0) -> dict[str, int]:
    """Reports about a campaign's messages by kind, without those that were undone."""
    chosen = (
        inbound_report.c.campaign == campaign_id,
        inbound_report.c.at >= since,
        inbound_report.c.undone.is_(None),
    )
    query = select(inbound_report.c.kind, func.count()).where(*chosen).group_by(inbound_report.c.kind)
    return {kind: int(n) for kind, n in conn.execute(query)}


def counts_since(conn: Connection, since: int) -> list[Row[Any]]:
    """(topic ref or None, provider, kind, n) of what was reported since then and not undone."""
    query = (
        select(topic.c.ref.label("topic"), inbound_report.c.provider, inbound_report.c.kind, func.count().label("n"))
        .outerjoin(topic, topic.c.id == inbound_report.c.topic)
        .where(inbound_report.c.at >= since, inbound_report.c.undone.is_(None))
        .group_by(topic.c.ref, inbound_report.c.provider, inbound_report.c.kind)
    )
    return list(conn.execute(query))


def came_back_since(conn: Connection, since: int, kinds: Collection[str]) -> dict[str, int]:
    """By provider: how many mails that a server had taken came back by mail since then, undone reports left out."""
    query = select(inbound_report.c.provider, func.count()).where(
        inbound_report.c.at >= since,
        inbound_report.c.source == "mail",
        inbound_report.c.kind.in_(sorted(kinds)),
        inbound_report.c.undone.is_(None),
    )
    return {provider: int(n) for provider, n in conn.execute(query.group_by(inbound_report.c.provider))}


def campaigns_since(conn: Connection, since: int, most: int) -> list[Row[Any]]:
    """(id, ref, name, state) of campaigns that anything was reported of since then, the newest first."""
    told = select(inbound_report.c.campaign).where(inbound_report.c.at >= since, inbound_report.c.campaign.is_not(None))
    query = select(campaign.c.id, campaign.c.ref, campaign.c.name, campaign.c.state)
    return list(conn.execute(query.where(campaign.c.id.in_(told)).order_by(campaign.c.id.desc()).limit(most)))


def forget(conn: Connection, contacts: Collection[int]) -> None:
    """Mails that wait, of people who are gone: nobody can open them any more."""
    values = {"state": "done", "settled": 0, "mail_box": None}
    whose = inbound_mail.c.contact.in_(sorted(contacts))
    conn.execute(update(inbound_mail).where(whose, inbound_mail.c.state != "done").values(values))


def _or_nothing(conn: Connection, table: Any) -> Any:
    """An INSERT that leaves alone what is there."""
    if conn.dialect.name == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    return postgresql.insert(table).on_conflict_do_nothing()
