"""The page behind a fresh link: what a person sees of their own data, and what they may ask for there.

The link was mailed to the address and works for half an hour; whoever holds it reads that mailbox. What it asks is
carried out at once. What needs somebody to look, such as words in their own hand, is opened for an officer.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from outreach.domain import addresses
from outreach.domain.actors import RECIPIENT
from outreach.domain.errors import InvalidInputError, NotFoundError
from outreach.domain.rights import Kind, State
from outreach.services.context import Context
from outreach.services.public_text import House, read_house
from outreach.services.rights import claims, results
from outreach.services.rights.carry_out import RESTRICTED, Correction, correct, lift_restriction, perform
from outreach.services.rights.notices import tell
from outreach.services.rights.requests import LONGEST_WORDS, lock_person, open_request
from outreach.services.rights.results import Result
from outreach.services.rights.way_in import owner_of
from outreach.store import consents, invitees, suppressions
from outreach.store import rights as store
from outreach.store.boxes import ContactKeys
from outreach.store.contacts import Person, find_by_id
from outreach.store.schema.members import member
from outreach.store.schema.organisation import staff
from outreach.store.schema.people import contact

AGAIN = 3_600_000_000
"""The same kind asked for within so many microseconds is one request: pressing twice is pressing once."""


@dataclass(frozen=True)
class RequestLine:
    """A request as its person sees it. `has_result`: there is something to open. Instants in UTC microseconds."""

    ref: bytes
    kind: str
    state: str
    opened: int
    due: int
    finished: int | None
    has_result: bool


@dataclass(frozen=True, kw_only=True)
class Room:
    """What the page shows. `bars`: kinds that stand; `others`: how many other spellings of this mailbox are held;
    `claims_until`: until when proof would be kept, were they erased now.
    """

    house: House
    masked: str
    locale: str
    timezone: str
    name: str
    requests: tuple[RequestLine, ...]
    bars: frozenset[str]
    others: int
    is_member: bool
    is_staff: bool
    claims_until: int | None

    @property
    def is_restricted(self) -> bool:
        return RESTRICTED in self.bars

    @property
    def has_objected(self) -> bool:
        return "never" in self.bars

    @property
    def is_leaving(self) -> bool:
        """An erasure is under way."""
        return any(one.kind == Kind.ERASURE and one.state == State.CARRYING_OUT for one in self.requests)


def see_room(ctx: Context, token: str) -> Room:
    """What this link's owner may see and ask for. Changes nothing. Raises TokenError, TokenExpiredError."""
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        person = owner_of(conn, ctx, now, token)
        return _room(conn, ctx, now, person)


def ask(ctx: Context, token: str, kind: str) -> RequestLine:
    """Ask for one of the kinds that need no words: access, portability, erasure, objection, restriction.

    Done at once, and told by mail. Twice within the hour is once. Raises TokenError, TokenExpiredError,
    InvalidInputError for another kind, WorksHereError (a ConflictError) for an erasure of somebody on the staff.
    """
    if kind not in set(Kind) - {Kind.CORRECTION}:
        raise InvalidInputError("Choose one of the buttons on the page. Nothing was changed.")
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        person = owner_of(conn, ctx, now, token, lock=lock_person)
        row = _asked_before(conn, person, kind, now)
        if row is None:
            row = open_request(conn, ctx, now, person, kind, via="link", actor=RECIPIENT)
            perform(conn, ctx, now, person, row, actor=RECIPIENT)
        return _line(conn, store.by_id(conn, row.id), now)


def put_right(ctx: Context, token: str, wanted: Correction, words: str = "") -> bool:
    """Correct name, language and time zone at once; `words` say what else is wrong, and wait for an officer.

    Returns whether anything was asked or changed. Raises TokenError, TokenExpiredError, InvalidInputError.
    """
    said = addresses.scrub(words.strip())
    if len(said) > LONGEST_WORDS:
        raise InvalidInputError(f"Say it in {LONGEST_WORDS} characters or fewer.", "words")
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        person = owner_of(conn, ctx, now, token, lock=lock_person)
        changed = correct(conn, ctx, now, person, wanted, actor=RECIPIENT)
        person = find_by_id(conn, person.id) or person
        if changed:
            row = open_request(conn, ctx, now, person, Kind.CORRECTION, via="link", actor=RECIPIENT)
            store.change(conn, row.id, state=State.DONE, decided=now, finished=now)
            tell(conn, ctx, now, person, "done", Kind.CORRECTION)
        if said and store.open_of(conn, person.id, Kind.CORRECTION) is None:
            row = open_request(
                conn, ctx, now, person, Kind.CORRECTION, via="link", actor=RECIPIENT, words={"asked": said}
            )
            tell(conn, ctx, now, person, "received", Kind.CORRECTION, due=row.due)
        return bool(changed or said)


def lift(ctx: Context, token: str) -> bool:
    """End one's own restriction. False when none stood. Raises TokenError, TokenExpiredError."""
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        person = owner_of(conn, ctx, now, token, lock=lock_person)
        return lift_restriction(conn, ctx, now, person, actor=RECIPIENT, reason="lifted by the person")


def see_result(ctx: Context, token: str, ref: bytes) -> tuple[Room, Result]:
    """The answer to one's own request for access or portability. Changes nothing.

    Raises TokenError, TokenExpiredError, and NotFoundError for another's request or a result whose time is over.
    """
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        person = owner_of(conn, ctx, now, token)
        row = store.by_ref(conn, ref)
        if row is None or row.contact != person.id:
            raise NotFoundError("There is no such answer.")
        return _room(conn, ctx, now, person), results.open_result(conn, ctx, now, row)


def _asked_before(conn: Connection, person: Person, kind: str, now: int) -> store.RequestRow | None:
    """The same request, still waiting or answered within the hour."""
    for row in store.of_contact(conn, person.id):
        is_fresh = row.finished is None or row.finished > now - AGAIN
        if row.kind == kind and row.via == "link" and is_fresh and row.state != State.REFUSED:
            is_lifted = kind == Kind.RESTRICTION and RESTRICTED not in _bars(conn, person)
            return None if is_lifted else row
    return None


def _bars(conn: Connection, person: Person) -> frozenset[str]:
    return frozenset(bar.kind for bar in suppressions.live(conn, consents.bar_keys(conn, person.id)))


def _room(conn: Connection, ctx: Context, now: int, person: Person) -> Room:
    keys = ContactKeys(ctx.keyring, conn)
    row = conn.execute(select(contact.c.address_box, contact.c.fields_box).where(contact.c.id == person.id)).one()
    exact = keys.text(person.id, row.address_box)
    account = select(member.c.id).where(member.c.contact == person.id, member.c.closed.is_(None))
    return Room(
        house=read_house(conn),
        masked=addresses.mask(exact) if exact else "",
        locale=person.locale,
        timezone=person.timezone,
        name=str(keys.facts(person.id, row.fields_box).get("name", "")),
        requests=tuple(_line(conn, one, now) for one in store.of_contact(conn, person.id)),
        bars=_bars(conn, person),
        others=len(invitees.held_of_mailbox(conn, person.mailbox)) - 1,
        is_member=conn.execute(account).first() is not None,
        is_staff=conn.execute(select(staff.c.id).where(staff.c.contact == person.id)).first() is not None,
        claims_until=claims.kept_until(conn, person.id, now),
    )


def _line(conn: Connection, row: store.RequestRow, now: int) -> RequestLine:
    has_result = store.result_of(conn, row.id, now) is not None
    return RequestLine(row.ref, row.kind, row.state, row.opened, row.due, row.finished, has_result)
