"""Rows for tests of what came in and of connections: invitations as the engine leaves them, requests, pairs."""

import secrets
from collections.abc import Mapping
from typing import Any

from sqlalchemy import insert, select

from outreach.domain.tokens import Purpose
from outreach.services.connections import connect
from outreach.services.context import Context
from outreach.store import connect_links, invitations
from outreach.store.audit import Entry, record
from outreach.store.boxes import ContactKeys
from outreach.store.contacts import Person
from outreach.store.schema.audit import audit_entry
from outreach.store.schema.campaigns import message
from outreach.store.schema.columns import metadata
from outreach.store.schema.members import invitation
from tests.factories import DAY, MadeMember

NOTE = "We met at the seed swap."


def mailed(ctx: Context, inviter: MadeMember, to: Person, *, state: str = "sent", days: float = 14) -> bytes:
    """An invitation by mail whose mail is in this state; its ref."""
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        row = _invitation(conn, ctx, inviter, now, way="mail", mailbox=to.mailbox, contact=to.id, days=days)
        conn.execute(
            insert(message).values(
                ref=secrets.token_bytes(16),
                origin="invitation",
                kind="promotional",
                lane="4-invitation",
                contact=to.id,
                mailbox=to.mailbox,
                invitation=row.id,
                state=state,
                planned=now,
                due=now,
            )
        )
        return bytes(row.ref)


def handed(ctx: Context, inviter: MadeMember, *, days: float = 30) -> tuple[bytes, str]:
    """A link to pass on: the invitation's ref and the token."""
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        row = _invitation(conn, ctx, inviter, now, way="hand", days=days)
        return bytes(row.ref), ctx.tokens.issue(Purpose.HAND, row.ref, now)


def requested(ctx: Context, owner: MadeMember, who: Person, *, label: str = "On my card") -> bytes:
    """A request through a connect link of `owner` that its asker confirmed; its ref."""
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        keys = ContactKeys(ctx.keyring, conn)
        link_ref = connect_links.add(
            conn, keys, now, member_id=owner.id, contact_id=owner.person.id, label=label, most=None, expires=None
        )
        link = connect_links.by_ref(conn, link_ref)
        assert link is not None
        row = invitations.add(
            conn,
            member=owner.id,
            way="link",
            link=link.id,
            locale="en",
            mailbox=who.mailbox,
            contact=who.id,
            asked=now - 60_000_000,
            decided=now - 60_000_000,
            answered=now,
            answer="accepted",
            expires=now + 7 * DAY,
        )
        body = {"invitation": row.ref.hex(), "way": "link", "answer": "accepted"}
        record(conn, now, Entry(kind="invitation.answered", actor="recipient", contact=who.ref, body=body))
        return bytes(row.ref)


def connected(
    ctx: Context, inviter: MadeMember, other: Person, shows: Mapping[int, frozenset[str]] | None = None
) -> bytes:
    """A connection that a link passed on by hand led to; its ref."""
    ref, _ = handed(ctx, inviter)
    with ctx.db.transaction() as conn:
        now = ctx.db.now(conn)
        row = invitations.by_ref(conn, ref, lock=True)
        assert row is not None
        invitations.change(conn, row.id, answered=now, answer="accepted", mailbox=other.mailbox, contact=other.id)
        return connect(
            conn,
            ctx,
            now,
            invitation_row=row,
            inviter_contact=inviter.person.id,
            other_contact=other.id,
            shows=shows or {inviter.person.id: frozenset({"name"})},
            actor=inviter.actor,
        )


def row_of(ctx: Context, ref: bytes) -> Any:
    """The invitation as it stands."""
    with ctx.db.reading() as conn:
        return conn.execute(select(invitation).where(invitation.c.ref == ref)).one()


def link_of(ctx: Context, ref: bytes) -> str:
    """The token that stands in the mails of an invitation."""
    with ctx.db.reading() as conn:
        return ctx.tokens.issue(Purpose.INVITATION, ref, ctx.db.now(conn))


def notice_link_of(ctx: Context, ref: bytes) -> str:
    """The token that stands in the mail which told that a request was accepted."""
    return ctx.tokens.issue(Purpose.INVITATION, ref, row_of(ctx, ref).settled)


def entries(ctx: Context, *kinds: str) -> list[Any]:
    """Audit entries of these kinds, oldest first."""
    with ctx.db.reading() as conn:
        query = select(audit_entry).where(audit_entry.c.kind.in_(kinds)).order_by(audit_entry.c.id)
        return list(conn.execute(query))


def everything(ctx: Context) -> dict[str, list[str]]:
    """Every row of every table."""
    with ctx.db.reading() as conn:
        return {
            table.name: sorted(repr(tuple(row)) for row in conn.execute(select(table)))
            for table in metadata.sorted_tables
        }


def _invitation(conn: Any, ctx: Context, inviter: MadeMember, now: int, *, days: float, **values: Any) -> Any:
    keys = ContactKeys(ctx.keyring, conn)
    return invitations.add(
        conn,
        member=inviter.id,
        relationship="friend",
        locale="en",
        note_box=keys.seal(inviter.person.id, NOTE),
        label_box=keys.seal(inviter.person.id, "somebody"),
        asked=now,
        decided=now,
        expires=now + int(days * DAY),
        **values,
    )
