"""Who works here: inviting, roles, leaving, and each person's own name and zone. Addresses and names stay boxed."""

import secrets
from collections.abc import Collection
from dataclasses import dataclass

from sqlalchemy import Connection

from outreach.domain import addresses
from outreach.domain.actors import Actor, Role
from outreach.domain.campaign import zone
from outreach.domain.errors import ConflictError, InvalidInputError, NotFoundError
from outreach.domain.tokens import Purpose
from outreach.services import outbox
from outreach.services.context import Context
from outreach.services.sessions import Session, end_sessions, must_be_proved, roles_of
from outreach.store import staff as store
from outreach.store.audit import Entry, record
from outreach.store.boxes import ContactKeys
from outreach.store.contacts import find_by_id

HOUR = 3_600_000_000
LINK_HOURS = 24
INVITED = "staff-password"
FORGOTTEN = "staff-reset"


@dataclass(frozen=True, kw_only=True)
class Invitation:
    """A new member of staff as an administrator types them."""

    name: str
    address: str
    roles: frozenset[Role]


@dataclass(frozen=True, kw_only=True)
class Member:
    """A member of staff as administrators see them: `masked` address; `has_password`: took up the invitation."""

    ref: bytes
    name: str
    masked: str
    roles: tuple[Role, ...]
    timezone: str
    created: int
    disabled: int | None
    has_password: bool
    is_self: bool


@dataclass(frozen=True, kw_only=True)
class Profile:
    """A person's own account, address in full: it is theirs."""

    name: str
    address: str
    roles: tuple[Role, ...]
    timezone: str
    told_of_dues: bool

    @property
    def has_dues(self) -> bool:
        """Whether anything may ever wait for them."""
        return bool({Role.OFFICER, Role.ADMINISTRATOR} & set(self.roles))


def list_staff(ctx: Context, actor: Actor) -> list[Member]:
    """Everybody with an account, in order of arrival."""
    actor.must_be(Role.ADMINISTRATOR)
    with ctx.db.reading() as conn:
        rows = store.everybody(conn)
        keys = ContactKeys(ctx.keyring, conn)
        keys.load(row.contact for row in rows)
        return [_member(keys, row, actor) for row in rows]


def see_member(ctx: Context, actor: Actor, ref: bytes) -> Member:
    """One member of staff. Raises NotFoundError."""
    actor.must_be(Role.ADMINISTRATOR)
    with ctx.db.reading() as conn:
        return _member(ContactKeys(ctx.keyring, conn), _row(conn, ref), actor)


def see_profile(ctx: Context, actor: Actor) -> Profile:
    """The actor's own account."""
    with ctx.db.reading() as conn:
        row = store.by_id(conn, actor.staff_id or 0)
        if row is None:
            raise NotFoundError("This account no longer exists.")
        keys = ContactKeys(ctx.keyring, conn)
        return Profile(
            name=keys.facts(row.contact, row.fields_box).get("name", ""),
            address=keys.text(row.contact, row.address_box) or "",
            roles=tuple(sorted(roles_of(row.roles))),
            timezone=row.timezone,
            told_of_dues=bool(row.told_of_dues),
        )


def edit_profile(ctx: Context, actor: Actor, *, name: str, timezone: str, told_of_dues: bool = True) -> None:
    """Change one's own name and zone, and whether mails tell what waits. Raises InvalidInputError."""
    check_name(name)
    _check_zone(timezone)
    with ctx.db.transaction() as conn:
        row = store.by_id(conn, actor.staff_id or 0)
        if row is None:
            raise NotFoundError("This account no longer exists.")
        store.rename(conn, ContactKeys(ctx.keyring, conn), row.contact, name)
        store.change(conn, row.id, timezone=timezone, told_of_dues=int(told_of_dues))
        body = {"changed": ["notify"]} if bool(row.told_of_dues) != told_of_dues else {}
        entry = Entry(kind="staff.profile-edited", actor=actor.name, contact=row.contact_ref, body=body)
        record(conn, ctx.db.now(conn), entry)


def invite_staff(ctx: Context, session: Session, invitation: Invitation) -> bytes:
    """Make an account and mail a link to choose its password. Returns its ref. Needs the password given lately."""
    actor = session.actor
    actor.must_be(Role.ADMINISTRATOR)
    must_be_proved(session)
    check_name(invitation.name)
    _check_roles(invitation.roles)
    address = addresses.parse(invitation.address)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        keys = ContactKeys(ctx.keyring, conn)
        row = store.add(
            conn,
            ctx.keyring,
            keys,
            now,
            address=address,
            name=invitation.name,
            roles=_spelled(invitation.roles),
            timezone=session.timezone,
        )
        if row is None:
            raise InvalidInputError("Somebody with this address has an account already.", "address")
        send_password_link(conn, ctx, now, row)
        body = {"staff": row.ref.hex(), "roles": sorted(invitation.roles)}
        record(conn, now, Entry(kind="staff.invited", actor=actor.name, body=body))
        return bytes(row.ref)


