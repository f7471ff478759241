"""Signing in and staying signed in: sessions that are rotated, listed, revoked, and that end by themselves.

The cookie carries a 256-bit id; the table knows its SHA-256 only (OWASP ASVS 5.0, V7).
"""

import hashlib
import secrets
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from outreach.domain import addresses
from outreach.domain.actors import Actor, Role
from outreach.domain.errors import InvalidInputError, NotAllowedError, NotFoundError
from outreach.services import passwords
from outreach.services.context import Context
from outreach.store.audit import Entry, record
from outreach.store.boxes import ContactKeys
from outreach.store.schema.organisation import staff, staff_session
from outreach.store.schema.people import contact

_MINUTE = 60_000_000
IDLE = 8 * 60 * _MINUTE
ABSOLUTE = 7 * 24 * 60 * _MINUTE
PROOF = 10 * _MINUTE
SEEN_EVERY = _MINUTE
KEPT = 30 * 24 * 60 * _MINUTE


@dataclass(frozen=True)
class Client:
    """Where a sign-in came from, for its owner to recognise: the browser's own words and a network prefix."""

    browser: str
    network: str


@dataclass(frozen=True)
class Session:
    """Somebody signed in. Instants are UTC microseconds; `proved`: when the password was last given."""

    id: int
    ref: bytes
    staff_id: int
    staff_ref: bytes
    roles: frozenset[Role]
    timezone: str
    created: int
    proved: int
    seen: int
    now: int

    @property
    def actor(self) -> Actor:
        return Actor(f"staff:{self.staff_ref.hex()}", self.roles, self.staff_id)

    @property
    def is_proved(self) -> bool:
        """Whether the password was given within the last 10 minutes."""
        return self.now - self.proved < PROOF


@dataclass(frozen=True, kw_only=True)
class OpenSession:
    """One line in the list of a person's sessions."""

    ref: bytes
    browser: str
    network: str
    created: int
    seen: int


def sign_in(ctx: Context, *, address: str, password: str, client: Client) -> str:
    """Start a session and return its id for the cookie.

    An unknown address, a wrong password and a disabled account run the same statement, take the same time and raise
    the same InvalidInputError.
    """
    try:
        key = ctx.keyring.blind("address", addresses.parse(address).exact)
    except InvalidInputError:
        key = ctx.keyring.blind("address", address)
    with ctx.db.reading() as conn:
        query = (
            select(staff.c.id, staff.c.ref, staff.c.password_hash)
            .select_from(contact.outerjoin(staff, (staff.c.contact == contact.c.id) & staff.c.disabled.is_(None)))
            .where(contact.c.address_key == key)
        )
        row = conn.execute(query).one_or_none()
    known = row.password_hash if row else None
    right = passwords.matches(known, password)
    if not right or row is None or known is None:
        raise InvalidInputError("The address and the password do not belong together. Nobody was signed in.", "address")
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        still = (staff.c.id == row.id) & (staff.c.password_hash == known) & staff.c.disabled.is_(None)
        better = passwords.hash_password(password) if passwords.is_outdated(known) else known
        if not conn.execute(update(staff).where(still).values(password_hash=better)).rowcount:
            raise InvalidInputError("The account was changed this moment. Sign in again.", "address")
        token = begin_session(ctx, conn, now, row.id, client)
        record(conn, now, Entry(kind="staff.signed-in", actor=f"staff:{row.ref.hex()}"))
    return token


def begin_session(ctx: Context, conn: Connection, now: int, staff_id: int, client: Client) -> str:
    """Insert a session in the caller's transaction and return its id: 43 URL-safe characters, 256 bits."""
    token = secrets.token_urlsafe(32)
    owner = conn.execute(select(staff.c.contact).where(staff.c.id == staff_id)).scalar_one()
    facts = {"browser": client.browser[:300], "network": client.network}
    conn.execute(
        insert(staff_session).values(
            key=_key(token),
            ref=secrets.token_bytes(16),
            staff=staff_id,
            created=now,
            seen=now,
            proved=now,
            client_box=ContactKeys(ctx.keyring, conn).seal(owner, facts),
        )
    )
    return token


