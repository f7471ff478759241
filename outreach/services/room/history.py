"""Every mail to a person, sent or withheld, with its real reason: what promise 9 owes them, and owes nobody else."""

from dataclasses import dataclass

from outreach.domain.consent import GIVING, Event
from outreach.domain.errors import NotFoundError
from outreach.domain.receipts import EVENTS
from outreach.domain.tokens import Purpose
from outreach.services.context import Context
from outreach.services.receipts.links import token_of
from outreach.services.rights.way_in import owner_of
from outreach.services.room.topics import RoomView, room_of
from outreach.store import consents
from outreach.store import receipts as receipts_store
from outreach.store import room as store

PAGE = 25


@dataclass(frozen=True, kw_only=True)
class MailLine:
    """One mail. `topic`, `subject`: empty where it has none; `reason`: its name, empty for one that went out.

    `at`: when it was handed off, settled or planned; `due`: for one on its way, not before; `why`: the token of its
    explanation, empty for one that never went. UTC microseconds.
    """

    ref: bytes
    origin: str
    kind: str
    state: str
    reason: str
    topic: str
    subject: str
    at: int
    due: int
    why: str


@dataclass(frozen=True)
class History:
    """A page of it, the newest first. `older`: where the next page begins (a ref in hexadecimal), or empty."""

    room: RoomView
    mails: tuple[MailLine, ...]
    older: str


@dataclass(frozen=True)
class ReceiptLine:
    """A receipt as a list shows it. `event`: as in `domain/consent.py`; `token`: of its link; `is_soft`: of mail that
    stands on a purchase.
    """

    event: str
    title: str
    at: int
    token: str
    is_soft: bool


def see_history(ctx: Context, token: str, before: bytes | None = None) -> History:
    """A page of the mails to the owner of a fresh link; `before`: the ref of the last one already seen.

    Raises TokenError, TokenExpiredError, NotFoundError for a page there is not.
    """
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        person = owner_of(conn, ctx, now, token)
        start = None if before is None else store.message_id(conn, person.id, before)
        if before is not None and start is None:
            raise NotFoundError("There is no such page.")
        room = room_of(conn, ctx, now, person)
        titles = {one.topic: one.title for one in store.standings(conn, person.id)}
        rows = store.history(conn, person.id, person.mailbox, before=start, limit=PAGE + 1)
        mails = tuple(
            MailLine(
                ref=row.ref,
                origin=row.origin,
                kind=row.kind,
                state=row.state,
                reason=row.reason or "",
                topic=titles.get(row.topic) or row.topic_name or "",
                subject=row.subject or "",
                at=row.counted or row.settled or row.planned,
                due=row.due if row.state == "planned" and row.due > now else 0,
                why=ctx.tokens.issue(Purpose.WHY, row.ref, now) if row.state in {"sent", "unknown"} else "",
            )
            for row in rows[:PAGE]
        )
        return History(room, mails, mails[-1].ref.hex() if len(rows) > PAGE else "")


def see_receipts(ctx: Context, token: str) -> tuple[RoomView, tuple[ReceiptLine, ...]]:
    """Every receipt of the owner of a fresh link, the newest first. Raises TokenError, TokenExpiredError."""
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        person = owner_of(conn, ctx, now, token)
        rows = receipts_store.events_of(conn, person.id, sorted(EVENTS))
        texts = consents.texts(conn, (row.text for row in rows if row.text is not None))
        lines: list[ReceiptLine] = []
        given: dict[int, str] = {}
        for row in rows:
            given[row.topic] = row.event if row.event in GIVING else given.get(row.topic, "")
            title = texts[row.text].title if row.text in texts else row.name
            link = token_of(ctx, row.ref, row.at)
            lines.append(ReceiptLine(row.event, title, row.at, link, given[row.topic] == Event.SOFT))
        return room_of(conn, ctx, now, person), tuple(reversed(lines))
