"""Bars as an officer sees them, and lifting those that only an officer may lift.

Lifting grants nothing: what a person withdrew stays withdrawn, and only they can agree again.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, or_, select

from outreach.domain import addresses
from outreach.domain.actors import Actor, Role
from outreach.domain.eligibility import Reason
from outreach.domain.errors import ConflictError, NotFoundError
from outreach.domain.rights import Kind
from outreach.services.context import Context
from outreach.services.reasons import check_reason
from outreach.services.rights.notices import tell
from outreach.store import connections, suppressions
from outreach.store.audit import Entry, record
from outreach.store.contacts import find_by_ref
from outreach.store.schema.people import contact, mailbox, suppression


@dataclass(frozen=True, kw_only=True)
class BarView:
    """A suppression on an address or the mailbox behind it. Instants in UTC microseconds."""

    ref: bytes
    kind: str
    scope: str
    lift: str
    since: int
    lifted: int | None
    reason: str

    @property
    def can_be_lifted(self) -> bool:
        """Whether it stands and an officer may lift it."""
        return self.lifted is None and self.lift == "officer"


def bars_on(conn: Connection, keys: Collection[bytes]) -> Iterator[BarView]:
    """Every bar ever put on these address and mailbox keys, oldest first."""
    yield from _views(conn, suppression.c.key.in_(list(keys)))


def see_bar(ctx: Context, actor: Actor, ref: bytes) -> BarView:
    """The bar `ref`. Raises NotFoundError, or ConflictError when no officer may lift it, or not any more."""
    actor.must_be(Role.OFFICER)
    with ctx.db.reading() as conn:
        return _liftable(conn, ref)


def lift_bar(ctx: Context, actor: Actor, ref: bytes, reason: str) -> tuple[bytes, ...]:
    """End the bar `ref`. Returns the refs of the contacts it stood on.

    Raises InvalidInputError (field "reason"), NotFoundError, ConflictError as `see_bar`. Any address typed into the
    reason is masked before it is kept.
    """
    actor.must_be(Role.OFFICER)
    said = check_reason(reason, "why it may be lifted", "The bar still stands.")
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        bar = _liftable(conn, ref)
        if not suppressions.lift_by_officer(conn, now, ref):
            raise ConflictError("This bar was lifted a moment ago. Nothing was changed.")
        people = _barred(conn, ref)
        body = {"bar": ref.hex(), "kind": bar.kind, "scope": bar.scope, "reason": said}
        whom = people or (None,)
        record(conn, now, *(Entry(kind="contact.bar-lifted", actor=actor.name, contact=one, body=body) for one in whom))
        if bar.kind == Reason.RESTRICTED:
            _tell(conn, ctx, now, people)
        return people


def _liftable(conn: Connection, ref: bytes) -> BarView:
    bar = next(_views(conn, suppression.c.ref == ref), None)
    if bar is None:
        raise NotFoundError("There is no such bar.")
    if bar.lifted is not None:
        raise ConflictError("This bar was lifted already. Nothing was changed.")
    if not bar.can_be_lifted:
        who = {"owner": "only the owner of the address can lift it, by signing up again and confirming"}
        raise ConflictError(f"This bar stays: {who.get(bar.lift, 'nobody can lift it')}. Nothing was changed.")
    return bar


def _tell(conn: Connection, ctx: Context, now: int, refs: Collection[bytes]) -> None:
    """Whoever asked for a restriction is told when somebody else lifts it (GDPR 18(3))."""
    for ref in refs:
        person = find_by_ref(conn, ref)
        if person is not None and connections.held(conn, [person.id]):
            tell(conn, ctx, now, person, "lifted", Kind.RESTRICTION)


def _views(conn: Connection, which: ColumnElement[bool]) -> Iterator[BarView]:
    query = select(suppression).where(which).order_by(suppression.c.id)
    for row in conn.execute(query):
        yield BarView(
            ref=row.ref,
            kind=row.kind,
            scope=row.scope,
            lift=row.lift,
            since=row.since,
            lifted=row.lifted,
            reason=addresses.scrub(row.reason),
        )


def _barred(conn: Connection, ref: bytes) -> tuple[bytes, ...]:
    """The contacts whose address or mailbox a bar names."""
    key = select(suppression.c.key).where(suppression.c.ref == ref).scalar_subquery()
    query = (
        select(contact.c.ref)
        .join(mailbox, mailbox.c.id == contact.c.mailbox)
        .where(or_(contact.c.address_key == key, mailbox.c.mailbox_key == key))
    )
    return tuple(conn.execute(query.order_by(contact.c.id)).scalars())
