"""SQL about people's requests: the requests, links and mails that serve them, results, and proof kept for claims."""

import secrets
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, delete, func, insert, select, update
from sqlalchemy.engine import Row

from outreach.domain.message import FINAL
from outreach.store.schema.campaigns import message
from outreach.store.schema.people import contact
from outreach.store.schema.rights import (
    claims_hold,
    restoration,
    rights_link,
    rights_mail,
    rights_request,
    rights_result,
)

RequestRow = Row[*tuple[Any, ...]]
"""A request's columns, and `contact_ref`, `code` of its person."""

_WITH_PERSON: Select[*tuple[Any, ...]] = select(
    *rights_request.c, contact.c.ref.label("contact_ref"), contact.c.code
).join(contact, contact.c.id == rights_request.c.contact)


def add(conn: Connection, **values: Any) -> RequestRow:
    """A new request."""
    row = {"ref": secrets.token_bytes(16), **values}
    made = conn.execute(insert(rights_request).values(row).returning(rights_request.c.id)).scalar_one()
    return conn.execute(_WITH_PERSON.where(rights_request.c.id == made)).one()


def by_ref(conn: Connection, ref: bytes, *, lock: bool = False) -> RequestRow | None:
    query = _WITH_PERSON.where(rights_request.c.ref == ref)
    return conn.execute(query.with_for_update(of=rights_request) if lock else query).one_or_none()


def change(conn: Connection, request_id: int, **values: Any) -> None:
    conn.execute(update(rights_request).where(rights_request.c.id == request_id).values(values))


def unfinished(conn: Connection, *, limit: int) -> Sequence[RequestRow]:
    """Requests that wait for an answer, the one due first first."""
    query = _WITH_PERSON.where(rights_request.c.finished.is_(None))
    return conn.execute(query.order_by(rights_request.c.due, rights_request.c.id).limit(limit)).all()


def finished(conn: Connection, *, limit: int) -> Sequence[RequestRow]:
    """Requests that were answered, the newest first."""
    query = _WITH_PERSON.where(rights_request.c.finished.is_not(None))
    return conn.execute(query.order_by(rights_request.c.id.desc()).limit(limit)).all()


def of_contact(conn: Connection, contact_id: int) -> Sequence[RequestRow]:
    """A person's requests, newest first."""
    query = _WITH_PERSON.where(rights_request.c.contact == contact_id)
    return conn.execute(query.order_by(rights_request.c.id.desc())).all()


def open_of(conn: Connection, contact_id: int, kind: str) -> RequestRow | None:
    """A person's request of this kind that waits for an answer."""
    query = _WITH_PERSON.where(
        rights_request.c.contact == contact_id, rights_request.c.kind == kind, rights_request.c.finished.is_(None)
    )
    return conn.execute(query.order_by(rights_request.c.id).limit(1)).one_or_none()


def to_erase(conn: Connection, before: int) -> list[int]:
    """Ids of decided erasures whose mail was settled before that instant."""
    query = (
        select(rights_request.c.id)
        .join(message, message.c.ref == rights_request.c.notice)
        .where(
            rights_request.c.state == "carrying-out",
            rights_request.c.finished.is_(None),
            message.c.state.in_(sorted(FINAL)) | (message.c.state == "unknown"),
            func.coalesce(message.c.settled, message.c.counted, message.c.planned) <= before,
        )
    )
    return list(conn.execute(query.order_by(rights_request.c.id)).scalars())


def by_id(conn: Connection, request_id: int) -> RequestRow:
    return conn.execute(_WITH_PERSON.where(rights_request.c.id == request_id)).one()


def add_link(conn: Connection, now: int, contact_id: int) -> bytes:
    """A new link's ref."""
    ref = secrets.token_bytes(16)
    conn.execute(insert(rights_link).values(ref=ref, contact=contact_id, created=now))
    return ref


def link_owner(conn: Connection, ref: bytes) -> int | None:
    """The contact a link was made for."""
    return conn.execute(select(rights_link.c.contact).where(rights_link.c.ref == ref)).scalar_one_or_none()


def links_since(conn: Connection, contact_id: int, since: int) -> int:
    """How many links were made for a person after `since`."""
    query = select(func.count()).where(rights_link.c.contact == contact_id, rights_link.c.created > since)
    return int(conn.execute(query).scalar_one())


