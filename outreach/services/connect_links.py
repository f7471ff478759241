"""Connect links: a member's public page that others can ask through. Made, listed and switched off by their owner.

A link's page tells its owner confirmed requests alone, and only they use it up: whether an address that somebody
typed was ever confirmed, barred or known shows nowhere.
"""

from dataclasses import dataclass

from sqlalchemy import Connection

from outreach.domain import plain_words
from outreach.domain.actors import ENGINE, Actor
from outreach.domain.errors import ConflictError, InvalidInputError, NotFoundError
from outreach.domain.invitation import CONNECT_REPORT_DAYS, CONNECT_REPORTS
from outreach.domain.plain_words import PlainWordsError
from outreach.services.context import Context
from outreach.services.members import must_be_active
from outreach.services.public_text import House, read_house
from outreach.store import connect_links, members
from outreach.store.audit import Entry, record
from outreach.store.boxes import ContactKeys
from outreach.store.connect_links import LinkRow

MOST_LIVE = 20
"""Links one member may have switched on at a time."""

MOST_ASKS = 1_000
MOST_DAYS = 365

REPORTS = "reports"
"""Why a link was switched off, when its owner did not."""

_DAY = 86_400_000_000
_REPORTS_WINDOW = CONNECT_REPORT_DAYS * _DAY


@dataclass(frozen=True, kw_only=True)
class LinkView:
    """A link as its owner sees it. `asked`: confirmed requests; `state`: open, closed, ended or full; `is_reported`:
    closed because of reports.

    `most`, `expires` (UTC microseconds): its limits, None where there is none. `url`: the page, `badge_url`: the frame.
    """

    ref: bytes
    label: str
    url: str
    badge_url: str
    made: int
    most: int | None
    expires: int | None
    closed: int | None
    asked: int
    state: str
    is_reported: bool = False

    @property
    def is_live(self) -> bool:
        return self.state == "open"


@dataclass(frozen=True)
class PublicLink:
    """A link as anybody sees it. `owner`: the name its owner chose, empty unless `is_live`."""

    house: House
    url: str
    is_live: bool
    owner: str = ""


def make_link(ctx: Context, actor: Actor, *, label: str, most: int | None = None, days: int | None = None) -> bytes:
    """A new link, on from now. `label`: the owner's own name for it; `most`, `days`: its limits, None for none.

    Returns its ref. Raises InvalidInputError (field "label", "most" or "days"), ConflictError at 20 live links, and
    what `must_be_active` raises.
    """
    label = _label(label)
    _must_be_within("most", most, MOST_ASKS)
    _must_be_within("days", days, MOST_DAYS)
    with ctx.db.transaction() as conn:
        connect_links.lock_owner(conn, actor.must_be_member())
        owner = must_be_active(conn, actor)
        now = ctx.db.now(conn)
        if connect_links.live(conn, owner.id, now) >= MOST_LIVE:
            raise ConflictError(f"You have {MOST_LIVE} links switched on. Switch one off before you make another.")
        ref = connect_links.add(
            conn,
            ContactKeys(ctx.keyring, conn),
            now,
            member_id=owner.id,
            contact_id=owner.contact,
            label=label,
            most=most,
            expires=None if days is None else now + days * _DAY,
        )
        body = {"link": ref.hex(), "most": most, "days": days}
        record(conn, now, Entry(kind="connect-link.made", actor=actor.name, contact=owner.contact_ref, body=body))
        return ref


def close_link(ctx: Context, actor: Actor, ref: bytes) -> None:
    """Switch a link off for good; twice is once. Requests that came in stay. Raises NotFoundError."""
    with ctx.db.transaction() as conn:
        row = _mine(conn, actor, ref)
        now = ctx.db.now(conn)
        if connect_links.close(conn, now, row.id):
            owner = members.by_id(conn, row.member)
            contact = owner.contact_ref if owner is not None else None
            body = {"link": ref.hex(), "confirmed": row.confirmed}
            record(conn, now, Entry(kind="connect-link.closed", actor=actor.name, contact=contact, body=body))


