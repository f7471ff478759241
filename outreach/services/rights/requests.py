"""Requests under the law, each with its clock: opened by the person's press or entered by an officer, and listed.

One month from when it reached us, two more when the person was told why within the first (GDPR 12(3)). Asking for more
proof of identity (12(6)) does not stop the clock here: the stricter reading. `carry_out.py` has how they are answered.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from outreach.domain import addresses
from outreach.domain.actors import ENGINE, Actor, Role
from outreach.domain.errors import ConflictError, InvalidInputError, NotFoundError
from outreach.domain.rights import WARNING, Kind, State, days_left
from outreach.domain.rights import due as due_at
from outreach.services.context import Context
from outreach.services.reasons import check_reason
from outreach.services.rights.notices import tell
from outreach.store import connections, consents, invitees
from outreach.store import rights as store
from outreach.store.audit import Entry, record
from outreach.store.boxes import ContactKeys
from outreach.store.contacts import Person, find_by_address, find_by_code, find_by_id
from outreach.store.schema.members import member

LONGEST_WORDS = 2000
LISTED = 200
_DAY = 86_400_000_000
_CODE = 10


@dataclass(frozen=True)
class Due:
    """A request that waits for an answer. `days`: whole days left, negative once overdue; `due`: UTC microseconds."""

    kind: str
    ref: bytes
    due: int
    days: int
    state: str = State.OPEN

    @property
    def is_overdue(self) -> bool:
        return self.days < 0

    @property
    def is_soon(self) -> bool:
        """Due within a week, or overdue."""
        return self.days < WARNING // _DAY


@dataclass(frozen=True, kw_only=True)
class RequestView:
    """A request as an officer sees it. `words`: what was written and told, addresses masked, once it is read.

    `is_held`: the person was not erased; `claims_until`: until when proof is kept, for an erasure. UTC microseconds.
    """

    ref: bytes
    kind: str
    via: str
    state: str
    contact: bytes
    code: str
    opened: int
    due: int
    days: int
    extended: int | None
    identity_asked: int | None
    identity_met: int | None
    finished: int | None
    claims_until: int | None
    is_held: bool
    has_words: bool
    words: dict[str, Any]

    @property
    def is_open(self) -> bool:
        """Whether an officer can still decide it."""
        return self.state == State.OPEN

    @property
    def is_soon(self) -> bool:
        return self.finished is None and self.days < WARNING // _DAY

    @property
    def needs_identity(self) -> bool:
        """More proof of who they are was asked for, and has not come."""
        return self.identity_asked is not None and self.identity_met is None


@dataclass(frozen=True)
class Requests:
    """`waiting`: the one due first first; `answered`: the newest first, at most 200 of either."""

    waiting: tuple[RequestView, ...]
    answered: tuple[RequestView, ...]


def due(conn: Connection, now: int) -> tuple[Due, ...]:
    """Every request that waits for an answer, at most 200, the one due first first. For the officer's start page."""
    rows = store.unfinished(conn, limit=LISTED)
    return tuple(Due(row.kind, row.ref, row.due, days_left(row.due, now), row.state) for row in rows)


def open_request(
    conn: Connection, ctx: Context, now: int, person: Person, kind: str, *, via: str, actor: Actor, **more: Any
) -> store.RequestRow:
    """Write a request and its entry, inside the caller's transaction. `more`: `opened`, and `words` (a mapping)."""
    opened = more.get("opened", now)
    words = more.get("words") or {}
    row = store.add(
        conn,
        kind=kind,
        contact=person.id,
        via=via,
        state=State.OPEN,
        opened=opened,
        due=due_at(opened),
        words_box=ContactKeys(ctx.keyring, conn).seal(person.id, words) if words else None,
    )
    body = {"request": row.ref.hex(), "kind": kind, "via": via, "due": row.due}
    record(conn, now, Entry(kind="rights.opened", actor=actor.name, contact=person.ref, body=body))
    return row


def add_words(conn: Connection, ctx: Context, row: store.RequestRow, **words: str) -> None:
    """Keep what was said about a request, under the person's key."""
    keys = ContactKeys(ctx.keyring, conn)
    kept = {**keys.facts(row.contact, row.words_box), **words}
    store.change(conn, row.id, words_box=keys.seal(row.contact, kept))


