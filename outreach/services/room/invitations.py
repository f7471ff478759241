"""Invitations to and from the owner of a room, and how many connections they have.

Nobody else is shown by more than the name they gave themselves in the mail.
"""

from dataclasses import dataclass

from outreach.domain.tokens import Purpose
from outreach.services.context import Context
from outreach.services.rights.way_in import owner_of
from outreach.services.room.topics import RoomView, room_of
from outreach.store import connections, members
from outreach.store import room as store
from outreach.store.boxes import ContactKeys


@dataclass(frozen=True, kw_only=True)
class Received:
    """An invitation that reached this mailbox. `inviter`: the name they gave, empty once they left; `token`: of its
    link, which refuses and reports; `answer`: empty while it is open. UTC microseconds.
    """

    inviter: str
    way: str
    asked: int
    answer: str
    token: str


@dataclass(frozen=True, kw_only=True)
class Made:
    """An invitation this person made. `to`: the masked address, as their own list shows it, while it is kept; `answer`:
    accepted, expired, cancelled or open: who said no is not told.
    """

    to: str
    way: str
    asked: int
    answer: str


@dataclass(frozen=True, kw_only=True)
class People:
    """Person to person: what came, what went, and how many connections live."""

    room: RoomView
    received: tuple[Received, ...]
    made: tuple[Made, ...]
    connected: int
    is_member: bool


def see_people(ctx: Context, token: str) -> People:
    """For the owner of a fresh link. Raises TokenError, TokenExpiredError."""
    with ctx.db.reading() as conn:
        now = ctx.db.now(conn)
        person = owner_of(conn, ctx, now, token)
        keys = ContactKeys(ctx.keyring, conn)
        received = tuple(
            Received(
                inviter=keys.text(row.inviter, row.name_box) or "",
                way=row.way,
                asked=row.asked,
                answer=row.answer or ("expired" if row.expires <= now else ""),
                token=ctx.tokens.issue(Purpose.INVITATION, row.ref, now),
            )
            for row in store.invitations_to(conn, person.id, person.mailbox)
        )
        made = tuple(
            Made(
                to=keys.text(person.id, row.label_box) or "",
                way=row.way,
                asked=row.asked,
                answer=_told(row.answer, is_over=row.expires <= now),
            )
            for row in store.invitations_from(conn, person.id)
        )
        account = members.by_contact(conn, person.id)
        return People(
            room=room_of(conn, ctx, now, person),
            received=received,
            made=made,
            connected=len(connections.of_contact(conn, person.id, live_only=True)),
            is_member=account is not None and account.closed is None,
        )


def _told(answer: str | None, *, is_over: bool) -> str:
    """What an inviter may know: a refusal reads as an invitation nobody answered."""
    if answer in {"accepted", "cancelled"}:
        return answer
    return "expired" if is_over else "open"
