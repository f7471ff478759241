"""What came through the public doors, the confirmations made of it, and the durable budgets of confirmation mail."""

import secrets
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Update,
    bindparam,
    delete,
    exists,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.engine import Row

from outreach.store import observations
from outreach.store.bulk import among, bound, prepared
from outreach.store.schema.campaigns import message
from outreach.store.schema.consents import confirmation, confirmation_topic, mail_budget, request, topic
from outreach.store.schema.observations import observation
from outreach.store.schema.people import contact, contact_key, mailbox
from outreach.store.staging import among_keys, bound_keys

_HOUR = 3_600_000_000
DAY = 24 * _HOUR


def put_request(
    conn: Connection,
    now: int,
    *,
    door: str,
    network: bytes,
    payload_box: bytes | None,
    not_before: int,
    settled: int | None = None,
) -> None:
    """The one row a public door writes, whoever was named in it."""
    conn.execute(
        insert(request).values(
            ref=secrets.token_bytes(16),
            door=door,
            received=now,
            network=network,
            payload_box=payload_box,
            not_before=not_before,
            settled=settled,
        )
    )


def due_requests(conn: Connection, now: int, *, doors: Collection[str], limit: int) -> list[Row[Any]]:
    """Requests the engine may look at now, oldest first, locked against a second engine."""
    return list(
        conn.execute(
            select(request)
            .where(request.c.settled.is_(None), request.c.not_before <= now, request.c.door.in_(list(doors)))
            .order_by(request.c.not_before, request.c.id)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
    )


def settle_request(conn: Connection, request_id: int, now: int) -> None:
    """Done with: what was typed is forgotten, the row stays a week to be counted."""
    conn.execute(update(request).where(request.c.id == request_id).values(settled=now, payload_box=None))


def postpone_request(conn: Connection, request_id: int, until: int) -> None:
    """Wait, never drop."""
    conn.execute(update(request).where(request.c.id == request_id).values(not_before=until))


def reseal_request(conn: Connection, request_id: int, payload_box: bytes) -> None:
    """Keep something more with what was typed, for when the request is looked at again."""
    conn.execute(update(request).where(request.c.id == request_id).values(payload_box=payload_box))


def open_confirmation(conn: Connection, contact_id: int, now: int, *, about: str = "topics") -> Row[Any] | None:
    """The request about topics, or an account, that this person has not yet answered, if one is pending."""
    return conn.execute(
        select(confirmation)
        .where(
            confirmation.c.contact == contact_id,
            confirmation.c.about == about,
            confirmation.c.answered.is_(None),
            confirmation.c.expires > now,
        )
        .order_by(confirmation.c.id.desc())
        .limit(1)
    ).one_or_none()


def confirmation_by_ref(conn: Connection, ref: bytes, *, lock: bool = False) -> Row[Any] | None:
    """The confirmation a link names."""
    return conn.execute(_BY_REF_LOCKED if lock else _BY_REF, {"of_ref": ref}).one_or_none()


_BY_REF = select(confirmation).where(confirmation.c.ref == bindparam("of_ref"))
_BY_REF_LOCKED = _BY_REF.with_for_update()


def confirmation_by_id(conn: Connection, confirmation_id: int) -> Row[Any] | None:
    return conn.execute(select(confirmation).where(confirmation.c.id == confirmation_id)).one_or_none()


def add_confirmation(conn: Connection, **values: Any) -> int:
    """A new confirmation; returns its id."""
    row = {"ref": secrets.token_bytes(16), **values}
    return int(conn.execute(insert(confirmation).values(row).returning(confirmation.c.id)).scalar_one())


def change_confirmation(conn: Connection, confirmation_id: int, **values: Any) -> None:
    conn.execute(update(confirmation).where(confirmation.c.id == confirmation_id).values(values))


def close(conn: Connection, now: int, confirmations: Collection[int], answer: str) -> None:
    """Keep the answer to these questions."""
    conn.execute(_close(conn), {"ids": bound(conn, confirmations), "at": now, "said": answer})


@prepared
def _close(conn: Connection) -> Update:
    query = update(confirmation).where(text(among(conn, "confirmation.id")))
    return query.values(answered=bindparam("at"), answer=bindparam("said"))


def lock_owners(conn: Connection, refs: Collection[bytes]) -> dict[int, bytes]:
    """Lock the contacts whom these confirmations ask, in id order as everywhere. Returns their refs by id."""
    return {row.id: row.ref for row in conn.execute(_owners(conn), {"keys": bound_keys(refs)})}


@prepared
def _owners(conn: Connection) -> Select[tuple[int, bytes]]:
    asked = select(confirmation.c.contact).where(text(among_keys(conn, "confirmation.ref", length=16)))
    query = select(contact.c.id, contact.c.ref).where(contact.c.id.in_(asked)).order_by(contact.c.id)
    return query.with_for_update(key_share=True)


def questions(conn: Connection, now: int, refs: Collection[bytes], *, lock: bool) -> dict[bytes, Row[Any]]:
    """Confirmations by ref, each with what answering it needs: its owner's key, address, zone and the keys they may be
    barred by, the last mail that asked (`mail_ref`, `mail_state`, `mail_counted`), and whether a program touched it.
    """
    query = _locked_questions(conn) if lock else _questions(conn)
    rows = conn.execute(query, {"keys": bound_keys(refs), "touched_after": now - observations.KEPT})
    return {bytes(row.ref): row for row in rows}


@prepared
def _questions(conn: Connection) -> Select[Any]:
    return _QUESTIONS.where(text(among_keys(conn, "confirmation.ref", length=16)))


@prepared
def _locked_questions(conn: Connection) -> Select[Any]:
    return _questions(conn).with_for_update(of=confirmation)


_mail = message.alias("asking")
_newest_mail = (
    select(func.max(message.c.id))
    .where(
        message.c.mailbox == contact.c.mailbox,
        message.c.contact == confirmation.c.contact,
        message.c.confirmation == confirmation.c.id,
    )
    .correlate(contact, confirmation)
    .scalar_subquery()
)
_QUESTIONS = (
    select(
        confirmation,
        contact.c.address_box,
        contact.c.timezone,
        contact.c.address_key,
        mailbox.c.mailbox_key,
        contact_key.c.kek,
        contact_key.c.wrapped,
        _mail.c.ref.label("mail_ref"),
        _mail.c.state.label("mail_state"),
        _mail.c.counted.label("mail_counted"),
        exists()
        .where(observation.c.about == confirmation.c.ref, observation.c.at > bindparam("touched_after"))
        .label("was_touched"),
    )
    .select_from(confirmation)
    .join(contact, contact.c.id == confirmation.c.contact)
    .join(mailbox, mailbox.c.id == contact.c.mailbox)
    .outerjoin(contact_key, contact_key.c.contact == contact.c.id)
    .outerjoin(_mail, _mail.c.id == _newest_mail)
)


def asked_with_topics(conn: Connection, confirmations: Collection[int]) -> dict[int, list[Row[Any]]]:
    """What each of these confirmations asks about, with what else its page and its answer need of each topic."""
    asked: dict[int, list[Row[Any]]] = {}
    for row in conn.execute(_with_topics(conn), {"ids": bound(conn, confirmations)}):
        asked.setdefault(row.confirmation, []).append(row)
    return asked


@prepared
def _with_topics(conn: Connection) -> Select[Any]:
    columns = (*confirmation_topic.c, topic.c.ref, topic.c.slug, topic.c.expires_days)
    query = select(*columns).join(topic, topic.c.id == confirmation_topic.c.topic).order_by(topic.c.id)
    return query.where(text(among(conn, "confirmation_topic.confirmation")))


def asked_topics(conn: Connection, confirmation_id: int) -> dict[int, Row[Any]]:
    """The topics a confirmation asks about, by topic id."""
    return {row.topic: row for row in conn.execute(_ASKED, {"of_confirmation": confirmation_id})}


_ASKED = (
    select(confirmation_topic)
    .where(confirmation_topic.c.confirmation == bindparam("of_confirmation"))
    .order_by(confirmation_topic.c.topic)
)


def ask_about(conn: Connection, confirmation_id: int, texts: Mapping[int, int]) -> None:
    """Add topics (topic id → text id) to a confirmation; those it has keep the text they were asked with."""
    known = asked_topics(conn, confirmation_id)
    rows = [
        {"confirmation": confirmation_id, "topic": topic, "text": text}
        for topic, text in texts.items()
        if topic not in known
    ]
    if rows:
        conn.execute(insert(confirmation_topic), rows)


def ask_no_more(conn: Connection, confirmation_id: int, topics: Collection[int]) -> None:
    """Take topics out of an open question."""
    conn.execute(
        delete(confirmation_topic).where(
            confirmation_topic.c.confirmation == confirmation_id, confirmation_topic.c.topic.in_(list(topics))
        )
    )


def mark_granted(conn: Connection, granted: Mapping[int, Collection[int]]) -> None:
    """Which topics (ids) each of these confirmations was answered yes to."""
    by_topic: dict[int, list[int]] = {}
    for confirmation_id, topics in granted.items():
        for one in topics:
            by_topic.setdefault(one, []).append(confirmation_id)
    for one, confirmations in by_topic.items():
        conn.execute(_grant(conn), {"ids": bound(conn, confirmations), "of_topic": one})


@prepared
def _grant(conn: Connection) -> Update:
    of_them = text(among(conn, "confirmation_topic.confirmation"))
    query = update(confirmation_topic).where(of_them, confirmation_topic.c.topic == bindparam("of_topic"))
    return query.values(granted=1)


def _about(confirmation_id: int, contact_id: int) -> tuple[ColumnElement[bool], ...]:
    """Mails about a confirmation, found by the index of the mailbox they went to."""
    mailbox = select(contact.c.mailbox).where(contact.c.id == contact_id).scalar_subquery()
    return message.c.mailbox == mailbox, message.c.contact == contact_id, message.c.confirmation == confirmation_id


def has_unsent_mail(conn: Connection, confirmation_id: int, contact_id: int) -> bool:
    """Whether a mail about this confirmation is still to go: it will show topics added meanwhile."""
    query = select(message.c.id).where(
        *_about(confirmation_id, contact_id), message.c.state.in_(["planned", "waiting"])
    )
    return conn.execute(query.limit(1)).first() is not None


def last_mail(conn: Connection, confirmation_id: int, contact_id: int) -> Row[Any] | None:
    """The latest mail that asked this question."""
    return conn.execute(_LAST_MAIL, {"of_contact": contact_id, "of_confirmation": confirmation_id}).one_or_none()


_LAST_MAIL = (
    select(message)
    .where(
        message.c.mailbox == select(contact.c.mailbox).where(contact.c.id == bindparam("of_contact")).scalar_subquery(),
        message.c.contact == bindparam("of_contact"),
        message.c.confirmation == bindparam("of_confirmation"),
    )
    .order_by(message.c.id.desc())
    .limit(1)
)


def spent(conn: Connection, key: bytes, since: int) -> int:
    """Confirmation mails started under a budget's key after `since`."""
    query = select(func.count()).select_from(mail_budget).where(mail_budget.c.key == key, mail_budget.c.at > since)
    return int(conn.execute(query).scalar_one())


def frees_at(conn: Connection, key: bytes, since: int, limit: int) -> int:
    """The instant of the spending whose ageing out of the window makes room for one more."""
    query = select(mail_budget.c.at).where(mail_budget.c.key == key, mail_budget.c.at > since)
    return int(
        conn.execute(query.order_by(mail_budget.c.at.desc(), mail_budget.c.id.desc()).offset(limit - 1).limit(1))
        .scalars()
        .one()
    )


def spend(conn: Connection, now: int, keys: Collection[bytes]) -> None:
    conn.execute(insert(mail_budget), [{"key": key, "at": now} for key in keys])


def has_old(conn: Connection, now: int) -> bool:
    """Whether `purge` would find anything."""
    old = conn.execute(select(request.c.id).where(request.c.settled < now - 7 * DAY).limit(1)).first()
    return (
        old is not None
        or conn.execute(select(mail_budget.c.id).where(mail_budget.c.at < now - DAY).limit(1)).first() is not None
    )


def purge(conn: Connection, now: int) -> None:
    """Forget settled requests after 7 days, and budgets after their longest window."""
    conn.execute(delete(request).where(request.c.settled < now - 7 * DAY))
    conn.execute(delete(mail_budget).where(mail_budget.c.at < now - DAY))


def is_request_due(conn: Connection, now: int, *, doors: Collection[str]) -> bool:
    """Whether there is anything for the engine to look at."""
    query = select(request.c.id).where(
        request.c.settled.is_(None), request.c.not_before <= now, request.c.door.in_(list(doors))
    )
    return conn.execute(query.limit(1)).first() is not None


def add_withheld(
    conn: Connection, now: int, contact_id: int, mailbox_id: int, lane: str, confirmation_id: int, reason: str
) -> bytes:
    """The row of a confirmation mail that was not sent, so that it can be explained. Returns its ref."""
    ref = secrets.token_bytes(16)
    conn.execute(
        insert(message).values(
            ref=ref,
            origin="confirmation",
            kind="service",
            lane=lane,
            contact=contact_id,
            mailbox=mailbox_id,
            confirmation=confirmation_id,
            state="withheld",
            reason=reason,
            planned=now,
            due=now,
            settled=now,
        )
    )
    return ref