def enter(ctx: Context, actor: Actor, kind: str, who: str, words: str, *, days_ago: int = 0) -> bytes:
    """Enter a request that came by letter, telephone or mail, and tell the person that it was received.

    `who`: an address in full or the reference printed in a mail; `days_ago`: how long since it reached us, for the
    clock counts from there. Returns its ref. Raises InvalidInputError (field "kind", "who", "words" or "days_ago").
    """
    actor.must_be(Role.OFFICER)
    if kind not in set(Kind):
        raise InvalidInputError("Choose what is asked for.", "kind")
    if not 0 <= days_ago <= 30:
        raise InvalidInputError("Give a number of days from 0 to 30.", "days_ago")
    said = addresses.scrub(" ".join(words.split()))
    if not 3 <= len(said) <= LONGEST_WORDS:
        raise InvalidInputError("Say in a few words how it came and what is asked.", "words")
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        person = _find(conn, ctx, who)
        consents.lock_contacts(conn, [person.id])
        if store.open_of(conn, person.id, kind) is not None:
            raise InvalidInputError("Such a request of this person waits already; see it in the list.", "kind")
        opened = now - days_ago * _DAY
        row = open_request(
            conn, ctx, now, person, kind, via="officer", actor=actor, opened=opened, words={"asked": said}
        )
        tell(conn, ctx, now, person, "received", kind, due=row.due)
        return bytes(row.ref)


def ask_identity(ctx: Context, actor: Actor, ref: bytes, words: str) -> None:
    """Ask the person for more than control of the mailbox, in the officer's words to them (GDPR 12(6)).

    Raises InvalidInputError (field "reason"), NotFoundError, ConflictError once it is answered.
    """
    said = check_reason(words, "what you ask of the person, and why", "Nothing was asked.")
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        row, person = must_be_open(conn, actor, ref)
        store.change(conn, row.id, identity_asked=now, identity_met=None)
        add_words(conn, ctx, row, identity=said)
        tell(conn, ctx, now, person, "identity", row.kind, due=row.due, words=said)
        _note(conn, now, actor, row, "rights.identity-asked", {"reason": said})


def meet_identity(ctx: Context, actor: Actor, ref: bytes, reason: str) -> None:
    """Note that the person proved who they are, and how. Raises as `ask_identity`."""
    said = check_reason(reason, "what was shown; keep no copy of it", "Nothing was changed.")
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        row, _ = must_be_open(conn, actor, ref)
        if row.identity_asked is None:
            raise ConflictError("Nothing more was asked of this person. Nothing was changed.")
        store.change(conn, row.id, identity_met=now)
        _note(conn, now, actor, row, "rights.identity-met", {"reason": said})


def extend(ctx: Context, actor: Actor, ref: bytes, reason: str) -> None:
    """Take two months more, once, and tell the person why, within the first month (GDPR 12(3)).

    Raises InvalidInputError (field "reason"), NotFoundError, ConflictError.
    """
    said = check_reason(reason, "why it takes longer; the person is told", "Nothing was changed.")
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        row, person = must_be_open(conn, actor, ref)
        if row.extended is not None:
            raise ConflictError("This request was extended already; it can be once. Nothing was changed.")
        if now > row.due:
            raise ConflictError("Its month is over, so it can no longer be extended. Nothing was changed.")
        longer = due_at(row.opened, is_extended=True)
        store.change(conn, row.id, extended=now, due=longer, warned=None)
        add_words(conn, ctx, row, extension=said)
        tell(conn, ctx, now, person, "extended", row.kind, due=longer, words=said)
        _note(conn, now, actor, row, "rights.extended", {"reason": said, "due": longer})


def list_requests(ctx: Context, actor: Actor) -> Requests:
    """All that wait, and the newest that were answered."""
    actor.must_be(Role.OFFICER)
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        waiting = tuple(_view(conn, ctx, row, now) for row in store.unfinished(conn, limit=LISTED))
        return Requests(waiting, tuple(_view(conn, ctx, row, now) for row in store.finished(conn, limit=LISTED)))


def see_request(ctx: Context, actor: Actor, ref: bytes) -> RequestView:
    """One request, without what was said about it. Raises NotFoundError."""
    actor.must_be(Role.OFFICER)
    with ctx.db.reading() as conn:
        return _view(conn, ctx, _found(conn, ref), ctx.db.now(conn))