def note_mail(conn: Connection, now: int, message_ref: bytes) -> None:
    """Let this mail rest on a person's request."""
    found = select(message.c.id).where(message.c.ref == message_ref).scalar_subquery()
    conn.execute(insert(rights_mail).values(message=found, at=now))


def put_result(conn: Connection, request_id: int, box: bytes, made: int, expires: int) -> None:
    """Keep the answer to a request in place of an earlier one."""
    conn.execute(delete(rights_result).where(rights_result.c.request == request_id))
    conn.execute(insert(rights_result).values(request=request_id, result_box=box, made=made, expires=expires))


def result_of(conn: Connection, request_id: int, now: int) -> Row[*tuple[Any, ...]] | None:
    """(result_box, made, expires) of a request, while it is kept."""
    columns: tuple[Any, ...] = (rights_result.c.result_box, rights_result.c.made, rights_result.c.expires)
    query = select(*columns).where(rights_result.c.request == request_id, rights_result.c.expires > now)
    return conn.execute(query).one_or_none()


def forget_results(conn: Connection, contact_id: int) -> None:
    """Throw away what was made for a person."""
    theirs = select(rights_request.c.id).where(rights_request.c.contact == contact_id)
    conn.execute(delete(rights_result).where(rights_result.c.request.in_(theirs)))


def forget_old(conn: Connection, now: int, *, links_before: int, mails_before: int) -> int:
    """Throw away what is past its time. Returns how many rows."""
    old = (
        delete(rights_result).where(rights_result.c.expires <= now),
        delete(rights_link).where(rights_link.c.created < links_before),
        delete(rights_mail).where(rights_mail.c.at < mails_before),
    )
    return sum(conn.execute(one).rowcount for one in old)


def has_old(conn: Connection, now: int, *, links_before: int, mails_before: int) -> bool:
    """Whether `forget_old` would find anything."""
    old = (
        select(rights_result.c.request).where(rights_result.c.expires <= now),
        select(rights_link.c.id).where(rights_link.c.created < links_before),
        select(rights_mail.c.at).where(rights_mail.c.at < mails_before),
    )
    return any(conn.execute(one.limit(1)).first() is not None for one in old)


def add_hold(conn: Connection, *, contact_ref: bytes, made: int, until: int, box: bytes) -> bytes:
    """Keep proof for claims, in place of an earlier one about the same person. Returns its ref."""
    ref = secrets.token_bytes(16)
    conn.execute(delete(claims_hold).where(claims_hold.c.contact == contact_ref))
    values = {"ref": ref, "contact": contact_ref, "made": made, "until": until, "proof_box": box}
    conn.execute(insert(claims_hold).values(values))
    return ref


def holds(conn: Connection) -> Sequence[Row[*tuple[Any, ...]]]:
    """Every proof that is kept (ref, contact, made, until), the one that ends first first."""
    columns: tuple[Any, ...] = (claims_hold.c.ref, claims_hold.c.contact, claims_hold.c.made, claims_hold.c.until)
    return conn.execute(select(*columns).order_by(claims_hold.c.until)).all()


def hold_by_ref(conn: Connection, ref: bytes) -> Row[*tuple[Any, ...]] | None:
    columns: tuple[Any, ...] = tuple(claims_hold.c)
    return conn.execute(select(*columns).where(claims_hold.c.ref == ref)).one_or_none()


def ended_holds(conn: Connection, now: int) -> list[Row[*tuple[Any, ...]]]:
    """(ref, contact) of proof whose time is over."""
    columns: tuple[Any, ...] = (claims_hold.c.ref, claims_hold.c.contact)
    return list(conn.execute(select(*columns).where(claims_hold.c.until <= now)))


def drop_hold(conn: Connection, ref: bytes) -> bool:
    """Destroy one proof. False when it was gone."""
    return conn.execute(delete(claims_hold).where(claims_hold.c.ref == ref)).rowcount == 1


def restored_up_to(conn: Connection) -> int:
    """The size of the kept checkpoint to which this database was last reconciled; 0 for never."""
    return int(conn.execute(select(func.coalesce(func.max(restoration.c.size), 0))).scalar_one())


def note_restoration(conn: Connection, now: int, *, size: int, erased: int) -> None:
    conn.execute(insert(restoration).values(at=now, size=size, erased=erased))