def close_if_reported(conn: Connection, now: int, link_id: int | None) -> None:
    """Switch a link off once three mailboxes reported what came through it within 30 days. Its owner reads why.

    Inside the transaction of the report, which holds its owner's lock so that reports take turns. None: no link.
    """
    if link_id is None or connect_links.reporters(conn, link_id, now - _REPORTS_WINDOW) < CONNECT_REPORTS:
        return
    row = connect_links.by_id(conn, link_id)
    if row is not None and connect_links.close(conn, now, row.id, why=REPORTS):
        owner = members.by_id(conn, row.member)
        contact = owner.contact_ref if owner is not None else None
        body = {"link": row.ref.hex(), "confirmed": row.confirmed, "why": REPORTS}
        record(conn, now, Entry(kind="connect-link.closed", actor=ENGINE.name, contact=contact, body=body))


def list_links(ctx: Context, actor: Actor) -> list[LinkView]:
    """All links of the member, newest first."""
    member_id = actor.must_be_member()
    with ctx.db.reading() as conn:
        now, keys = ctx.db.now(conn), ContactKeys(ctx.keyring, conn)
        owner = members.by_id(conn, member_id)
        rows = connect_links.of_member(conn, member_id) if owner is not None else []
        return [_view(ctx, keys, owner.contact, row, now) for row in rows if owner is not None]


def see_link(ctx: Context, actor: Actor, ref: bytes) -> LinkView:
    """One link of the member's own. Raises NotFoundError."""
    with ctx.db.reading() as conn:
        row = _mine(conn, actor, ref)
        owner = members.by_id(conn, row.member)
        if owner is None:
            raise NotFoundError("There is no such link.")
        return _view(ctx, ContactKeys(ctx.keyring, conn), owner.contact, row, ctx.db.now(conn))


def view_link(ctx: Context, ref: bytes) -> PublicLink:
    """What the public page and the badge show. One that never was looks like one that is switched off."""
    with ctx.db.reading() as conn:
        return public_link(conn, ctx, ref)


def public_link(conn: Connection, ctx: Context, ref: bytes) -> PublicLink:
    """`view_link` within a transaction."""
    house, url = read_house(conn), _url(ctx, "connect", ref)
    row = connect_links.by_ref(conn, ref)
    owner = members.by_id(conn, row.member) if row is not None else None
    if row is None or owner is None or not is_live(row, owner, ctx.db.now(conn)):
        return PublicLink(house, url, is_live=False)
    return PublicLink(house, url, is_live=True, owner=members.name_of(ContactKeys(ctx.keyring, conn), owner))


def is_live(row: LinkRow, owner: members.MemberRow, at: int) -> bool:
    """Whether one may ask through a link at `at` (UTC microseconds), its owner being able to answer."""
    return state_of(row, at) == "open" and owner.suspended is None and owner.closed is None


def state_of(row: LinkRow, at: int) -> str:
    """open, closed (by its owner or reports), ended (its time is over) or full (its confirmed requests are used up)."""
    if row.closed is not None and row.closed <= at:
        return "closed"
    if row.expires is not None and row.expires <= at:
        return "ended"
    return "full" if row.most is not None and row.confirmed >= row.most else "open"


def _label(text: str) -> str:
    try:
        return plain_words.check_name(text)
    except PlainWordsError as error:
        raise PlainWordsError(error.fault, "label") from None


def _must_be_within(field: str, value: int | None, most: int) -> None:
    if value is not None and not 1 <= value <= most:
        raise InvalidInputError(f"Type a number from 1 to {most:,}, or leave this empty.", field)


def _mine(conn: Connection, actor: Actor, ref: bytes) -> LinkRow:
    member_id = actor.must_be_member()
    row = connect_links.by_ref(conn, ref)
    if row is None or row.member != member_id:
        raise NotFoundError("There is no such link.")
    return row


def _view(ctx: Context, keys: ContactKeys, contact_id: int, row: LinkRow, now: int) -> LinkView:
    return LinkView(
        ref=row.ref,
        label=keys.text(contact_id, row.label_box) or "",
        url=_url(ctx, "connect", row.ref),
        badge_url=_url(ctx, "badge", row.ref),
        made=row.created,
        most=row.most,
        expires=row.expires,
        closed=row.closed,
        asked=row.confirmed,
        state=state_of(row, now),
        is_reported=row.closed_for == REPORTS,
    )


def _url(ctx: Context, page: str, ref: bytes) -> str:
    return f"{ctx.settings.public_url}/{page}/{ref.hex()}"