def read_request(ctx: Context, actor: Actor, ref: bytes) -> RequestView:
    """The same with what was said about it, which is the person's: the log keeps that it was read."""
    actor.must_be(Role.OFFICER)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        row = _found(conn, ref)
        _note(conn, now, actor, row, "rights.read", {})
        return _view(conn, ctx, row, now, with_words=True)


def lock_person(conn: Connection, contact_id: int) -> None:
    """Lock a person and whoever acting on them may touch: people in id order, then members, as everywhere."""
    rows = connections.live_of(conn, [contact_id])
    consents.lock_contacts(conn, {contact_id, *(one for row in rows for one in (row.low, row.high))})
    mine = conn.execute(select(member.c.id).where(member.c.contact == contact_id)).scalars()
    invitees.lock_members(conn, {*mine, *invitees.inviters_of(conn, contact_id)})


def must_be_open(conn: Connection, actor: Actor, ref: bytes) -> tuple[store.RequestRow, Person]:
    """The request and its person, both locked. Raises NotAllowedError, NotFoundError, ConflictError."""
    actor.must_be(Role.OFFICER)
    lock_person(conn, _found(conn, ref).contact)
    row = store.by_ref(conn, ref, lock=True)
    if row is None or row.state != State.OPEN:
        raise ConflictError("This request was answered already. Nothing was changed.")
    person = find_by_id(conn, row.contact)
    if person is None or not connections.held(conn, [person.id]):
        raise ConflictError("This person was erased meanwhile; there is nothing left to do. Nothing was changed.")
    return row, person


def warn(ctx: Context) -> int:
    """For the engine: say in the log, once each, that a request is due within a week, and that its time is over."""
    with ctx.db.reading() as conn:
        if not _unwarned(conn, ctx.db.now(conn)):
            return 0
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        found = _unwarned(conn, now)
        for row, word in found:
            store.change(conn, row.id, **{"warned" if word == "due-soon" else "overdue": now})
            _note(conn, now, ENGINE, row, f"rights.{word}", {"due": row.due})
        return len(found)


def _found(conn: Connection, ref: bytes) -> store.RequestRow:
    row = store.by_ref(conn, ref)
    if row is None:
        raise NotFoundError("There is no such request.")
    return row


def _unwarned(conn: Connection, now: int) -> list[tuple[store.RequestRow, str]]:
    found: list[tuple[store.RequestRow, str]] = []
    for row in store.unfinished(conn, limit=LISTED):
        if row.due <= now and row.overdue is None:
            found.append((row, "overdue"))
        elif now < row.due <= now + WARNING and row.warned is None:
            found.append((row, "due-soon"))
    return found


def _note(conn: Connection, now: int, actor: Actor, row: store.RequestRow, kind: str, body: dict[str, Any]) -> None:
    told = {"request": row.ref.hex(), "kind": row.kind, **body}
    record(conn, now, Entry(kind=kind, actor=actor.name, contact=row.contact_ref, body=told))


def _find(conn: Connection, ctx: Context, who: str) -> Person:
    """Whom we hold under an address in full or a reference. Raises InvalidInputError (field "who")."""
    if "@" in who:
        try:
            person = find_by_address(conn, ctx.keyring, addresses.parse(who))
        except InvalidInputError as error:
            raise InvalidInputError(str(error), "who") from None
    elif sum(letter.isalnum() for letter in who) == _CODE:
        person = find_by_code(conn, who)
    else:
        words = "Type the whole address, or the ten letters and digits printed in the mail."
        raise InvalidInputError(words, "who")
    if person is None or not connections.held(conn, [person.id]):
        words = "Nobody is held under this. Tell the person so: that is the answer to their request. Nothing was kept."
        raise InvalidInputError(words, "who")
    return person


def _view(conn: Connection, ctx: Context, row: store.RequestRow, now: int, *, with_words: bool = False) -> RequestView:
    words = ContactKeys(ctx.keyring, conn).facts(row.contact, row.words_box) if with_words else {}
    return RequestView(
        ref=row.ref,
        kind=row.kind,
        via=row.via,
        state=row.state,
        contact=row.contact_ref,
        code="-".join((row.code[:4], row.code[4:8], row.code[8:])),
        opened=row.opened,
        due=row.due,
        days=days_left(row.due, now),
        extended=row.extended,
        identity_asked=row.identity_asked,
        identity_met=row.identity_met,
        finished=row.finished,
        claims_until=row.claims_until,
        is_held=bool(connections.held(conn, [row.contact])),
        has_words=row.words_box is not None,
        words=words,
    )
