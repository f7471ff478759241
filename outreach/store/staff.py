"""SQL about staff: their rows and names, one-time links, and the campaigns somebody who leaves had going."""

import hashlib
import secrets
from typing import Any

from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.engine import Row

from outreach.domain.addresses import Address
from outreach.domain.keys import Keyring
from outreach.store.boxes import ContactKeys
from outreach.store.contacts import ensure_contact
from outreach.store.schema.campaigns import campaign
from outreach.store.schema.organisation import one_time_link, staff
from outreach.store.schema.people import contact

StaffRow = Row[*tuple[Any, ...]]
"""A member of staff beside their contact's ref and boxes."""

_COLUMNS = (
    staff.c.id,
    staff.c.ref,
    staff.c.contact,
    staff.c.roles,
    staff.c.timezone,
    staff.c.created,
    staff.c.disabled,
    staff.c.password_hash,
    staff.c.told_of_dues,
    contact.c.ref.label("contact_ref"),
    contact.c.address_box,
    contact.c.fields_box,
)
_WITH_CONTACT = select(*_COLUMNS).join(contact, contact.c.id == staff.c.contact)


def has_any(conn: Connection) -> bool:
    """Whether anybody has an account yet."""
    return conn.execute(select(staff.c.id).limit(1)).first() is not None


def add(
    conn: Connection,
    keyring: Keyring,
    keys: ContactKeys,
    now: int,
    *,
    address: Address,
    name: str,
    roles: str,
    timezone: str,
    password_hash: str | None = None,
) -> StaffRow | None:
    """A new member of staff; None when this address has an account already."""
    person = ensure_contact(
        conn, keyring, keys, address, now=now, locale="en", timezone=timezone, fields={"name": name}
    )
    if conn.execute(select(staff.c.id).where(staff.c.contact == person.id)).first() is not None:
        return None
    made = conn.execute(
        insert(staff)
        .values(
            ref=secrets.token_bytes(16),
            contact=person.id,
            roles=roles,
            timezone=timezone,
            password_hash=password_hash,
            created=now,
        )
        .returning(staff.c.id)
    ).scalar_one()
    rename(conn, keys, person.id, name)  # the contact may have been known by another name, or by none
    return by_id(conn, made)


def rename(conn: Connection, keys: ContactKeys, contact_id: int, name: str) -> None:
    """Keep the name with the contact's other fields."""
    held = conn.execute(select(contact.c.fields_box).where(contact.c.id == contact_id)).scalar_one()
    facts = {**keys.facts(contact_id, held), "name": name}
    conn.execute(update(contact).where(contact.c.id == contact_id).values(fields_box=keys.seal(contact_id, facts)))


def by_id(conn: Connection, staff_id: int) -> StaffRow | None:
    return conn.execute(_WITH_CONTACT.where(staff.c.id == staff_id)).one_or_none()


def by_ref(conn: Connection, ref: bytes) -> StaffRow | None:
    return conn.execute(_WITH_CONTACT.where(staff.c.ref == ref)).one_or_none()


def by_address_key(conn: Connection, address_key: bytes) -> StaffRow | None:
    """The enabled member of staff with this address."""
    return conn.execute(
        _WITH_CONTACT.where(contact.c.address_key == address_key, staff.c.disabled.is_(None))
    ).one_or_none()


def everybody(conn: Connection) -> list[StaffRow]:
    """All staff in order of arrival; at most a few hundred."""
    return list(conn.execute(_WITH_CONTACT.order_by(staff.c.id)))


def change(conn: Connection, staff_id: int, **values: Any) -> None:
    conn.execute(update(staff).where(staff.c.id == staff_id).values(values))


def working_administrators(conn: Connection) -> set[int]:
    """Ids of enabled administrators who have chosen a password; all staff rows stay locked until the end."""
    rows = conn.execute(
        select(staff.c.id, staff.c.roles, staff.c.disabled, staff.c.password_hash)
        .order_by(staff.c.id)
        .with_for_update()
    )
    return {
        row.id
        for row in rows
        if row.disabled is None and row.password_hash is not None and "administrator" in row.roles.split(",")
    }


def add_link(conn: Connection, now: int, *, ref: bytes, purpose: str, expires: int, staff_id: int | None) -> None:
    """A one-time link; only the SHA-256 of its token's ref is kept."""
    conn.execute(
        insert(one_time_link).values(key=_key(ref), purpose=purpose, staff=staff_id, created=now, expires=expires)
    )


def open_link(conn: Connection, now: int, *, ref: bytes, purpose: str) -> Row[*tuple[Any, ...]] | None:
    """The link of this ref, if it is neither used nor past its time; locked, so that it works once."""
    return conn.execute(
        select(one_time_link)
        .where(
            one_time_link.c.key == _key(ref),
            one_time_link.c.purpose == purpose,
            one_time_link.c.used.is_(None),
            one_time_link.c.expires > now,
        )
        .with_for_update()
    ).one_or_none()


def close_links(conn: Connection, now: int, *, purpose: str, staff_id: int | None) -> None:
    """Every open link of this purpose and person is used up."""
    same = one_time_link.c.staff.is_(None) if staff_id is None else one_time_link.c.staff == staff_id
    conn.execute(
        update(one_time_link)
        .where(one_time_link.c.purpose == purpose, same, one_time_link.c.used.is_(None))
        .values(used=now)
    )


def links_since(conn: Connection, staff_id: int, since: int) -> int:
    """How many links this person was given after `since`."""
    query = select(func.count()).select_from(one_time_link)
    return int(
        conn.execute(query.where(one_time_link.c.staff == staff_id, one_time_link.c.created > since)).scalar_one()
    )


def pause_campaigns_of(conn: Connection, now: int, staff_id: int) -> list[bytes]:
    """Pause what this author has scheduled or under way, until somebody adopts it. Returns the campaigns' refs."""
    return list(
        conn.execute(
            update(campaign)
            .where(campaign.c.author == staff_id, campaign.c.state.in_(["scheduled", "sending"]))
            .values(state="paused", resumes_to=campaign.c.state, pause_reason="author disabled", updated=now)
            .returning(campaign.c.ref)
        ).scalars()
    )


def _key(ref: bytes) -> bytes:
    return hashlib.sha256(ref).digest()