def invite_again(ctx: Context, session: Session, ref: bytes) -> None:
    """Mail another link to somebody who has not chosen a password yet. Earlier links stop working."""
    session.actor.must_be(Role.ADMINISTRATOR)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        row = _row(conn, ref)
        if row.disabled is not None or row.password_hash is not None:
            raise ConflictError("This account needs no invitation. Nothing was sent.")
        store.close_links(conn, now, purpose=Purpose.STAFF_PASSWORD, staff_id=row.id)
        send_password_link(conn, ctx, now, row)
        body = {"staff": ref.hex(), "again": True}
        record(conn, now, Entry(kind="staff.invited", actor=session.actor.name, body=body))


def change_roles(ctx: Context, session: Session, ref: bytes, roles: Collection[Role]) -> None:
    """Give exactly `roles`. The last working administrator stays one. Needs the password given lately."""
    session.actor.must_be(Role.ADMINISTRATOR)
    must_be_proved(session)
    _check_roles(roles)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        administrators = store.working_administrators(conn)
        row = _row(conn, ref)
        before = roles_of(row.roles)
        if before == frozenset(roles):
            return
        if Role.ADMINISTRATOR not in roles:
            _keep_one(administrators, row.id)
        store.change(conn, row.id, roles=_spelled(roles))
        body = {"staff": ref.hex(), "before": sorted(before), "roles": sorted(roles)}
        record(conn, now, Entry(kind="staff.roles-changed", actor=session.actor.name, body=body))


def disable_staff(ctx: Context, session: Session, ref: bytes) -> int:
    """Close an account: its sessions and links end, its campaigns pause until adopted. Returns how many campaigns."""
    session.actor.must_be(Role.ADMINISTRATOR)
    must_be_proved(session)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        administrators = store.working_administrators(conn)
        row = _row(conn, ref)
        if row.id == session.owner_id:
            raise ConflictError("You cannot disable your own account; ask another administrator.")
        if row.disabled is not None:
            raise ConflictError("This account is disabled already.")
        _keep_one(administrators, row.id)
        store.change(conn, row.id, disabled=now)
        ended = end_sessions(conn, now, row.id)
        store.close_links(conn, now, purpose=Purpose.STAFF_PASSWORD, staff_id=row.id)
        paused = store.pause_campaigns_of(conn, now, row.id)
        body = {"staff": ref.hex(), "sessions": ended, "campaigns": len(paused)}
        entries = [Entry(kind="staff.disabled", actor=session.actor.name, body=body)]
        entries += [
            Entry(
                kind="campaign.paused",
                actor=session.actor.name,
                campaign=campaign,
                body={"reason": "author disabled"},
            )
            for campaign in paused
        ]
        record(conn, now, *entries)
        return len(paused)


def enable_staff(ctx: Context, session: Session, ref: bytes) -> None:
    """Open a disabled account again. What it had scheduled stays paused."""
    session.actor.must_be(Role.ADMINISTRATOR)
    must_be_proved(session)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        row = _row(conn, ref)
        if row.disabled is None:
            raise ConflictError("This account is not disabled.")
        store.change(conn, row.id, disabled=None)
        record(conn, now, Entry(kind="staff.enabled", actor=session.actor.name, body={"staff": ref.hex()}))


def send_password_link(conn: Connection, ctx: Context, now: int, row: store.StaffRow, template: str = INVITED) -> None:
    """Queue the mail (INVITED or FORGOTTEN) with a link to choose a password, good for 24 hours."""
    person = find_by_id(conn, row.contact)
    if person is None:
        raise NotFoundError("This account's contact was erased.")
    ref = secrets.token_bytes(16)
    store.add_link(conn, now, ref=ref, purpose=Purpose.STAFF_PASSWORD, expires=now + LINK_HOURS * HOUR, staff_id=row.id)
    token = ctx.tokens.issue(Purpose.STAFF_PASSWORD, ref, now)
    outbox.queue_notice(conn, ctx, now, person, template=template, facts={"token": token, "hours": LINK_HOURS})


def check_name(name: str, field: str = "name") -> None:
    """Raise InvalidInputError unless this can be printed as somebody's name."""
    if not 1 <= len(name) <= 100 or any(ord(letter) < 32 for letter in name) or "@" in name:
        raise InvalidInputError("Give a name of 1 to 100 letters, without an address in it.", field)


def _check_zone(timezone: str) -> None:
    try:
        zone(timezone)
    except InvalidInputError as error:
        raise InvalidInputError(str(error), "timezone") from None


def _check_roles(roles: Collection[Role]) -> None:
    if not roles:
        raise InvalidInputError("Choose at least one role.", "roles")


def _keep_one(administrators: set[int], leaving: int) -> None:
    if administrators == {leaving}:
        raise ConflictError("This is the last administrator; make somebody else one first. Nothing was changed.")


def _spelled(roles: Collection[Role]) -> str:
    return ",".join(sorted(roles))


def _row(conn: Connection, ref: bytes) -> store.StaffRow:
    row = store.by_ref(conn, ref)
    if row is None:
        raise NotFoundError("There is no such member of staff.")
    return row


def _member(keys: ContactKeys, row: store.StaffRow, actor: Actor) -> Member:
    return Member(
        ref=row.ref,
        name=keys.facts(row.contact, row.fields_box).get("name", ""),
        masked=addresses.mask(keys.text(row.contact, row.address_box) or ""),
        roles=tuple(sorted(roles_of(row.roles))),
        timezone=row.timezone,
        created=row.created,
        disabled=row.disabled,
        has_password=row.password_hash is not None,
        is_self=row.id == actor.staff_id,
    )
