"""Signing in and staying signed in: sessions that are rotated, listed, revoked, and that end by themselves.

Staff and members share it; a session is one or the other's, and opens the doors of that one alone. The cookie carries
a 256-bit id; the table knows its SHA-256 only (OWASP ASVS 5.0, V7).
"""

import hashlib
import secrets
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, delete, insert, literal, select, update

from outreach.domain import addresses
from outreach.domain.actors import Actor, Role
from outreach.domain.errors import InvalidInputError, NotAllowedError, NotFoundError
from outreach.services import passwords
from outreach.services.context import Context
from outreach.store.audit import Entry, record
from outreach.store.boxes import ContactKeys
from outreach.store.schema.members import member, member_session
from outreach.store.schema.organisation import staff, staff_session
from outreach.store.schema.people import contact

_MINUTE = 60_000_000
IDLE = 8 * 60 * _MINUTE
ABSOLUTE = 7 * 24 * 60 * _MINUTE
PROOF = 10 * _MINUTE
SEEN_EVERY = _MINUTE
KEPT = 30 * 24 * 60 * _MINUTE


@dataclass(frozen=True, kw_only=True)
class Accounts:
    """Whose sessions. `kind`: the column that names the owner, and the word in the log; `left`: null while the account
    is open; `mark`: what the cookie's id begins with.
    """

    kind: str
    owners: Table
    sessions: Table
    left: ColumnElement[Any]
    roles: ColumnElement[Any]
    timezone: ColumnElement[Any]
    mark: str

    @property
    def owner(self) -> ColumnElement[Any]:
        """The column of `sessions` that holds the owner's id."""
        return self.sessions.c[self.kind]


STAFF = Accounts(
    kind="staff",
    owners=staff,
    sessions=staff_session,
    left=staff.c.disabled,
    roles=staff.c.roles,
    timezone=staff.c.timezone,
    mark="",
)
MEMBERS = Accounts(
    kind="member",
    owners=member,
    sessions=member_session,
    left=member.c.closed,
    roles=literal(""),
    timezone=contact.c.timezone,
    mark="m.",
)


@dataclass(frozen=True)
class Client:
    """Where a sign-in came from, for its owner to recognise: the browser's own words and a network prefix."""

    browser: str
    network: str


@dataclass(frozen=True)
class Session:
    """Somebody signed in: `kind` is "staff" or "member", `owner_id` the row's id there. Instants are UTC microseconds;
    `proved`: when the password was last given.
    """

    kind: str
    id: int
    ref: bytes
    owner_id: int
    owner_ref: bytes
    roles: frozenset[Role]
    locale: str
    timezone: str
    created: int
    proved: int
    seen: int
    now: int

    @property
    def actor(self) -> Actor:
        name = f"{self.kind}:{self.owner_ref.hex()}"
        if self.kind == MEMBERS.kind:
            return Actor(name, member_id=self.owner_id)
        return Actor(name, self.roles, self.owner_id)

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


def sign_in(ctx: Context, *, address: str, password: str, client: Client, accounts: Accounts = STAFF) -> str:
    """Start a session and return its id for the cookie.

    An unknown address, a wrong password and a closed account run the same statement, take the same time and raise
    the same InvalidInputError.
    """
    owners = accounts.owners
    try:
        key = ctx.keyring.blind("address", addresses.parse(address).exact)
    except InvalidInputError:
        key = ctx.keyring.blind("address", address)
    with ctx.db.reading() as conn:
        query = (
            select(owners.c.id, owners.c.ref, owners.c.password_hash)
            .select_from(contact.outerjoin(owners, (owners.c.contact == contact.c.id) & accounts.left.is_(None)))
            .where(contact.c.address_key == key)
        )
        row = conn.execute(query).one_or_none()
    known = row.password_hash if row else None
    right = passwords.matches(known, password)
    if not right or row is None or known is None:
        raise InvalidInputError("The address and the password do not belong together. Nobody was signed in.", "address")
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        still = (owners.c.id == row.id) & (owners.c.password_hash == known) & accounts.left.is_(None)
        better = passwords.hash_password(password) if passwords.is_outdated(known) else known
        if not conn.execute(update(owners).where(still).values(password_hash=better)).rowcount:
            raise InvalidInputError("The account was changed this moment. Sign in again.", "address")
        token = begin_session(ctx, conn, now, row.id, client, accounts)
        record(conn, now, Entry(kind=f"{accounts.kind}.signed-in", actor=f"{accounts.kind}:{row.ref.hex()}"))
    return token


def begin_session(
    ctx: Context, conn: Connection, now: int, owner_id: int, client: Client, accounts: Accounts = STAFF
) -> str:
    """Insert a session in the caller's transaction and return its id: 43 URL-safe characters, 256 bits, and a mark."""
    token = accounts.mark + secrets.token_urlsafe(32)
    owners = accounts.owners
    owner = conn.execute(select(owners.c.contact).where(owners.c.id == owner_id)).scalar_one()
    facts = {"browser": client.browser[:300], "network": client.network}
    row = {
        "key": _key(token),
        "ref": secrets.token_bytes(16),
        accounts.kind: owner_id,
        "created": now,
        "seen": now,
        "proved": now,
        "client_box": ContactKeys(ctx.keyring, conn).seal(owner, facts),
    }
    conn.execute(insert(accounts.sessions).values(row))
    return token