def open_session(ctx: Context, token: str) -> Session | None:
    """The live session of this cookie, or None. Notes that it was seen, once a minute at most."""
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        query = (
            select(
                staff_session.c.id,
                staff_session.c.ref,
                staff_session.c.staff,
                staff.c.ref.label("staff_ref"),
                staff.c.roles,
                staff.c.timezone,
                staff_session.c.created,
                staff_session.c.proved,
                staff_session.c.seen,
            )
            .join(staff, staff.c.id == staff_session.c.staff)
            .where(staff_session.c.key == _key(token), _is_live(now), staff.c.disabled.is_(None))
        )
        row = conn.execute(query).one_or_none()
    if row is None:
        return None
    if now - row.seen >= SEEN_EVERY:
        with ctx.db.transaction() as conn:
            conn.execute(
                update(staff_session)
                .where(staff_session.c.id == row.id, staff_session.c.seen <= now - SEEN_EVERY)
                .values(seen=now)
            )
    return Session(
        row.id,
        row.ref,
        row.staff,
        row.staff_ref,
        roles_of(row.roles),
        row.timezone,
        row.created,
        row.proved,
        row.seen,
        now,
    )


def prove_password(ctx: Context, session: Session, password: str) -> None:
    """Take the password again, so that this session may do what needs it for 10 minutes. Raises InvalidInputError."""
    with ctx.db.reading() as conn:
        known = conn.execute(select(staff.c.password_hash).where(staff.c.id == session.staff_id)).scalar_one()
    if not passwords.matches(known, password):
        raise InvalidInputError("This is not your password. Nothing was changed.", "password")
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        mine = (staff_session.c.id == session.id) & staff_session.c.ended.is_(None)
        conn.execute(update(staff_session).where(mine).values(proved=now))


def sign_out(ctx: Context, session: Session) -> None:
    """End this session."""
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        _end(conn, now, staff_session.c.id == session.id)
        record(conn, now, Entry(kind="staff.signed-out", actor=session.actor.name))


def list_sessions(ctx: Context, actor: Actor) -> list[OpenSession]:
    """The actor's live sessions, last used first."""
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        columns = (staff_session.c.ref, staff_session.c.client_box, staff_session.c.created, staff_session.c.seen)
        query = (
            select(*columns, staff.c.contact)
            .join(staff, staff.c.id == staff_session.c.staff)
            .where(staff.c.id == actor.staff_id, _is_live(now))
            .order_by(staff_session.c.seen.desc(), staff_session.c.id)
        )
        keys = ContactKeys(ctx.keyring, conn)
        lines = []
        for row in conn.execute(query).all():
            facts = keys.facts(row.contact, row.client_box)
            lines.append(
                OpenSession(
                    ref=row.ref,
                    browser=facts.get("browser", ""),
                    network=facts.get("network", ""),
                    created=row.created,
                    seen=row.seen,
                )
            )
    return lines


def revoke_session(ctx: Context, actor: Actor, ref: bytes) -> None:
    """End one of the actor's own sessions. Raises NotFoundError for anybody else's."""
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        own = (staff_session.c.staff == actor.staff_id) & (staff_session.c.ref == ref)
        if not _end(conn, now, own):
            raise NotFoundError("This session has already ended.")
        record(conn, now, Entry(kind="staff.session-revoked", actor=actor.name))


def revoke_other_sessions(ctx: Context, session: Session) -> int:
    """End every session of this person but the present one. Returns how many."""
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        others = (staff_session.c.staff == session.staff_id) & (staff_session.c.id != session.id)
        ended = _end(conn, now, others)
        if ended:
            record(conn, now, Entry(kind="staff.session-revoked", actor=session.actor.name, body={"count": ended}))
    return ended


def end_sessions(conn: Connection, now: int, staff_id: int) -> int:
    """End every session of one person, in the caller's transaction. Returns how many."""
    return _end(conn, now, staff_session.c.staff == staff_id)


def forget_old_sessions(ctx: Context) -> int:
    """For the engine: delete sessions that ended or ran out 30 days ago, and what was known of their browsers."""
    with ctx.db.transaction() as conn:
        old = ctx.db.now(conn) - KEPT
        gone = (staff_session.c.ended < old) | (staff_session.c.created < old - ABSOLUTE)
        return conn.execute(delete(staff_session).where(gone)).rowcount


def must_be_proved(session: Session) -> None:
    """Raise NotAllowedError unless the password was given within 10 minutes."""
    if not session.is_proved:
        raise NotAllowedError("Give your password again first. Nothing was changed.")


def roles_of(text: str) -> frozenset[Role]:
    """The roles as the staff table spells them: comma-separated."""
    return frozenset(Role(role) for role in text.split(",") if role)


def _end(conn: Connection, now: int, which: ColumnElement[bool]) -> int:
    live = update(staff_session).where(which, staff_session.c.ended.is_(None))
    return conn.execute(live.values(ended=now)).rowcount


def _is_live(now: int) -> ColumnElement[bool]:
    return (
        staff_session.c.ended.is_(None)
        & (staff_session.c.seen > now - IDLE)
        & (staff_session.c.created > now - ABSOLUTE)
    )


def _key(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