def open_session(ctx: Context, token: str) -> Session | None:
    """The live session of this cookie, or None. Notes that it was seen, once a minute at most."""
    accounts = MEMBERS if token.startswith(MEMBERS.mark) else STAFF
    owners, table = accounts.owners, accounts.sessions
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        query = (
            select(
                table.c.id,
                table.c.ref,
                accounts.owner.label("owner"),
                owners.c.ref.label("owner_ref"),
                accounts.roles.label("roles"),
                contact.c.locale,
                accounts.timezone.label("timezone"),
                table.c.created,
                table.c.proved,
                table.c.seen,
            )
            .join(owners, owners.c.id == accounts.owner)
            .join(contact, contact.c.id == owners.c.contact)
            .where(table.c.key == _key(token), _is_live(table, now), accounts.left.is_(None))
        )
        row = conn.execute(query).one_or_none()
    if row is None:
        return None
    if now - row.seen >= SEEN_EVERY:
        with ctx.db.transaction() as conn:
            again = (table.c.id == row.id) & (table.c.seen <= now - SEEN_EVERY)
            conn.execute(update(table).where(again).values(seen=now))
    return Session(
        accounts.kind,
        row.id,
        row.ref,
        row.owner,
        row.owner_ref,
        roles_of(row.roles),
        row.locale,
        row.timezone,
        row.created,
        row.proved,
        row.seen,
        now,
    )


def prove_password(ctx: Context, session: Session, password: str) -> None:
    """Take the password again, so that this session may do what needs it for 10 minutes. Raises InvalidInputError."""
    accounts = _accounts(session.kind)
    owners, table = accounts.owners, accounts.sessions
    with ctx.db.reading() as conn:
        known = conn.execute(select(owners.c.password_hash).where(owners.c.id == session.owner_id)).scalar_one()
    if not passwords.matches(known, password):
        raise InvalidInputError("This is not your password. Nothing was changed.", "password")
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        mine = (table.c.id == session.id) & table.c.ended.is_(None)
        conn.execute(update(table).where(mine).values(proved=now))


def sign_out(ctx: Context, session: Session) -> None:
    """End this session."""
    accounts = _accounts(session.kind)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        _end(conn, now, accounts, accounts.sessions.c.id == session.id)
        record(conn, now, Entry(kind=f"{session.kind}.signed-out", actor=session.actor.name))


def list_sessions(ctx: Context, actor: Actor) -> list[OpenSession]:
    """The actor's live sessions, last used first."""
    accounts, owner_id = _owner_of(actor)
    owners, table = accounts.owners, accounts.sessions
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        query = (
            select(table.c.ref, table.c.client_box, table.c.created, table.c.seen, owners.c.contact)
            .join(owners, owners.c.id == accounts.owner)
            .where(owners.c.id == owner_id, _is_live(table, now))
            .order_by(table.c.seen.desc(), table.c.id)
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
    accounts, owner_id = _owner_of(actor)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        own = (accounts.owner == owner_id) & (accounts.sessions.c.ref == ref)
        if not _end(conn, now, accounts, own):
            raise NotFoundError("This session has already ended.")
        record(conn, now, Entry(kind=f"{accounts.kind}.session-revoked", actor=actor.name))


def revoke_other_sessions(ctx: Context, session: Session) -> int:
    """End every session of this person but the present one. Returns how many."""
    accounts = _accounts(session.kind)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        others = (accounts.owner == session.owner_id) & (accounts.sessions.c.id != session.id)
        ended = _end(conn, now, accounts, others)
        if ended:
            kind = f"{accounts.kind}.session-revoked"
            record(conn, now, Entry(kind=kind, actor=session.actor.name, body={"count": ended}))
    return ended


def end_sessions(conn: Connection, now: int, owner_id: int, accounts: Accounts = STAFF) -> int:
    """End every session of one person, in the caller's transaction. Returns how many."""
    return _end(conn, now, accounts, accounts.owner == owner_id)


def forget_old_sessions(ctx: Context) -> int:
    """For the engine: delete sessions that ended or ran out 30 days ago, and what was known of their browsers."""
    with ctx.db.transaction() as conn:
        old = ctx.db.now(conn) - KEPT
        return sum(
            conn.execute(delete(table).where((table.c.ended < old) | (table.c.created < old - ABSOLUTE))).rowcount
            for table in (staff_session, member_session)
        )


def must_be_proved(session: Session) -> None:
    """Raise NotAllowedError unless the password was given within 10 minutes."""
    if not session.is_proved:
        raise NotAllowedError("Give your password again first. Nothing was changed.")


def roles_of(text: str) -> frozenset[Role]:
    """The roles as the staff table spells them: comma-separated."""
    return frozenset(Role(role) for role in text.split(",") if role)


def _accounts(kind: str) -> Accounts:
    return MEMBERS if kind == MEMBERS.kind else STAFF


def _owner_of(actor: Actor) -> tuple[Accounts, int | None]:
    return (STAFF, actor.staff_id) if actor.member_id is None else (MEMBERS, actor.member_id)


def _end(conn: Connection, now: int, accounts: Accounts, which: ColumnElement[bool]) -> int:
    table = accounts.sessions
    return conn.execute(update(table).where(which, table.c.ended.is_(None)).values(ended=now)).rowcount


def _is_live(table: Table, now: int) -> ColumnElement[bool]:
    return table.c.ended.is_(None) & (table.c.seen > now - IDLE) & (table.c.created > now - ABSOLUTE)


def _key(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
